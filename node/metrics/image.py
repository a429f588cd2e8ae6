"""SynthRAD's image figures, from the formulas of both challenges.

All arrays are (slices, rows, columns) in HU on one lattice; ``mask`` is True where it counts. A
figure over an empty mask is a `ValueError`.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Range = tuple[float, float]

RANGE_2023: Range = (-1024.0, 3000.0)
"""SynthRAD2023, and the metrics repository of 2025: R = 4024 HU."""
RANGE_2025: Range = (-1024.0, 3071.0)
"""The evaluation container of 2025: R = 4095 HU."""

_K1, _K2 = 0.01, 0.03
_WINDOW = 7
_LEAST = 97  # five levels of halving leave one window of seven
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def mae(truth: NDArray[np.generic], ours: NDArray[np.generic], mask: Mask) -> float:
    """Mean absolute error in HU; nothing is clipped."""
    inside = _checked(truth, ours, mask)
    return float(np.abs(_float(truth)[inside] - _float(ours)[inside]).mean())


def psnr(truth: NDArray[np.generic], ours: NDArray[np.generic], mask: Mask, limits: Range) -> float:
    """Peak signal to noise ratio in dB, both clipped to ``limits``, whose width is the peak."""
    inside = _checked(truth, ours, mask)
    a, b = (np.clip(_float(x)[inside], *limits) for x in (truth, ours))
    square = float(((a - b) ** 2).mean())
    width = limits[1] - limits[0]
    return float("inf") if square == 0 else 10 * float(np.log10(width**2 / square))


def ssim(truth: NDArray[np.generic], ours: NDArray[np.generic], mask: Mask, limits: Range) -> float:
    """Structural similarity of 2023: 7-cubed uniform window, averaged over the mask.

    Outside the mask both are the lowest value; three voxels at every face do not count.
    """
    inside = _checked(truth, ours, mask)
    m = _moments(_prepared(truth, inside, limits), _prepared(ours, inside, limits))
    c1, c2, _ = _constants(limits)
    luminance = (2 * m.ux * m.uy + c1) / (m.ux**2 + m.uy**2 + c1)
    rest = (2 * m.vxy + c2) / (m.vx + m.vy + c2)
    return _mean(luminance * rest, inside)


def ms_ssim(
    truth: NDArray[np.generic], ours: NDArray[np.generic], mask: Mask, limits: Range
) -> float:
    """Multi-scale structural similarity of 2025, masked.

    Named quirk, kept because published figures have it: the luminance enters at every level. In
    the textbook it enters at the coarsest alone, which gives another number.
    """
    inside = _checked(truth, ours, mask)
    spare = [((_LEAST - n) // 2, _LEAST - n - (_LEAST - n) // 2) for n in inside.shape]
    spare = [(max(a, 0), max(b, 0)) for a, b in spare]
    x, y = (np.pad(_prepared(v, inside, limits), spare, mode="edge") for v in (truth, ours))
    inside = np.pad(inside, spare, mode="edge")
    product = 1.0
    for weight in _WEIGHTS:
        level = _mean(_level(x, y, limits) ** weight, inside)
        product *= min(max(level, 0.0), 1.0)
        x, y, inside = _halved(x), _halved(y), inside[::2, ::2, ::2]
    return product


def _level(x: Floats, y: Floats, limits: Range) -> Floats:
    """Luminance x contrast x structure of one level, each at least 0."""
    m = _moments(x, y)
    c1, c2, c3 = _constants(limits)
    sx, sy = np.sqrt(np.maximum(m.vx, 0)), np.sqrt(np.maximum(m.vy, 0))
    luminance = (2 * m.ux * m.uy + c1) / (m.ux**2 + m.uy**2 + c1)
    contrast = (2 * sx * sy + c2) / (m.vx + m.vy + c2)
    structure = (m.vxy + c3) / (sx * sy + c3)
    product = np.maximum(luminance, 0) * np.maximum(contrast, 0) * np.maximum(structure, 0)
    return np.asarray(product, np.float64)


class _Moments:
    """Windowed means, variances and covariance, where the window lies wholly inside."""

    def __init__(self, x: Floats, y: Floats) -> None:
        voxels = _WINDOW**3
        sample = voxels / (voxels - 1)
        self.ux, self.uy = _window_mean(x), _window_mean(y)
        self.vx = sample * (_window_mean(x * x) - self.ux**2)
        self.vy = sample * (_window_mean(y * y) - self.uy**2)
        self.vxy = sample * (_window_mean(x * y) - self.ux * self.uy)


def _moments(x: Floats, y: Floats) -> _Moments:
    return _Moments(x, y)


def _window_mean(values: Floats) -> Floats:
    """Mean of every full 7-cubed window: three voxels less at every face."""
    out = values
    for axis in range(3):
        total = np.cumsum(np.moveaxis(out, axis, 0), axis=0)
        windows = total[_WINDOW - 1 :].copy()
        windows[1:] -= total[:-_WINDOW]
        out = np.moveaxis(windows / _WINDOW, 0, axis)
    return out


def _halved(values: Floats) -> Floats:
    """Every other voxel of the mean with its lower neighbours; beyond the face stands 0."""
    out = values
    for axis in range(3):
        along = np.moveaxis(out, axis, 0)
        mean = along / 2
        mean[1:] += along[:-1] / 2
        out = np.moveaxis(mean, 0, axis)[
            tuple(slice(None, None, 2 if a == axis else 1) for a in (0, 1, 2))
        ]
    return out


def _prepared(values: NDArray[np.generic], inside: Mask, limits: Range) -> Floats:
    return np.asarray(np.where(inside, np.clip(_float(values), *limits), limits[0]) - limits[0])


def _constants(limits: Range) -> tuple[float, float, float]:
    width = limits[1] - limits[0]
    c2 = (_K2 * width) ** 2
    return (_K1 * width) ** 2, c2, c2 / 2


def _mean(cropped: Floats, inside: Mask) -> float:
    """Mean over the mask; ``cropped`` lacks three voxels at every face."""
    counts = inside[3:-3, 3:-3, 3:-3]
    if not counts.any():
        raise ValueError("The mask has no voxel three or more voxels from the faces.")
    return float(cropped[counts].mean())


def _float(values: NDArray[np.generic]) -> Floats:
    return np.asarray(values, np.float64)


def _checked(truth: NDArray[np.generic], ours: NDArray[np.generic], mask: Mask) -> Mask:
    if not truth.shape == ours.shape == mask.shape:
        raise ValueError(f"Shapes differ: {truth.shape}, {ours.shape}, {mask.shape}.")
    inside = np.asarray(mask) > 0
    if not inside.any():
        raise ValueError("The mask is empty.")
    return inside
