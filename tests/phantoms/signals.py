"""Known functions of LPS position in place of anatomy: any voxel is checked by arithmetic."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
"""(..., 3) LPS mm."""
Signal: TypeAlias = Callable[[Points], NDArray[np.float64]]
"""Intensity at points, at least 0 and below 4096 within 150 mm of the origin."""


def linear(points_mm: Points) -> NDArray[np.float64]:
    """Grow along each axis by its own slope: linear interpolation of it is exact."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    result: NDArray[np.float64] = 1500.0 + 4.0 * x + 3.0 * y + 2.0 * z
    return result


def smooth(points_mm: Points) -> NDArray[np.float64]:
    """Grow along each axis by its own slope, with a slow wave that no reflection leaves alone."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    wave = np.cos(x / 13.0 + 0.3) * np.cos(y / 17.0 - 0.4) * np.cos(z / 23.0 + 0.9)
    result: NDArray[np.float64] = 1500.0 + 3.0 * x + 2.0 * y + 1.0 * z + 200.0 * wave
    return result


def body(
    points_mm: Points,
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    radii_mm: tuple[float, float, float] = (75.0, 95.0, 85.0),
) -> NDArray[np.float64]:
    """Bright ellipsoid of the size of a head in air, its edge about 1 mm soft."""
    scaled = (points_mm - np.asarray(centre_mm)) / np.asarray(radii_mm)
    depth_mm = (1.0 - np.linalg.norm(scaled, axis=-1)) * min(radii_mm)
    inside = 1.0 / (1.0 + np.exp(-np.clip(depth_mm / 0.5, -40.0, 40.0)))
    result: NDArray[np.float64] = 10.0 + inside * (600.0 + 0.2 * smooth(points_mm))
    return result


def with_landmark(
    signal: Signal,
    at_mm: tuple[float, float, float],
    *,
    sigma_mm: float = 2.0,
    height: float = 1000.0,
) -> Signal:
    """Add a bright Gaussian blob whose centre is at ``at_mm`` to a signal."""

    def marked(points_mm: Points) -> NDArray[np.float64]:
        squared = ((points_mm - np.asarray(at_mm)) ** 2).sum(axis=-1)
        result: NDArray[np.float64] = signal(points_mm) + height * np.exp(
            -squared / (2.0 * sigma_mm**2)
        )
        return result

    return marked


def constant(value: float) -> Signal:
    """Give ``value`` everywhere; a landmark on 0 is found by its centre of mass."""
    return lambda points_mm: np.full(points_mm.shape[:-1], value)


def centre_of_mass(values: NDArray[np.float64], affine: NDArray[np.float64]) -> Points:
    """LPS mm of the centre of mass of a (slice, row, column) array of non-negative values."""
    total = values.sum()
    index = [
        (values.sum(axis=tuple(a for a in range(3) if a != axis)) * np.arange(n)).sum() / total
        for axis, n in enumerate(values.shape)
    ]
    place: Points = affine[:3, :3] @ np.asarray(index) + affine[:3, 3]
    return place
