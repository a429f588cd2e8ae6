"""Where the body meets the end of the MR's own field of view, oblique ones included."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid, index_from_lps, lps_from_index

Mask = NDArray[np.bool_]

SIDES = (("right", "left"), ("front", "back"), ("bottom", "top"))
"""In LPS: lower and upper end of x, y, z."""
# Every n-th voxel of the body is enough to measure areas of square centimetres.
_EVERY = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One end of the field of view."""

    side: str
    """Where of the patient it lies."""
    of_face: float
    """Share of the face that is body."""
    of_section: float
    """Body on the face as a share of the body's largest section parallel to it."""


def faces(body: Mask, work: Grid, source: Grid) -> tuple[Face, ...]:
    """The six ends of ``source``, which ``body`` on ``work`` may touch."""
    some = np.unravel_index(np.flatnonzero(body)[::_EVERY], body.shape)
    where = lps_from_index(work.affine, np.stack(some, axis=-1))
    index = index_from_lps(source.affine, where)
    out = []
    for axis, length in enumerate(source.shape):
        step_mm = source.spacing_mm[axis]
        band_mm = 1.5 * max(step_mm, work.spacing_mm[0])
        others = np.prod([n for a, n in enumerate(source.shape) if a != axis])
        face_mm2 = float(others) * source.voxel_volume_mm3 / step_mm
        for at_end in (False, True):
            depth_mm = (length - 1 - index[:, axis] if at_end else index[:, axis]) * step_mm
            # A band reaches from the middle of the outermost voxels inwards.
            bands = np.bincount(np.clip(depth_mm // band_mm, 0, None).astype(int))
            areas = bands * _EVERY * work.voxel_volume_mm3 / band_mm
            here = float(areas[0]) if areas.size else 0.0
            out.append(
                Face(
                    side=_side(source, axis, at_end=at_end),
                    of_face=here / face_mm2,
                    of_section=here / float(areas.max()) if areas.size else 0.0,
                )
            )
    return tuple(out)


def height_mm(body: Mask, work: Grid) -> float:
    """How far the body reaches from its top downwards on an axial grid."""
    tall = np.flatnonzero(body.any(axis=(1, 2)))
    return float(np.ptp(tall) + 1) * work.spacing_mm[0] if tall.size else 0.0


def _side(source: Grid, axis: int, *, at_end: bool) -> str:
    outward = source.affine[:3, axis] * (1 if at_end else -1)
    main = int(np.abs(outward).argmax())
    return SIDES[main][int(outward[main] > 0)]
