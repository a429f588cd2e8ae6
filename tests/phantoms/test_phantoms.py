"""The phantoms are what they say, and each fault gets its code."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from node.dicom.headers import read_instance
from node.domain.checks.rules import Rules
from node.domain.findings import Severity
from node.domain.geometry import lps_from_index
from node.domain.stack import stack_grid
from node.pipeline import collect, examine
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms import signals
from tests.phantoms.faults import FAULTS, broken
from tests.phantoms.mr import ORIENTATIONS, MrSeries, enhanced_mr, mr_series, part10


def _codes(files: list[bytes]) -> list[str]:
    instances = [read_instance(pydicom.dcmread(BytesIO(file))) for file in files]
    examined = examine(collect(instances), Rules())
    return [found.code for stack in examined for found in stack.findings]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("build", [mr_series, enhanced_mr])
@pytest.mark.parametrize("reverse", [False, True])
def test_good_series_is_accepted_where_it_was_built(
    build: Callable[..., MrSeries], orientation: str, *, reverse: bool
) -> None:
    """A series of any orientation, classic or Enhanced, is one stack on its own grid."""
    series = build(orientation=orientation, reverse=reverse, centre_mm=(3.0, -8.0, 21.0))
    instances = [read_instance(pydicom.dcmread(BytesIO(file))) for file in series.files()]

    (stack,) = collect(instances)
    (examined,) = examine((stack,), Rules())

    said = [f for f in examined.findings if f.severity is not Severity.INFO]
    assert [f.code for f in said if f.code != "DISTORTION_UNKNOWN"] == []
    grid = stack_grid(stack)
    ends = {
        tuple(np.round(lps_from_index(g.affine, [e, 0, 0]), 4))
        for g in (grid, series.grid)
        for e in (0, grid.shape[0] - 1)
    }
    assert len(ends) == 2


@pytest.mark.parametrize("name", [n for n, fault in FAULTS.items() if not fault.in_pixels])
def test_fault_gets_its_code(name: str) -> None:
    """A series broken in one way is found out by the finding of that way."""
    codes = _codes([part10(dataset) for dataset in broken(name)])

    assert FAULTS[name].code in codes


def test_landmark_lies_where_it_was_put() -> None:
    """The centre of mass of a landmark on black is its place."""
    series = mr_series(
        (40, 44, 48),
        (1.0, 1.2, 1.1),
        "double_oblique",
        signal=signals.constant(0),
        landmark_mm=(4.3, -2.6, 5.1),
    )

    found = signals.centre_of_mass(series.values, series.grid.affine)

    assert np.abs(found - (4.3, -2.6, 5.1)).max() < 0.05


@pytest.mark.interop
def test_classic_series_is_valid(tmp_path: Path) -> None:
    """Dciodvfy has nothing against a classic phantom."""
    paths = mr_series(orientation="oblique").write(tmp_path)

    assert run_dciodvfy(paths[0]).errors == ()
