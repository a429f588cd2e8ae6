"""A site's curve from HU to relative stopping power or electron density."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Misconfigured

# What a CT can hold, PS3.3 C.8.2.1.1 with 12 stored bits and intercept -1024.
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_LEAST_POINTS = 3  # air, water, bone: two say nothing of what lies between
_MOST_DENSITY = 10.0
_AIR_MOST, _WATER = 0.1, (0.9, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityCurve:
    """Straight lines between points; level beyond the first and last."""

    points: tuple[tuple[float, float], ...]
    """(HU, density relative to water), rising in HU."""

    def __post_init__(self) -> None:
        hu = [p[0] for p in self.points]
        density = [p[1] for p in self.points]
        if len(self.points) < _LEAST_POINTS:
            raise _wrong(f"it has {len(self.points)} points, at least {_LEAST_POINTS} are needed")
        if not np.isfinite(self.points).all():
            raise _wrong("a value is no number")
        if any(b <= a for a, b in pairwise(hu)):
            raise _wrong("its HU do not rise from point to point")
        if any(b < a for a, b in pairwise(density)):
            raise _wrong("it falls: more HU would be less dense")
        if density[0] < 0 or density[-1] > _MOST_DENSITY:
            raise _wrong(f"densities lie between 0 and {_MOST_DENSITY:g}")
        air, water = np.interp([-1000.0, 0.0], hu, density)
        if air > _AIR_MOST or not _WATER[0] <= water <= _WATER[1]:
            raise _wrong(f"air would have density {air:.3g} and water {water:.3g}")

    @property
    def sha256(self) -> str:
        """Identity of the curve: part of every figure that was made with it."""
        return hashlib.sha256(repr(self.points).encode()).hexdigest()

    def density(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Density of each voxel, relative to water."""
        levels = np.arange(_LOWEST_HU, _HIGHEST_HU + 1)
        hu_at, density_at = np.array(self.points).T
        table = np.interp(levels, hu_at, density_at).astype(np.float32)
        found: NDArray[np.float32] = table[hu.astype(np.int32) - _LOWEST_HU]
        return found


def curve_of(points: Sequence[Sequence[float]]) -> DensityCurve:
    """Build the curve a site wrote as pairs; raise `Misconfigured` with what is wrong."""
    if any(len(p) != 2 for p in points):
        raise _wrong("a point is no pair of HU and density")
    return DensityCurve(points=tuple((float(a), float(b)) for a, b in points))


def _wrong(reason: str) -> Misconfigured:
    return Misconfigured(
        f"The HU to density curve cannot be used: {reason}.",
        remedy="Enter the curve of the planning system, from air to dense bone.",
    )
