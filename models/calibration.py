"""What the heads say, turned into what was met: a shift by tissue class, a map that never falls.

The network learns HU and a Laplace scale under a weighted loss, so both are off by tissue: HU by a
few units where the noise of training is larger than that, half widths too wide in one place and too
narrow in another. On pairs the network learnt from, the median residual of each tissue class is
added to the HU; on pairs of the calibration subjects each class's scale is made as wide as its
errors are, and the 68th percentile of the error is taken in many bins of that scale. The classes
weigh by their probability, and all of it goes into the graph.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from torch import Tensor, nn
from torch.nn import functional

Array = NDArray[np.floating]

# The central 68 % of a Laplace distribution reach this many scales to either side.
HALF_WIDTH = -math.log(1 - 0.68)
LOWEST, HIGHEST = -7.0, 1.0
_BINS = 24
_LEAST_HU = 0.5
_LEAST_VOXELS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Corners of a line that never falls; flat beyond its ends."""

    log_scale: tuple[float, ...]
    """The network's logarithm of the scale in HU / 1000, rising."""
    log_hu: tuple[float, ...]
    """Logarithm of the half width in HU there."""


AS_TRAINED = Curve(
    log_scale=(LOWEST, HIGHEST),
    log_hu=(
        math.log(1000 * HALF_WIDTH) + LOWEST,
        math.log(1000 * HALF_WIDTH) + HIGHEST,
    ),
)
"""What the head means if its Laplace distribution is taken at its word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What each tissue class adds, weighed by its probability."""

    hu: tuple[float, ...]
    """To the HU."""
    log_scale: tuple[float, ...]
    """To the logarithm of the scale."""


_ROUNDS = 5
# A class shifts by the voxels that are more likely of it than not.
_LIKELY = 0.5


def fit_hu(hu: Array, truth: Array, likely: Array) -> tuple[float, ...]:
    """The shift of each class that takes its median residual away; ``likely`` is (n, classes)."""
    shift = np.zeros(likely.shape[1])
    for _ in range(_ROUNDS):
        shift += _each_class(truth - hu - likely @ shift, likely, percentile=50)
    return tuple(round(float(s), 3) for s in shift)


def fit_scale(log_scale: Array, error_hu: Array, likely: Array) -> tuple[float, ...]:
    """The shift of each class under which 68 % of its errors are below the half width."""
    shift = np.zeros(likely.shape[1])
    floor = np.log(np.maximum(error_hu, 1e-3) / (1000 * HALF_WIDTH))
    for _ in range(_ROUNDS):
        shift += _each_class(floor - log_scale - likely @ shift, likely, percentile=68)
    return tuple(round(float(s), 4) for s in shift)


def _each_class(left: Array, likely: Array, percentile: float) -> Array:
    members = [left[likely[:, number] > _LIKELY] for number in range(likely.shape[1])]
    return np.array(
        [float(np.percentile(m, percentile)) if m.size >= _LEAST_VOXELS else 0.0 for m in members]
    )


def fit(log_scale: Array, error_hu: Array) -> Curve:
    """The curve through the 68th percentiles of the error in bins of the same count."""
    if log_scale.size < _LEAST_VOXELS:
        return AS_TRAINED
    order = np.argsort(log_scale, kind="stable")
    bins = np.array_split(order, _BINS)
    told = np.array([float(np.median(log_scale[b])) for b in bins])
    met = np.array([max(float(np.percentile(error_hu[b], 68)), _LEAST_HU) for b in bins])
    rising = isotonic_regression(np.log(met)).x
    # Bins of one and the same scale, as of a clamped one, are one corner.
    told, first = np.unique(np.round(told, 4), return_index=True)
    if told.size < 2:
        return AS_TRAINED
    return Curve(
        log_scale=tuple(float(t) for t in told),
        log_hu=tuple(round(float(r), 4) for r in rising[first]),
    )


class Shifted(nn.Module):
    """A shift as a layer beside the heads."""

    def __init__(self, shift: Shift) -> None:
        super().__init__()
        rows = torch.tensor([shift.hu, shift.log_scale])
        rows[0] /= 1000
        self.by_class = nn.Parameter(rows[:, :, None, None], requires_grad=False)

    def forward(self, classes: Tensor) -> Tensor:
        """(n, classes, h, w) logits to what is added to HU / 1000 and scale, (n, 2, h, w)."""
        return functional.conv2d(torch.softmax(classes, dim=1), self.by_class)


class Calibrated(nn.Module):
    """A curve as a layer: a sum of clamped ramps, which every runtime knows."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        self.curve = curve

    def forward(self, log_scale: Tensor) -> Tensor:
        """Logarithm of the scale to half width in HU."""
        corners = list(zip(self.curve.log_scale, self.curve.log_hu, strict=True))
        out = torch.zeros_like(log_scale) + corners[0][1]
        for (x, y), (next_x, next_y) in pairwise(corners):
            slope = (next_y - y) / (next_x - x)
            if slope > 0:
                out = out + slope * (torch.clamp(log_scale, x, next_x) - x)
        return torch.exp(out)


def deciles(error: Array, half: Array) -> list[tuple[float, float]]:
    """Mean half width and 68th percentile of the error in each tenth of the half widths."""
    order = np.argsort(half, kind="stable")
    parts = np.array_split(order, 10)
    return [(float(half[p].mean()), float(np.percentile(error[p], 68))) for p in parts]


def worst(rows: Iterable[tuple[float, float]]) -> float:
    """How far the met half width is from the told one in the worst tenth, as a share of it."""
    return max(abs(met / told - 1) for told, met in rows)
