"""How a series falls into stacks, and the lattice of one."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.stack import split, stack_grid
from tests.unit.domain.headers import framed, series


def copies(prefix: str, **changes: object) -> list:  # type: ignore[type-arg]
    """Make the series again under other UIDs with changed frames."""
    return [
        replace(framed(i, **changes), sop_instance_uid=f"{prefix}.{n}")
        for n, i in enumerate(series())
    ]


def test_one_volume_is_one_stack() -> None:
    """With nothing that sets it apart."""
    stacks = split(series())

    assert len(stacks) == 1
    assert stacks[0].label == ()


def test_magnitude_and_phase_are_told_apart() -> None:
    """By ComplexImageComponent."""
    stacks = split(series() + copies("7", complex_component="PHASE"))

    assert {s.label for s in stacks} == {
        (("ComplexImageComponent", "MAGNITUDE"),),
        (("ComplexImageComponent", "PHASE"),),
    }


def test_echoes_are_told_apart() -> None:
    """By EchoTime."""
    stacks = split(series() + copies("7", echo_time_ms=7.4))

    assert sorted(s.label for s in stacks) == [(("EchoTime", "2.5"),), (("EchoTime", "7.4"),)]


def test_acquisitions_are_told_apart_where_positions_coincide() -> None:
    """A second, complete acquisition is a volume of its own."""
    assert len(split(series() + copies("7", acquisition_number=2))) == 2


def test_acquisition_numbers_within_one_volume_do_not_split_it() -> None:
    """Interleaved 2D acquisitions number their packages."""
    instances = [framed(i, acquisition_number=n % 2) for n, i in enumerate(series())]

    assert len(split(instances)) == 1


def test_a_repeated_slice_is_no_second_volume() -> None:
    """It stays in the stack, where the duplicate check finds it."""
    again = replace(framed(series()[5], acquisition_number=2), sop_instance_uid="9.9")

    stacks = split([*series(), again])

    assert [len(s.slices) for s in stacks] == [121]


@pytest.mark.long
@given(seed=st.integers(0, 2**32))
def test_any_order_of_files_gives_one_stack(seed: int) -> None:
    """Order of arrival means nothing."""
    shuffled = series()
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - a shuffle, not a secret

    assert split(shuffled) == split(series())


def test_grid_follows_positions_not_thickness() -> None:
    """SliceThickness 3 mm, positions 1 mm apart."""
    instances = [framed(i, slice_thickness_mm=3.0) for i in series()]

    grid = stack_grid(split(instances)[0])

    assert grid.shape == (120, 240, 240)
    assert np.allclose(grid.spacing_mm, (1, 1, 1))
    assert np.allclose(grid.affine[:3, 3], (-120, -120, -80))
