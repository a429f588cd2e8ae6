"""Where voxels are: affines from DICOM attributes, and the axial grid an sCT is written on.

Every affine here is a 4x4 float64 matrix that takes an index (slice, row, column, 1) to LPS mm at
the voxel's *centre* (PS3.3 C.7.6.2.1.1). Shapes are (slices, rows, columns).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Affine: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[int, int, int]

# Positions and spacings of our own grids are multiples of this, so that they are written in a DS
# of 16 characters without rounding (PS3.5 6.2).
GRID_STEP_MM = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A regular lattice of voxels in patient space."""

    shape: Shape
    """(slices, rows, columns)."""
    affine: Affine
    """4x4 float64: index (slice, row, column, 1) to LPS mm at the voxel centre."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance in mm between neighbours along (slice, row, column) index."""
        s, r, c = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(s), float(r), float(c)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-6) -> bool:
        """Whether both have one shape and every corner within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        corners = _corner_indices(self.shape, margin=0.0)
        moved = lps_from_index(self.affine, corners) - lps_from_index(other.affine, corners)
        return bool(np.abs(moved).max() <= tolerance_mm)


def affine_from_dicom(
    *,
    position_mm: Sequence[float],
    orientation: Sequence[float],
    pixel_spacing_mm: Sequence[float],
    slice_step_mm: ArrayLike,
) -> Affine:
    """Build the affine of a stack from its first slice (PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1).

    Parameters
    ----------
    position_mm
        ImagePositionPatient of slice 0: LPS mm of the centre of its first voxel.
    orientation
        ImageOrientationPatient: three cosines along a row (column index grows), then three along a
        column (row index grows).
    pixel_spacing_mm
        PixelSpacing: distance between rows, then between columns.
    slice_step_mm
        Vector from the position of one slice to that of the next, LPS mm.
    """
    along_row = np.asarray(orientation[:3], np.float64)
    along_column = np.asarray(orientation[3:6], np.float64)
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(slice_step_mm, np.float64)
    affine[:3, 1] = along_column * float(pixel_spacing_mm[0])
    affine[:3, 2] = along_row * float(pixel_spacing_mm[1])
    affine[:3, 3] = np.asarray(position_mm, np.float64)
    return affine


def slice_normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Cross product of row and column cosines: the direction right-handed slices grow in."""
    return np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:6], float))


def lps_from_index(affine: Affine, index: ArrayLike) -> NDArray[np.float64]:
    """Map (..., 3) indices (slice, row, column) to (..., 3) LPS mm."""
    idx = np.asarray(index, np.float64)
    return idx @ affine[:3, :3].T + affine[:3, 3]


def index_from_lps(affine: Affine, lps_mm: ArrayLike) -> NDArray[np.float64]:
    """Map (..., 3) LPS mm to (..., 3) fractional indices (slice, row, column)."""
    points = np.asarray(lps_mm, np.float64) - affine[:3, 3]
    return points @ np.linalg.inv(affine[:3, :3]).T


def bounds_mm(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest LPS mm that any voxel's *extent* (centre plus or minus half) reaches."""
    corners = lps_from_index(grid.affine, _corner_indices(grid.shape, margin=0.5))
    return corners.min(axis=0), corners.max(axis=0)


def axial_grid(source: Grid, *, spacing_mm: float, max_matrix: int = 512) -> Grid:
    """Choose the axial, isotropic grid that covers ``source``'s whole field of view.

    Rows run to the patient's left, columns to posterior, slices to superior, so that
    ImageOrientationPatient is (1, 0, 0, 0, 1, 0). A source that is axial already and has this
    spacing gets its own grid back (its slices perhaps reversed). The spacing is enlarged rather
    than the matrix; origin and spacing are multiples of `GRID_STEP_MM`.
    """
    low, high = bounds_mm(source)
    widest = float(max(high[0] - low[0], high[1] - low[1]))
    spacing = _ceil_step(max(spacing_mm, widest / max_matrix))
    counts = [_cells(float(extent), spacing) for extent in high - low]
    if max(counts[0], counts[1]) > max_matrix:
        spacing = _ceil_step(spacing + GRID_STEP_MM)
        counts = [_cells(float(extent), spacing) for extent in high - low]
    # What rounding up to whole voxels adds is shared by both ends.
    spare = np.asarray(counts) * spacing - (high - low)
    first = np.round((low - spare / 2 + spacing / 2) / GRID_STEP_MM) * GRID_STEP_MM
    affine = np.zeros((4, 4))
    affine[2, 0] = affine[1, 1] = affine[0, 2] = spacing
    affine[:3, 3] = first
    affine[3, 3] = 1.0
    return Grid(shape=(counts[2], counts[1], counts[0]), affine=affine)


def _cells(extent_mm: float, spacing_mm: float) -> int:
    # A thousandth of a voxel forgives the rounding of cosines written in 16 characters.
    return max(1, int(np.ceil(extent_mm / spacing_mm - 1e-3)))


def _ceil_step(value_mm: float) -> float:
    return float(np.round(np.ceil(value_mm / GRID_STEP_MM - 1e-6) * GRID_STEP_MM, 6))


def _corner_indices(shape: Shape, *, margin: float) -> NDArray[np.float64]:
    ends = [(-margin, n - 1 + margin) for n in shape]
    return np.array([(s, r, c) for s in ends[0] for r in ends[1] for c in ends[2]], np.float64)
