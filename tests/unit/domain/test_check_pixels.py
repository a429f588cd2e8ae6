"""Checks of pixel values, on slices made by code."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from node.domain.checks.pixels import Pixels, run
from node.domain.findings import Severity
from node.domain.stack import split
from tests.unit.domain.headers import series

Values = NDArray[np.float32]
COUNT, SIDE = 60, 48


def head() -> Values:
    """A bright ellipsoid with structure, and noise that never repeats; 60 slices of 48 x 48."""
    z, y, x = np.mgrid[-1 : 1 : COUNT * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = (x / 0.7) ** 2 + (y / 0.8) ** 2 + (z / 0.9) ** 2 < 1
    tissue = 500 + 150 * np.cos(7 * x + 3 * z) * np.cos(5 * y - 4 * z)
    noise = np.random.default_rng(7).normal(0, 4, x.shape)
    return np.asarray(np.where(inside, tissue, 12) + np.abs(noise), np.float32)


def pixels(values: Values) -> Pixels:
    """The slices with headers of a faultless series."""
    flat = values.reshape(len(values), -1)
    return Pixels(
        stack=split(series(len(values)))[0],
        values=values,
        stored_low=flat.min(axis=1).astype(np.int64),
        stored_high=flat.max(axis=1).astype(np.int64),
    )


def scaled(values: Values) -> Values:
    """The slices 20 to 24 brighter than the rest."""
    values[20:25] *= 1.4
    return values


def darker(values: Values) -> Values:
    """One slice darker."""
    values[31] *= 0.7
    return values


def exchanged(a: int, b: int) -> Callable[[Values], Values]:
    """Two slices at each other's place."""

    def change(values: Values) -> Values:
        values[[a, b]] = values[[b, a]]
        return values

    return change


def repeated(values: Values) -> Values:
    """One slice filed in place of another."""
    values[40] = values[12]
    return values


def lost(values: Values) -> Values:
    """One slice without signal."""
    values[30] = 0
    return values


def beyond(values: Values) -> Values:
    """A value that 12 bits cannot hold."""
    values[5, 3, 3] = 5000
    return values


FAULTS: list[tuple[str, Callable[[Values], Values]]] = [
    ("SCALING_STEP", scaled),
    ("SCALING_STEP", darker),
    ("SLICE_ORDER", exchanged(20, 45)),
    ("SLICE_ORDER", exchanged(8, 9)),
    ("SLICE_REPEATED", repeated),
    ("SLICE_EMPTY", lost),
    ("PIXELS_RANGE", beyond),
    ("PIXELS_CONSTANT", np.zeros_like),
]


def test_a_good_stack_has_no_finding() -> None:
    """Empty slices at its ends included."""
    values = head()
    values[:3] = values[-2:] = 0

    assert run(pixels(values)) == ()


@pytest.mark.parametrize(("code", "change"), FAULTS)
def test_each_fault_has_its_code(code: str, change: Callable[[Values], Values]) -> None:
    """And names the slices."""
    found = {f.code: f for f in run(pixels(change(head())))}

    assert code in found
    assert found[code].severity in {Severity.HOLD, Severity.REFUSE}
    assert found[code].uids


def test_interleaved_brightness_passes() -> None:
    """Every other slice 8 % darker, as two packages of a 2D acquisition are."""
    values = head()
    values[::2] *= 0.92

    assert run(pixels(values)) == ()
