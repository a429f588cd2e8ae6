"""Figures of shapes and of paths: Dice, surface distance, water-equivalent path length.

Masks are bool and (slices, rows, columns); spacing is in mm in that order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

BEAMS = {"front": (1, False), "back": (1, True), "right": (2, False), "left": (2, True)}
"""Axis of an axial LPS lattice a beam runs along, and whether it comes from its upper end."""
_FIELD_MM = 60.0
# Relative electron density against HU, straight between these: air, water, dense bone. A generic
# curve: the difference of two paths is what counts, not either of them.
_HU = (-1000.0, 0.0, 3071.0)
_DENSITY = (0.001, 1.0, 2.57)


def dice(truth: Mask, ours: Mask) -> float:
    """Twice the common volume over the sum of both; 1 when both are empty."""
    both = int(truth.sum()) + int(ours.sum())
    return 1.0 if both == 0 else 2.0 * int((truth & ours).sum()) / both


def hd95(truth: Mask, ours: Mask, spacing_mm: Spacing, percentile: float = 95.0) -> float:
    """Symmetric surface distance in mm: the larger of both directions' 95th percentile.

    Infinite when one of them is empty, 0 when both are.
    """
    if not truth.any() or not ours.any():
        return 0.0 if not truth.any() and not ours.any() else float("inf")
    box = _box(truth | ours)
    a, b = surface(truth[box]), surface(ours[box])
    to_b = distance_mm(b, spacing_mm)[a]
    to_a = distance_mm(a, spacing_mm)[b]
    return float(max(np.percentile(to_b, percentile), np.percentile(to_a, percentile)))


def surface(mask: Mask) -> Mask:
    """Voxels of the mask with a face neighbour outside it; the volume's outside counts so."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for shift in (-1, 1):
            inner &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return mask & ~inner


def distance_mm(mask: Mask, spacing_mm: Spacing) -> Floats:
    """Exact Euclidean distance of every voxel to the nearest True one."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    squared = _along_first(mask, spacing_mm[0])
    for axis in (1, 2):
        squared = _lower(squared, axis, spacing_mm[axis])
    return np.sqrt(squared)


def _along_first(mask: Mask, step_mm: float) -> Floats:
    n = mask.shape[0]
    index = np.arange(n).reshape(-1, 1, 1)
    before = np.maximum.accumulate(np.where(mask, index, -n * 4), axis=0)
    after = np.minimum.accumulate(np.where(mask, index, n * 5)[::-1], axis=0)[::-1]
    nearest = np.minimum(index - before, after - index).astype(np.float64)
    return np.where(nearest >= n, np.inf, (nearest * step_mm) ** 2)


def _lower(squared: Floats, axis: int, step_mm: float) -> Floats:
    """Lower envelope of the parabolas on ``squared`` along an axis."""
    source = np.moveaxis(squared, axis, 0)
    best = source.copy()
    for offset in range(1, source.shape[0]):
        reach = (offset * step_mm) ** 2
        if reach >= best.max():
            break
        np.minimum(best[offset:], source[:-offset] + reach, out=best[offset:])
        np.minimum(best[:-offset], source[offset:] + reach, out=best[:-offset])
    return np.moveaxis(best, 0, axis)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDifference:
    """Water-equivalent path of ours less the truth's, over the rays of one beam."""

    beam: str
    """Where it comes from."""
    mean_mm: float
    """Mean over the rays."""
    worst_mm: float
    """Largest of a ray, whatever its sign."""


def path_differences(
    truth_hu: NDArray[np.generic],
    ours_hu: NDArray[np.generic],
    body: Mask,
    spacing_mm: Spacing,
) -> tuple[PathDifference, ...]:
    """Parallel beams from four sides to the body's middle, a field of 60 mm, axial LPS lattice."""
    middle = [round(float(where.mean())) for where in np.nonzero(body)]
    out = []
    for name, (axis, from_end) in BEAMS.items():
        field = [slice(None)] * 3
        for other in {0, 1, 2} - {axis}:
            half = round(_FIELD_MM / 2 / spacing_mm[other])
            field[other] = slice(max(middle[other] - half, 0), middle[other] + half + 1)
        field[axis] = slice(middle[axis], None) if from_end else slice(0, middle[axis] + 1)
        where = tuple(field)
        rays = [
            (density(v[where]) * body[where]).sum(axis=axis) * spacing_mm[axis]
            for v in (truth_hu, ours_hu)
        ]
        off = rays[1] - rays[0]
        out.append(
            PathDifference(beam=name, mean_mm=float(off.mean()), worst_mm=float(np.abs(off).max()))
        )
    return tuple(out)


def density(hu: NDArray[np.generic]) -> Floats:
    """Electron density relative to water."""
    return np.asarray(np.interp(np.asarray(hu, np.float64), _HU, _DENSITY), np.float64)


def _box(mask: Mask) -> tuple[slice, ...]:
    where = np.nonzero(mask)
    return tuple(slice(int(w.min()), int(w.max()) + 1) for w in where)
