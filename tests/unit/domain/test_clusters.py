"""Values that mean one are one, wherever they lie; what is apart stays apart."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.headers import read_file, read_instance
from node.domain.checks.rules import Rules
from node.domain.clusters import clusters
from node.domain.instance import Frame
from node.domain.stack import ECHO_TIME_MS, SAME_ORIENTATION, coinciding, split
from node.pipeline import collect, examine
from tests.realdata import unpack
from tests.unit.domain.headers import framed, series

_JITTER = st.lists(st.floats(0.0, 0.999), min_size=40, max_size=40)


@pytest.mark.long
@given(middle=st.floats(0.0, 300.0), jitter=_JITTER)
def test_jitter_within_the_tolerance_never_splits(middle: float, jitter: list[float]) -> None:
    """Whatever the value: there is no edge."""
    times = [middle + share * ECHO_TIME_MS * 0.99 for share in jitter]
    instances = [
        framed(i, echo_time_ms=time) for i, time in zip(series(40, step_mm=2.0), times, strict=True)
    ]

    (stack,) = split(instances)

    assert stack.label == ()


@pytest.mark.long
@given(
    first=st.floats(0.5, 100.0), apart=st.floats(3 * ECHO_TIME_MS, 50.0), jitter=_JITTER,
    other=_JITTER,
)  # fmt: skip
def test_two_echoes_always_do(
    first: float, apart: float, jitter: list[float], other: list[float]
) -> None:
    """However each jitters."""
    plain = series(40, step_mm=2.0)
    instances = [
        replace(
            framed(i, echo_time_ms=echo + share * ECHO_TIME_MS), sop_instance_uid=f"1.{number}.{n}"
        )
        for number, (echo, shares) in enumerate(((first, jitter), (first + apart, other)))
        for n, (i, share) in enumerate(zip(plain, shares, strict=True))
    ]

    stacks = split(instances)

    assert [len(stack.slices) for stack in stacks] == [40, 40]
    assert len({stack.label for stack in stacks}) == 2


@pytest.mark.long
@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.floats(0.0, 10.0))
def test_clusters_are_runs_without_a_gap(values: list[float], tolerance: float) -> None:
    """In order of the values, with a gap of more than the tolerance between two."""
    numbers = clusters(values, tolerance)

    ordered = sorted(zip(values, numbers, strict=True))
    for (low, a), (high, b) in pairwise(ordered):
        assert b - a == int(high - low > tolerance)


@given(
    cosine=st.floats(-0.9, 0.9),
    jitter=st.lists(st.floats(-0.5, 0.5), min_size=20, max_size=20),
)
def test_jitter_of_cosines_hides_no_repeated_position(cosine: float, jitter: list[float]) -> None:
    """Two images at one place are found though their cosines are not written alike."""
    row = (float(np.sqrt(1 - cosine**2)), 0.0, cosine)
    instances = [
        framed(i, orientation=(*row[:2], row[2] + share * SAME_ORIENTATION, 0.0, 1.0, 0.0))
        for i, share in zip(series(20, step_mm=5.0), jitter, strict=True)
    ]
    again = replace(instances[7], sop_instance_uid="9.9")
    frames: list[Frame] = [i.frames[0] for i in instances]

    pairs = coinciding([s for stack in split([*instances, again]) for s in stack.slices])

    assert len(frames) == 20
    assert len(pairs) == 1


def test_a_slice_that_another_value_sets_apart_is_not_called_missing() -> None:
    """The sentence names what tells it apart."""
    instances = [framed(i, temporal_position=2 if n == 50 else 1) for n, i in enumerate(series())]

    found = examine(collect(instances), Rules())

    codes = {f.code for e in found for f in e.findings}
    assert "SLICE_GAP" not in codes
    (told,) = (f for e in found for f in e.findings if f.code == "SLICES_APART")
    assert "TemporalPosition 2" in told.sentence


def test_the_position_of_the_others_is_planned_where_the_first_slice_lacks_it() -> None:
    """Not the one a route declares for images without any."""
    instances = [replace(i, patient_position="" if n == 0 else "FFS") for n, i in
                 enumerate(series())]  # fmt: skip

    (stack,) = split(instances)

    assert stack.patient_position == "FFS"


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("item", "echoes"),
    [
        ("mr-multiecho/philips-fieldmap-2echo-mag-and-phase-classic.tar.xz", 2),
        ("mr-enhanced/siemens-xa30-fieldmap-2echo-mag-and-phase", 2),
    ],
)
def test_the_echoes_of_real_field_maps_are_apart(
    item: str, echoes: int, real_data: Path, tmp_path: Path
) -> None:
    """2.3 and 4.6 ms, 10 and 12.46 ms."""
    path = real_data / item
    files = unpack(path, tmp_path) if path.suffix == ".xz" else sorted(path.rglob("*.dcm"))
    instances = [read_instance(read_file(f.read_bytes(), name=f.name)) for f in files]
    magnitude = [i for i in instances if i.frames[0].complex_component == "MAGNITUDE"]
    uids = {i.series_instance_uid for i in magnitude}

    stacks = [
        stack
        for uid in uids
        for stack in split(i for i in magnitude if i.series_instance_uid == uid)
    ]

    times = {round(stack.first.frame.echo_time_ms or 0, 2) for stack in stacks}
    assert len(stacks) == len(times) == echoes
