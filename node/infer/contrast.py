"""Does the MR have the contrast a model was made for: which end of the brain's signal is long.

In a T1-weighted brain the bulk is bright and water dark, so the dark end of the signal is the long
one; where water is bright, as T2 weighting has it, the bright end is.
"""

import numpy as np
from numpy.typing import NDArray

from node.infer.skull import CENTRE_MM, top_slice

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# A ball of this size within the vault holds brain and ventricles and little else.
_RADIUS_MM = 40.0
_LEAST_VOXELS = 1000


def bright_skew(signal: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> float | None:
    """Distance of the 95th percentile from the median over that of the 5th, inside the vault.

    Scaling, offset and a smooth field hardly change it. None where there is no head to look at.
    """
    top = top_slice(body)
    level = -1 if top is None else int(top - CENTRE_MM / spacing_mm[0])
    rows, columns = np.nonzero(body[level]) if level >= 0 else (np.empty(0), np.empty(0))
    if not rows.size:
        return None
    centre = (float(level), float(rows.mean()), float(columns.mean()))
    box = tuple(
        slice(max(0, int(c - _RADIUS_MM / step)), int(c + _RADIUS_MM / step) + 1)
        for c, step in zip(centre, spacing_mm, strict=True)
    )
    part = signal[box]
    axes = np.ogrid[
        tuple(slice(b.start, b.start + n) for b, n in zip(box, part.shape, strict=True))
    ]
    away = sum(((a - c) * s) ** 2 for a, c, s in zip(axes, centre, spacing_mm, strict=True))
    inside = part[np.asarray(away) < _RADIUS_MM**2]
    if inside.size < _LEAST_VOXELS:
        return None
    low, middle, high = (float(p) for p in np.percentile(inside, (5, 50, 95)))
    return (high - middle) / max(middle - low, 1e-3 * max(abs(high), 1e-6))
