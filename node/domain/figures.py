"""What is measured of every sCT, whatever the checks say: shares of HU, volume, uncertainty."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.plan import SctResult

HISTOGRAM_HU = (-1000, 2000, 20)
"""First, last and width of the histogram's bins; the page draws the same."""
_LOWEST_HU, _LEVELS = -1024, 4096
_UNSURE_MOST_HU = 4095


def measured(result: SctResult) -> dict[str, Any]:
    """Figures of one sCT inside its body as JSON values; empty where there is no body."""
    body = result.body
    inside = result.sct.values[body]
    if not inside.size:
        return {}
    # One count of every level: shares and histogram are sums of it.
    levels = np.bincount(inside.astype(np.int32) - _LOWEST_HU, minlength=_LEVELS)
    found: dict[str, Any] = {
        "body_ml": round(inside.size * result.sct.grid.voxel_volume_mm3 / 1000.0, 1),
        "brain_share": _share(levels, 0, 80),
        "bone_share": _share(levels, 251, _LEVELS),
        "air_share": _share(levels, _LOWEST_HU, -401),
        "hu": histogram(levels, inside.size),
    }
    if result.uncertainty is not None:
        unsure = result.uncertainty.values[body]
        if np.isfinite(unsure).all():  # a cast would make a plausible figure of what is none
            found["uncertain_p95_hu"] = _p95(unsure)
    return found


def histogram(levels: NDArray[np.int64], size: int) -> list[float]:
    """Per cent of ``size`` voxels in each bin of `HISTOGRAM_HU`, of the count of each level."""
    first, last, width = HISTOGRAM_HU
    part = levels[first - _LOWEST_HU : last - _LOWEST_HU].reshape(-1, width).sum(axis=1)
    return [round(100.0 * int(n) / size, 4) for n in part]


def _share(levels: NDArray[np.int64], low_hu: int, high_hu: int) -> float:
    """Share of the voxels from ``low_hu`` to ``high_hu``, both included."""
    part = levels[low_hu - _LOWEST_HU : high_hu + 1 - _LOWEST_HU].sum()
    return round(float(part / levels.sum()), 5)


def _p95(values: NDArray[Any]) -> float:
    whole = np.clip(np.rint(values), 0, _UNSURE_MOST_HU).astype(np.int32)
    counts = np.bincount(whole).cumsum()
    return float(np.searchsorted(counts, 0.95 * counts[-1]))
