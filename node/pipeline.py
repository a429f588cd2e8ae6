"""The line a series travels, as plain function calls: no engine, no disk, no network.

    collect -> examine -> make_plan -> synthesise -> encode

`node.convert` runs it on a folder, `node.flow` as durable steps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydicom.dataset import Dataset

from node.dicom.ct_series import EncodedInstance, encode_ct
from node.dicom.gate import verify
from node.dicom.pixels import mr_volume
from node.domain import checks
from node.domain.checks import Rules
from node.domain.errors import Defect, Rejected
from node.domain.findings import Finding, Severity, finding, worst
from node.domain.geometry import Grid, axial_grid
from node.domain.instance import Instance
from node.domain.plan import ModelRef, Plan, ReleasePolicy, SctResult
from node.domain.site import Route
from node.domain.stack import Stack, split, stack_grid
from node.domain.volume import Volume

Report = Callable[[str, float], None]
"""Progress: a word for the step, and how much of it is done, 0 to 1."""


class Verdict(StrEnum):
    """What becomes of a stack."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A stack with everything the checks said of it."""

    stack: Stack
    verdict: Verdict
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Synthesis:
    """The MR as it was read, and the sCT made of it."""

    mr: Volume
    result: SctResult


class Synthesiser(Protocol):
    """What the line needs of a generator."""

    def synthesise(self, mr: Volume, grid: Grid, *, report: Report | None = None) -> SctResult:
        """Make the synthetic CT of ``mr`` on ``grid``."""
        ...


def collect(instances: Iterable[Instance]) -> tuple[Stack, ...]:
    """Split the instances of one series into stacks; a repeated SOP instance counts once."""
    return split({i.sop_instance_uid: i for i in instances}.values())


def rules_for(route: Route | None, model: ModelRef | None = None) -> Rules:
    """What ``route`` allows and ``model`` was made for; the strictest where there is none."""
    rules = Rules()
    if route is not None:
        rules = replace(
            rules,
            allow_derived=route.allow_derived,
            assume_patient_position=route.assume_patient_position,
            allow_patient_positions=route.allow_patient_positions,
            distortion_corrected=route.distortion_corrected,
        )
    if model is not None:
        parts = (model.body_part, "BRAIN") if model.body_part == "HEAD" else (model.body_part,)
        rules = replace(rules, model=model.name, body_parts=parts)
    return rules


def examine(stacks: Sequence[Stack], rules: Rules) -> tuple[Examined, ...]:
    """Run every check on every stack of one series and give each its verdict.

    Set-aside stacks are harmless only beside a good one: where every stack was set aside, each is
    refused for the reason it was set aside. Several good stacks are refused together, since one
    series makes one sCT.
    """
    examined = tuple(_examine(stack, rules) for stack in stacks)
    accepted = [e for e in examined if e.verdict is Verdict.ACCEPTED]
    if len(accepted) > 1:
        return tuple(_ambiguous(e, accepted) for e in examined)
    if all(e.verdict is Verdict.DROPPED for e in examined):
        return tuple(_refused_instead(e) for e in examined)
    return examined


def make_plan(
    stack: Stack,
    *,
    model: ModelRef,
    route: Route | None = None,
    revision: int = 1,
    attempt: int = 0,
    software_version: str,
    created_at: datetime | None = None,
    settings: Mapping[str, str] | None = None,
    label: str = "RESEARCH",
    predecessor_series_uid: str | None = None,
) -> Plan:
    """Decide everything about the sCT of an accepted ``stack`` before a voxel is touched."""
    position = stack.header.patient_position
    declared = route.assume_patient_position if route else "HFS"
    return Plan(
        model=model,
        grid=axial_grid(stack_grid(stack), spacing_mm=model.spacing_mm),
        route=route.name if route else None,
        destinations=route.deliver_to if route else (),
        release=route.release if route else ReleasePolicy.SIGNATURE,
        revision=revision,
        attempt=attempt,
        software_version=software_version,
        created_at=created_at,
        patient_position=position or declared,
        settings=dict(settings or {}),
        predecessor_series_uid=predecessor_series_uid,
        status_label=label,
    )


def synthesise(
    stack: Stack,
    datasets: Mapping[str, Dataset],
    plan: Plan,
    generator: Synthesiser,
    report: Report | None = None,
) -> Synthesis:
    """Decode the MR and run the generator; raise `Rejected` for pixels nobody can read."""
    mr = mr_volume(stack, datasets)
    result = generator.synthesise(mr, plan.grid, report=report)
    if not result.sct.grid.same_as(plan.grid, tolerance_mm=1e-4):
        raise Defect("The generator answered on another grid than the plan's.")
    return Synthesis(mr=mr, result=result)


def encode(
    result: SctResult, plan: Plan, stack: Stack, source: Dataset, *, mark_synthetic: bool = True
) -> tuple[EncodedInstance, ...]:
    """Write the CT series and verify the written bytes against the volume."""
    encoded = tuple(encode_ct(result, plan, stack, source, mark_synthetic=mark_synthetic))
    verify(encoded, result.sct)
    return encoded


def refusal(error: Rejected, uids: Iterable[str] = ()) -> Finding:
    """The finding for an error met while reading: same code, same words."""
    return Finding(
        code=error.code,
        severity=Severity.REFUSE,
        sentence=error.message,
        remedy=error.remedy,
        uids=tuple(uids),
    )


def _examine(stack: Stack, rules: Rules) -> Examined:
    found = checks.run(stack, rules)
    verdict = Verdict.ACCEPTED
    if any(f.severity is Severity.DROP for f in found):
        verdict = Verdict.DROPPED
    elif worst(found) is Severity.REFUSE:
        verdict = Verdict.REFUSED
    return Examined(stack=stack, verdict=verdict, findings=found)


def _ambiguous(examined: Examined, accepted: Sequence[Examined]) -> Examined:
    if examined.verdict is not Verdict.ACCEPTED:
        return examined
    labels = [" ".join(f"{k} {v or 'empty'}" for k, v in e.stack.label) for e in accepted]
    found = finding(
        "STACKS_AMBIGUOUS",
        count=len(accepted),
        labels=labels,
        uids=examined.stack.sop_instance_uids[: checks.MAX_UIDS],
    )
    return replace(examined, verdict=Verdict.REFUSED, findings=(*examined.findings, found))


def _refused_instead(examined: Examined) -> Examined:
    found = tuple(
        replace(f, severity=Severity.REFUSE) if f.severity is Severity.DROP else f
        for f in examined.findings
    )
    return replace(examined, verdict=Verdict.REFUSED, findings=found)
