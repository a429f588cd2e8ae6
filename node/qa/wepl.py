"""Water equivalent path length of beams through the head, to compare two CTs ray by ray."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beams:
    """Parallel beams in the axial plane, from all around, to a plane through one point."""

    angles: int = 36
    """Evenly around the patient."""
    half_width_mm: float = 25.0
    """Half the side of the square field at the target."""
    ray_step_mm: float = 5.0
    sample_mm: float = 1.0
    reach_mm: float = 200.0
    """From the target outwards; beyond it is air."""

    @property
    def angles_degrees(self) -> NDArray[np.float64]:
        """0 from the front, 90 from the patient's left, as a gantry's, head first supine."""
        return np.arange(self.angles) * 360.0 / self.angles


def wepl_mm(
    density: Floats, affine: NDArray[np.float64], target_mm: NDArray[np.float64], beams: Beams
) -> Floats:
    """Path length in water from outside to the target's plane: (angles, rays across, rays up), mm.

    ``density`` is relative to water on an axial grid (slices, rows, columns); beyond it is air.
    """
    across = np.arange(-beams.half_width_mm, beams.half_width_mm + 1e-6, beams.ray_step_mm)
    depth = np.arange(beams.sample_mm / 2, beams.reach_mm, beams.sample_mm)
    found = np.empty((beams.angles, len(across), len(across)), np.float32)
    for n, angle in enumerate(np.deg2rad(beams.angles_degrees)):
        towards = np.array([np.sin(angle), -np.cos(angle), 0.0])  # LPS: to the source
        sideways = np.array([np.cos(angle), np.sin(angle), 0.0])
        points = (
            target_mm
            + across[:, None, None, None] * sideways
            + across[None, :, None, None] * np.array([0.0, 0.0, 1.0])
            + depth[None, None, :, None] * towards
        )
        found[n] = _sampled(density, affine, points).sum(axis=-1) * beams.sample_mm
    return found


def _sampled(values: Floats, affine: NDArray[np.float64], points: NDArray[np.float64]) -> Floats:
    """Linear interpolation of ``values`` at LPS mm; 0 outside of the grid."""
    index = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    low = np.floor(index).astype(np.int32)
    part = (index - low).astype(np.float32)
    total = np.zeros(index.shape[:-1], np.float32)
    for corner in np.ndindex(2, 2, 2):
        at = low + np.array(corner, np.int32)
        inside = np.all((at >= 0) & (at < values.shape), axis=-1)
        weight = np.where(corner, part, 1 - part).prod(axis=-1)
        at = np.where(inside[..., None], at, 0)
        total += np.where(inside, weight * values[at[..., 0], at[..., 1], at[..., 2]], 0)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class WeplDifference:
    """What two CTs differ by along beams, sCT less reference."""

    mean_mm: tuple[float, ...]
    """Of all rays of a beam, by angle."""
    largest_mm: float
    """The mean that is farthest from 0, with its sign."""
    angle_degrees: float
    """Where it is."""


def compare(ours: Floats, reference: Floats, beams: Beams) -> WeplDifference:
    """Compare two answers of `wepl_mm` with the same beams."""
    means = (ours - reference).mean(axis=(1, 2))
    worst = int(np.abs(means).argmax())
    return WeplDifference(
        mean_mm=tuple(float(m) for m in means),
        largest_mm=float(means[worst]),
        angle_degrees=float(beams.angles_degrees[worst]),
    )
