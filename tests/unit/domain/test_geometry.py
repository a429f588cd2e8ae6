"""Affines, and the axial grid that covers a field of view."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.geometry import (
    Grid,
    affine_from_dicom,
    axial_grid,
    bounds_mm,
    index_from_lps,
    lps_from_index,
)

ANGLES = st.floats(-math.pi, math.pi)
SPACINGS = st.floats(0.3, 6.0)


def rotation(a: float, b: float, c: float) -> np.ndarray:
    """Make a rotation matrix from three angles."""
    ca, sa, cb, sb, cc, sc = (f(x) for x in (a, b, c) for f in (math.cos, math.sin))
    x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return np.asarray(x @ y @ z)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Draw any oblique, anisotropic grid, right- or left-handed."""
    turn = rotation(draw(ANGLES), draw(ANGLES), draw(ANGLES))
    shape = tuple(draw(st.integers(2, 40)) for _ in range(3))
    step = draw(SPACINGS) * draw(st.sampled_from([-1.0, 1.0]))
    affine = affine_from_dicom(
        position_mm=[draw(st.floats(-300, 300)) for _ in range(3)],
        orientation=[*turn[:, 0], *turn[:, 1]],
        pixel_spacing_mm=(draw(SPACINGS), draw(SPACINGS)),
        slice_step_mm=turn[:, 2] * step,
    )
    return Grid(shape=(shape[0], shape[1], shape[2]), affine=affine)


def test_affine_takes_row_index_along_the_column_direction() -> None:
    """PS3.3 equation C.7.6.2.1-1: PixelSpacing's first value is the distance between rows."""
    affine = affine_from_dicom(
        position_mm=(10, 20, 30),
        orientation=(1, 0, 0, 0, 1, 0),
        pixel_spacing_mm=(2, 3),
        slice_step_mm=(0, 0, 4),
    )

    assert lps_from_index(affine, (1, 0, 0)).tolist() == [10, 20, 34]
    assert lps_from_index(affine, (0, 1, 0)).tolist() == [10, 22, 30]
    assert lps_from_index(affine, (0, 0, 1)).tolist() == [13, 20, 30]


@given(grid=grids(), index=st.tuples(*[st.floats(-50, 50)] * 3))
def test_index_to_lps_and_back_is_identity(grid: Grid, index: tuple[float, ...]) -> None:
    """Whatever the orientation."""
    there = lps_from_index(grid.affine, index)

    assert np.allclose(index_from_lps(grid.affine, there), index, atol=1e-6)


@given(grid=grids(), spacing=st.sampled_from([1.0, 1.5, 2.0]))
def test_axial_grid_covers_the_field_of_view(grid: Grid, spacing: float) -> None:
    """No voxel of the source lies outside by more than a hundredth of a millimetre."""
    axial = axial_grid(grid, spacing_mm=spacing)

    low, high = bounds_mm(grid)
    axial_low, axial_high = bounds_mm(axial)
    assert (axial_low <= low + 0.01).all()
    assert (axial_high >= high - 0.01).all()
    assert (axial_high - axial_low <= high - low + axial.spacing_mm[0] + 0.01).all()


@given(grid=grids())
def test_axial_grid_is_written_without_rounding(grid: Grid) -> None:
    """Origin and spacing are multiples of 0.001 mm and the matrix stays within 512."""
    axial = axial_grid(grid, spacing_mm=1.0)

    numbers = [*axial.affine[:3, 3], axial.spacing_mm[0]]
    assert all(abs(v - round(v, 3)) < 1e-9 for v in numbers)
    assert max(axial.shape[1:]) <= 512


def test_axial_source_with_the_same_spacing_keeps_its_grid() -> None:
    """Nothing is resampled where nothing has to be."""
    affine = affine_from_dicom(
        position_mm=(-100, -120, -80),
        orientation=(1, 0, 0, 0, 1, 0),
        pixel_spacing_mm=(1, 1),
        slice_step_mm=(0, 0, 1),
    )
    source = Grid(shape=(160, 240, 200), affine=affine)

    assert axial_grid(source, spacing_mm=1.0).same_as(source)


def test_spacing_grows_rather_than_the_matrix() -> None:
    """700 mm at 1 mm would need 700 columns."""
    affine = affine_from_dicom(
        position_mm=(0, 0, 0),
        orientation=(1, 0, 0, 0, 1, 0),
        pixel_spacing_mm=(1, 1),
        slice_step_mm=(0, 0, 1),
    )
    axial = axial_grid(Grid(shape=(10, 300, 700), affine=affine), spacing_mm=1.0)

    assert axial.shape[2] <= 512
    assert axial.spacing_mm[0] == pytest.approx(700 / 512, abs=0.003)
