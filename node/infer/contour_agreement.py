"""Do MR and synthetic CT show one outline: shifted, mirrored or spilt output is caught here."""

import numpy as np
from numpy.typing import NDArray

from node.infer.shapes import box_of

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SOLID_HU = -500.0
BONE_HU = 250.0
AIR_LIMIT_HU = -900.0
# Lines of sight with less body than this are the tips of ears and noses.
_LEAST_MM = 40.0
# Skin and fat are at least this thick nearly everywhere on a head.
SKIN_MM = 2.0


def shift_mm(
    hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]
) -> tuple[float, float, float]:
    """How far the CT's outer faces lie beyond the MR's body along slices, rows and columns.

    Along every line through the body the first and the last solid voxel are compared; the medians
    of both ends are averaged, so that a mere difference of size cancels.
    """
    solid = hu > SOLID_HU
    either = body | solid
    if either.any():
        box = box_of(either)
        body, solid = body[box], solid[box]
    out = []
    for axis in range(3):
        lines = body.sum(axis=axis) * spacing_mm[axis] > _LEAST_MM
        lines &= solid.any(axis=axis)
        if not lines.any():
            out.append(0.0)
            continue
        ends = [_ends(mask, axis, lines) for mask in (body, solid)]
        (low, high), (our_low, our_high) = ends
        off = (np.median(our_low - low) + np.median(our_high - high)) / 2
        out.append(float(off) * spacing_mm[axis])
    return out[0], out[1], out[2]


def spilt_ml(hu: Floats, body: Mask, voxel_mm3: float) -> float:
    """Volume outside the body that is not air."""
    return float(((hu > AIR_LIMIT_HU) & ~body).sum()) * voxel_mm3 / 1000.0


def surface_bone(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Share of the outermost `SKIN_MM` of the body that is bone.

    Where a face was cut off, or a model lost its bearings, bone lies bare. What the volume's own
    edge cuts is no surface.
    """
    inner = body.copy()
    for axis, step in enumerate(spacing_mm):
        for _ in range(max(1, round(SKIN_MM / step))):
            _peel(inner, axis)
    shell = body & ~inner
    return float((hu[shell] > BONE_HU).mean()) if shell.any() else 0.0


def _peel(mask: Mask, axis: int) -> None:
    """Take one voxel off both ends of every run along ``axis``."""
    along = np.moveaxis(mask, axis, 0)
    inside = along[1:] & along[:-1]
    along[:-1] &= inside
    along[1:] &= inside


def _ends(mask: Mask, axis: int, lines: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = mask.argmax(axis=axis)[lines]
    last = mask.shape[axis] - 1 - np.flip(mask, axis).argmax(axis=axis)[lines]
    return first, last
