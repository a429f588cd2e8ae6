"""The skull of an axial slice along the normals of its outline: how thick it is, where it lies.

All arrays are (rows, columns) of 1 mm, rows to posterior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.fields import distance

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

BONE_HU = 250.0
SOLID_HU = -400.0
# Head rests and pads are thinner than this or hang on the skin by less.
_PADS_MM = 6
# Half the widest way from wall to wall of a cavity whose walls are too thin to count as head.
_CAVITY_MM = 15
_STEP_MM = 0.25
# Inwards along the normal; no skull with what covers it reaches deeper.
_ALONG = np.arange(-2.0, 40.0, _STEP_MM)
# Bone that begins deeper than this under the skin is no vault.
_DEEPEST_MM = 25.0
# The tables of one skull lie no further apart than this, whatever the marrow's HU are.
_MARROW_MM = 6.0
_NORMAL_MM = 4.0
_EVERY = 3
# In front of this share of the head lie orbits, nose and sinuses: no vault.
_FACE = 0.35


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skull:
    """The skull along each normal; NaN where there is none."""

    outer_mm: Reals
    """Depth of the outer table's face below the outline."""
    inner_mm: Reals
    """Depth of the inner table's face."""

    @property
    def thickness_mm(self) -> Reals:
        """Both tables and what lies between them."""
        return self.inner_mm - self.outer_mm


def outline(hu: NDArray[np.floating] | NDArray[np.integer], within: Mask) -> Mask:
    """The head in a slice of a CT, without head rest and pads, its cavities filled."""
    solid = (np.asarray(hu) > SOLID_HU) & within
    core = _opened(solid)
    if not core.any():
        return core
    # A shell around the head encloses air too; what is the head's own lies between its parts.
    near = np.pad(core, _CAVITY_MM + 1)
    closed = -distance(distance(near, 200) > _CAVITY_MM, 200) < -_CAVITY_MM
    inside = closed[_CAVITY_MM + 1 : -_CAVITY_MM - 1, _CAVITY_MM + 1 : -_CAVITY_MM - 1]
    cavities = ndimage.binary_fill_holes(solid) & ~solid & inside
    return np.asarray(ndimage.binary_fill_holes(_opened(solid | cavities)), bool)


def _opened(mask: Mask) -> Mask:
    """The largest part without what is thin or hangs on it by little."""
    core = -distance(mask, 200) > _PADS_MM / 2
    numbers, count = ndimage.label(core)
    if not count:
        return np.zeros(mask.shape, bool)
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    near = distance(numbers == sizes.argmax(), 200) <= _PADS_MM / 2 + 1.5
    return np.asarray(near & mask, bool)


def places(body: Mask) -> tuple[Reals, Reals]:
    """Points of the outline behind the face, and the inward normals there; both (n, 2)."""
    rim = np.argwhere(body & ~ndimage.binary_erosion(body))
    rows = np.flatnonzero(body.any(axis=1))
    if not rows.size:
        return np.zeros((0, 2)), np.zeros((0, 2))
    rim = rim[rim[:, 0] > rows[0] + _FACE * np.ptp(rows)][::_EVERY]
    smooth = ndimage.gaussian_filter(body.astype(np.float64), _NORMAL_MM)
    rise = np.stack([slope[tuple(rim.T)] for slope in np.gradient(smooth)], axis=1)
    length = np.linalg.norm(rise, axis=1)
    sound = length > 1e-4
    return rim[sound].astype(np.float64), rise[sound] / length[sound, None]


def look(hu: NDArray[np.generic], points: Reals, inward: Reals) -> Skull:
    """The skull of ``hu`` below each point."""
    where = points[:, None, :] + _ALONG[None, :, None] * inward[:, None, :]
    read = ndimage.map_coordinates(
        hu.astype(np.float32), where.reshape(-1, 2).T, order=1, mode="nearest"
    )
    bone = read.reshape(where.shape[:2]) > BONE_HU
    both = [_tables(row) for row in bone]
    return Skull(
        outer_mm=np.array([pair[0] for pair in both], np.float64),
        inner_mm=np.array([pair[1] for pair in both], np.float64),
    )


def _tables(bone: Mask) -> tuple[float, float]:
    """Depth of the first bone, and of the last before a gap too wide for marrow."""
    where = np.flatnonzero(bone)
    if not where.size or _ALONG[where[0]] > _DEEPEST_MM:
        return float("nan"), float("nan")
    gaps = np.flatnonzero(np.diff(where) * _STEP_MM > _MARROW_MM)
    last = where[gaps[0]] if gaps.size else where[-1]
    return float(_ALONG[where[0]]), float(_ALONG[last] + _STEP_MM)
