"""Every figure of one synthetic CT beside its CT, as one value."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.metrics.geometry import PathDifference, dice, hd95, path_differences
from node.metrics.image import RANGE_2023, RANGE_2025, Range, mae, ms_ssim, psnr, ssim

Hu = NDArray[np.floating[Any] | np.integer[Any]]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

TISSUES = {
    "air": (-1100.0, -400.0),
    "fat": (-200.0, -20.0),
    "soft tissue": (-20.0, 100.0),
    "spongy bone": (250.0, 700.0),
    "dense bone": (700.0, 3072.0),
}
"""HU of the CT that count as each tissue."""
SHAPES = {"bone above 250 HU": (250.0, 3072.0), "air below -400 HU": (-1100.0, -400.0)}
"""HU of the shapes whose overlap and distance are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueFigures:
    """What the synthetic CT shows where the CT shows one tissue."""

    tissue: str
    volume_ml: float
    truth_mean_hu: float
    ours_mean_hu: float
    mae_hu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeFigures:
    """How well one shape is met."""

    shape: str
    dice: float
    hd95_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The figures of one pair."""

    mask_ml: float
    """Volume the figures are over."""
    mae_hu: float
    mean_error_hu: float
    """Ours less the truth."""
    psnr_4024_db: float
    """Range of SynthRAD2023: -1024 to 3000 HU, R = 4024."""
    psnr_4095_db: float
    """Range of SynthRAD2025's evaluation: -1024 to 3071 HU, R = 4095."""
    ssim: float
    """As in SynthRAD2023; not a number where the mask is too small for it."""
    ms_ssim: float
    """As in SynthRAD2025, its quirk included; see `node.metrics.image.ms_ssim`."""
    tissues: tuple[TissueFigures, ...]
    shapes: tuple[ShapeFigures, ...]
    paths: tuple[PathDifference, ...]
    """Water-equivalent path along four beams."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values; what is infinite is None."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def compare(truth: Hu, ours: Hu, mask: Mask, spacing_mm: Spacing) -> Comparison:
    """Compare two volumes on one axial LPS lattice, both in HU, where ``mask`` is True."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    off = np.asarray(ours, np.float64)[mask] - np.asarray(truth, np.float64)[mask]
    return Comparison(
        mask_ml=float(mask.sum()) * voxel_ml,
        mae_hu=mae(truth, ours, mask),
        mean_error_hu=float(off.mean()),
        psnr_4024_db=psnr(truth, ours, mask, RANGE_2023),
        psnr_4095_db=psnr(truth, ours, mask, RANGE_2025),
        ssim=_or_nan(ssim, truth, ours, mask, RANGE_2023),
        ms_ssim=_or_nan(ms_ssim, truth, ours, mask, RANGE_2025),
        tissues=tuple(_tissues(truth, ours, mask, voxel_ml)),
        shapes=tuple(_shapes(truth, ours, mask, spacing_mm)),
        paths=path_differences(truth, ours, mask, spacing_mm),
    )


def _or_nan(
    figure: Callable[[Hu, Hu, Mask, Range], float], truth: Hu, ours: Hu, mask: Mask, limits: Range
) -> float:
    """A mask too small for windows of seven voxels at every level has no similarity."""
    try:
        return figure(truth, ours, mask, limits)
    except ValueError:
        return float("nan")


def _tissues(truth: Hu, ours: Hu, mask: Mask, voxel_ml: float) -> list[TissueFigures]:
    out = []
    for name, (low, high) in TISSUES.items():
        where = mask & (truth >= low) & (truth < high)
        if where.any():
            a, b = (np.asarray(v[where], np.float64) for v in (truth, ours))
            figures = TissueFigures(
                tissue=name,
                volume_ml=float(where.sum()) * voxel_ml,
                truth_mean_hu=float(a.mean()),
                ours_mean_hu=float(b.mean()),
                mae_hu=float(np.abs(a - b).mean()),
            )
            out.append(figures)
    return out


def _shapes(truth: Hu, ours: Hu, mask: Mask, spacing_mm: Spacing) -> list[ShapeFigures]:
    out = []
    for name, (low, high) in SHAPES.items():
        a, b = (mask & (v >= low) & (v < high) for v in (truth, ours))
        out.append(ShapeFigures(shape=name, dice=dice(a, b), hd95_mm=hd95(a, b, spacing_mm)))
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
