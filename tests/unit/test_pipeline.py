"""The line as one call: as a whole, and stage after stage as durable steps take it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.dicom.headers import read_instance
from node.domain.findings import Finding, finding
from node.domain.geometry import Grid
from node.domain.instance import Instance
from node.domain.plan import ModelRef, SctResult
from node.domain.sign_off import RESEARCH
from node.domain.stack import Stack
from node.domain.volume import Unit, Volume
from node.pipeline import (
    Planned,
    Report,
    Series,
    Stage,
    Synthesiser,
    Terms,
    Tools,
    Verdict,
    collect,
    run,
)
from tests.phantoms.mr import mr_series

MODEL = ModelRef(name="flat", version="1", sha256="ab" * 32, body_part="HEAD", spacing_mm=4.0)
TERMS = Terms(model=MODEL, route=None, software_version="1")


class Flat:
    """Water everywhere, with what it was told to say of it."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        self.calls = 0

    def synthesise(
        self, mr: Volume, grid: Grid, *, flips: bool = False, report: Report | None = None
    ) -> SctResult:
        """Fill the grid with 0 HU."""
        self.calls += 1
        sct = Volume(
            values=np.zeros(grid.shape, np.int16),
            affine=grid.affine,
            frame_of_reference_uid=mr.frame_of_reference_uid,
            unit=Unit.HU,
        )
        body = np.ones(grid.shape, np.bool_)
        return SctResult(
            sct=sct, uncertainty=None, body=body, findings=self.findings, runtime="flat"
        )


class Phantom:
    """A series in memory that counts how often its pixels are asked for."""

    def __init__(self) -> None:
        self.datasets = mr_series((24, 24, 24), (4.0, 6.0, 6.0)).datasets
        self.reads = 0

    def series(self) -> Series:
        """Give it as the line takes it."""
        return Series(stacks=collect(map(read_instance, self.datasets)), read=self._read)

    def _read(self, _stack: Stack) -> Mapping[str, Dataset]:
        self.reads += 1
        return {str(d.SOPInstanceUID): d for d in self.datasets}


def tools(synthesiser: Synthesiser) -> Tools:
    """Give the line that generator, whatever the model."""
    return Tools(generator=lambda _model: synthesiser)


def test_stage_after_stage_gives_the_bytes_of_one_call() -> None:
    """A durable step takes up what the step before has recorded, and nothing is made twice."""
    phantom, flat = Phantom(), Flat()
    series = phantom.series()
    whole = run(series, TERMS, tools(flat))
    assert len(whole.encoded) == 24
    assert (phantom.reads, flat.calls) == (1, 1)

    planned = run(series, TERMS, tools(flat), until=Stage.PLAN).planned
    assert planned is not None
    made = run(series, planned, tools(flat), until=Stage.SYNTHESISE)
    assert made.synthesis is not None
    assert not made.encoded
    with_result = replace(planned, result=made.synthesis.result)
    by_steps = run(series, with_result, tools(flat))

    assert [e.data for e in by_steps.encoded] == [e.data for e in whole.encoded]
    assert flat.calls == 2


@pytest.mark.parametrize("until", [Stage.CHECK, Stage.PLAN])
def test_before_synthesis_no_pixel_is_read(until: Stage) -> None:
    """Checks and plan need headers alone; the plan is made at its own stage."""
    phantom, flat = Phantom(), Flat()

    outcome = run(phantom.series(), TERMS, tools(flat), until=until)

    assert [e.verdict for e in outcome.examined] == [Verdict.ACCEPTED]
    assert (outcome.planned is None) == (until is Stage.CHECK)
    assert (phantom.reads, flat.calls) == (0, 0)


def test_an_sct_that_is_refused_is_not_written() -> None:
    """What synthesis said stands with the stack, and there is no CT."""
    grave = finding("INSTANCE_CONFLICT", uid="1.2")
    phantom = Phantom()

    outcome = run(phantom.series(), TERMS, tools(Flat(grave)))

    (examined,) = outcome.examined
    assert examined.verdict is Verdict.REFUSED
    assert examined.findings[-1] is grave
    assert outcome.synthesis is not None
    assert not outcome.encoded


def test_pixels_nobody_can_read_refuse_the_stack_with_their_reason() -> None:
    """The error is kept for who records the run, its finding for who reads the report."""
    phantom, flat = Phantom(), Flat()
    series = phantom.series()
    for dataset in phantom.datasets:
        dataset.PixelData = b"\0\0"

    outcome = run(series, TERMS, tools(flat))

    (examined,) = outcome.examined
    assert examined.verdict is Verdict.REFUSED
    assert outcome.refusal is not None
    assert examined.findings[-1].code == outcome.refusal.code
    assert (outcome.synthesis, outcome.encoded, flat.calls) == (None, (), 0)


def test_instances_that_contradict_each_other_refuse_their_stack() -> None:
    """A conflict of another stack's instance does not."""
    phantom, flat = Phantom(), Flat()
    series = phantom.series()
    uid = series.stacks[0].sop_instance_uids[0]
    own, other = (finding("INSTANCE_CONFLICT", uid=u, uids=[u]) for u in (uid, "1.2.3"))
    verdicts = []
    for conflict in (own, other):
        given = replace(series, conflicts=(conflict,))
        outcome = run(given, TERMS, tools(flat), until=Stage.CHECK)
        verdicts.append(outcome.examined[0].verdict)

    assert verdicts == [Verdict.REFUSED, Verdict.ACCEPTED]


def test_what_could_not_be_read_is_said_of_accepted_stacks() -> None:
    """Missing end slices leave no gap to see."""
    unread = finding("FILES_BESIDE", files=["b.dcm"])
    series = replace(Phantom().series(), unread=(unread,))

    outcome = run(series, TERMS, tools(Flat()), until=Stage.CHECK)

    assert outcome.examined[0].findings[-1] is unread


@pytest.mark.parametrize(("number", "label"), [(None, RESEARCH), (7, "CLINIC")])
def test_the_label_is_the_sites_where_the_model_is_signed_off(
    number: int | None, label: str
) -> None:
    """Every other sCT says that it is for research; the plan names the sign-off."""
    asked: list[Instance] = []

    def signed_off(header: Instance) -> int | None:
        asked.append(header)
        return number

    terms = replace(TERMS, label="CLINIC", signed_off=signed_off)
    series = Phantom().series()
    planned = run(series, terms, tools(Flat()), until=Stage.PLAN).planned

    assert isinstance(planned, Planned)
    assert (planned.plan.status_label, planned.plan.sign_off) == (label, number)
    assert asked == [series.stacks[0].header]
