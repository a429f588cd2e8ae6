"""A 3D array that knows where it is and what its numbers mean."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Affine, Grid

Values: TypeAlias = NDArray[Any]


class Unit(StrEnum):
    """What the numbers of a volume mean."""

    SIGNAL = "signal"
    """MR intensity, arbitrary scale, after per-frame rescale."""
    HU = "HU"
    """Hounsfield units."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """Voxels with their place in patient space."""

    values: Values
    """(slices, rows, columns); int16 or float32, in ``unit``."""
    affine: Affine
    """4x4 float64: index (slice, row, column, 1) to LPS mm at the voxel centre."""
    frame_of_reference_uid: str
    """Space the positions live in; a synthetic CT keeps its MR's."""
    unit: Unit

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise ValueError(f"a volume has 3 axes, not {self.values.ndim}")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise ValueError("an affine is a finite 4x4 matrix")

    @property
    def grid(self) -> Grid:
        """The lattice the values stand on."""
        slices, rows, columns = self.values.shape
        return Grid(shape=(slices, rows, columns), affine=self.affine)
