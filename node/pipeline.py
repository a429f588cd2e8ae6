"""The line a series travels, as plain function calls: no engine, no disk, no network.

    collect -> examine -> make_plan -> synthesise -> encode

`run` is the line as a whole: `node.convert` calls it once for each series of a folder, each durable
step of `node.flow` calls it as far as its own stage, with what the stages before have recorded.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydicom.dataset import Dataset

from node.dicom.ct_series import EncodedInstance, encode_ct
from node.dicom.output_checks import verify
from node.dicom.pixels import read_volume
from node.domain.checks import acceptance
from node.domain.checks.acceptance import Rules
from node.domain.checks.rules import uids_of
from node.domain.errors import Defect, Rejected
from node.domain.findings import Finding, Severity, Unusable, finding, with_actions, worst
from node.domain.geometry import Grid, axial_grid
from node.domain.instance import Instance
from node.domain.plan import ModelRef, Plan, ReleasePolicy, SctResult
from node.domain.sign_off import RESEARCH
from node.domain.site import Route
from node.domain.stack import Stack, between, going_on, split, stack_grid
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


class Stage(StrEnum):
    """How far `run` goes."""

    CHECK = "check"
    PLAN = "plan"
    SYNTHESISE = "synthesise"
    ENCODE = "encode"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One series as it was found, wherever it is stored."""

    stacks: tuple[Stack, ...]
    read: Callable[[Stack], Mapping[str, Dataset]]
    """The data sets of a stack by SOP Instance UID, pixels included."""
    conflicts: tuple[Finding, ...] = ()
    """Of instances that contradict each other: each refuses the stack whose UIDs it names."""
    unread: tuple[Finding, ...] = ()
    """Of what may belong to the series and could not be read; said of each accepted stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what a series is worked on: all that decides its plan besides the images."""

    model: ModelRef
    route: Route | None
    software_version: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """What changes pixels; see `Plan.settings`."""
    label: str = RESEARCH
    """Of an sCT whose model is signed off for its scanner; every other is `RESEARCH`."""
    signed_off: Callable[[Instance], int | None] = lambda _header: None
    """Number of the sign-off that covers the source of that header."""
    revision: int = 1
    attempt: int = 0
    created_at: datetime | None = None
    predecessor_series_uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """What earlier stages have decided, and made."""

    plan: Plan
    stack: int
    """Position in `Series.stacks`."""
    result: SctResult | None = None
    """The sCT, where it is made already."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """How far a series came, and what was said of it."""

    examined: tuple[Examined, ...] = ()
    """Every stack with its verdict, in order; what synthesis said of the planned one included.

    Empty where the plan was made before.
    """
    planned: Planned | None = None
    """None where no stack was accepted, or nothing was to be planned."""
    synthesis: Synthesis | None = None
    refusal: Rejected | None = None
    """Why the pixels of the planned stack could not be used."""
    encoded: tuple[EncodedInstance, ...] = ()


class Synthesiser(Protocol):
    """What the line needs of a generator."""

    def synthesise(
        self, mr: Volume, grid: Grid, *, flips: bool = False, report: Report | None = None
    ) -> SctResult:
        """Make the synthetic CT of ``mr`` on ``grid``; averaged with its mirror where asked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What makes and writes an sCT."""

    generator: Callable[[ModelRef], Synthesiser]
    mark_synthetic: bool = True
    report: Report | None = None


def run(
    series: Series, given: Terms | Planned, tools: Tools, *, until: Stage = Stage.ENCODE
) -> Outcome:
    """Take ``series`` along the line, from ``given`` to the end of stage ``until``.

    With `Terms` it is checked and planned first, with `Planned` these stages lie behind it. The
    line ends early where no stack is accepted, or where pixels or sCT are refused.
    """
    outcome = (
        Outcome(planned=given) if isinstance(given, Planned) else _decided(series, given, until)
    )
    planned = outcome.planned
    if planned is None or until in (Stage.CHECK, Stage.PLAN):
        return outcome
    stack = series.stacks[planned.stack]
    datasets = series.read(stack)
    result = planned.result
    if result is None:
        outcome = _synthesised(outcome, planned, stack, datasets, tools)
        result = outcome.synthesis.result if outcome.synthesis else None
    if result is None or until is Stage.SYNTHESISE or worst(result.findings) is Severity.REFUSE:
        return outcome
    source = datasets[stack.header.sop_instance_uid]
    encoded = encode(result, planned.plan, stack, source, mark_synthetic=tools.mark_synthetic)
    return replace(outcome, encoded=encoded)


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
            actions=route.actions,
        )
    return rules if model is None else _for_model(rules, model)


def _for_model(rules: Rules, model: ModelRef) -> Rules:
    parts = (model.body_part, "BRAIN") if model.body_part == "HEAD" else (model.body_part,)
    limits = model.limits
    return replace(
        rules,
        model=model.name,
        body_parts=parts,
        region=limits.region,
        field_strengths_t=limits.field_strengths_t,
        echo_time_ms=limits.echo_time_ms,
        repetition_time_ms=limits.repetition_time_ms,
        contrast_agent=limits.contrast_agent,
        least_fov_mm=limits.least_fov_mm,
        thickest_mm=limits.slice_limit_mm or rules.thickest_mm,
    )


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
    if len(examined) > 1:
        apart = tuple(_with_slices_apart(e, stacks) for e in examined)
        return tuple(_one_of(e, stacks) for e in _dropped_alone(apart))
    return _dropped_alone(examined)


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
    label: str = RESEARCH,
    sign_off: int | None = None,
    predecessor_series_uid: str | None = None,
) -> Plan:
    """Decide everything about the sCT of an accepted ``stack`` before a voxel is touched."""
    position = stack.patient_position
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
        actions={code: action.value for code, action in route.actions.items()} if route else {},
        settings=dict(settings or {}),
        predecessor_series_uid=predecessor_series_uid,
        status_label=label,
        sign_off=sign_off,
    )


def synthesise(
    stack: Stack,
    datasets: Mapping[str, Dataset],
    plan: Plan,
    generator: Synthesiser,
    report: Report | None = None,
) -> Synthesis:
    """Decode the MR and run the generator; raise `Rejected` for pixels nobody can read."""
    actions = {code: Severity(action) for code, action in plan.actions.items()}
    mr, seen = read_volume(stack, datasets)
    before = with_actions(seen, actions)
    if worst(before) is Severity.REFUSE:
        raise Unusable(before)
    result = generator.synthesise(
        mr, plan.grid, flips=plan.settings.get("flips") == "lr", report=report
    )
    if not result.sct.grid.same_as(plan.grid, tolerance_mm=1e-4):
        raise Defect("The generator answered on another grid than the plan's.")
    found = (*before, *with_actions(result.findings, actions))
    return Synthesis(mr=mr, result=replace(result, findings=found))


def encode(
    result: SctResult, plan: Plan, stack: Stack, source: Dataset, *, mark_synthetic: bool = True
) -> tuple[EncodedInstance, ...]:
    """Write the CT series and verify the written bytes against the volume."""
    encoded = tuple(encode_ct(result, plan, stack, source, mark_synthetic=mark_synthetic))
    verify(encoded, result.sct)
    return encoded


def refusals(error: Rejected, uids: Iterable[str] = ()) -> tuple[Finding, ...]:
    """The findings for an error met while reading: same code, same words."""
    if isinstance(error, Unusable):
        return error.findings
    return (
        Finding(
            code=error.code,
            severity=Severity.REFUSE,
            sentence=error.message,
            remedy=error.remedy,
            uids=tuple(uids),
        ),
    )


def _decided(series: Series, terms: Terms, until: Stage) -> Outcome:
    rules = rules_for(terms.route, terms.model)
    examined = tuple(_with_arrival(e, series) for e in examine(series.stacks, rules))
    numbers = (n for n, e in enumerate(examined) if e.verdict is Verdict.ACCEPTED)
    # `examine` lets no second stack stand.
    accepted = next(numbers, None)
    if accepted is None or until is Stage.CHECK:
        return Outcome(examined=examined)
    plan = _plan_under(terms, series.stacks[accepted])
    return Outcome(examined=examined, planned=Planned(plan=plan, stack=accepted))


def _with_arrival(examined: Examined, series: Series) -> Examined:
    """Add what was found out in bringing the series together."""
    own = set(examined.stack.sop_instance_uids)
    if mine := tuple(c for c in series.conflicts if own & set(c.uids)):
        found = (*mine, *examined.findings)
        return replace(examined, verdict=Verdict.REFUSED, findings=found)
    if examined.verdict is not Verdict.ACCEPTED:
        return examined
    return replace(examined, findings=(*examined.findings, *series.unread))


def _plan_under(terms: Terms, stack: Stack) -> Plan:
    sign_off = terms.signed_off(stack.header)
    return make_plan(
        stack,
        model=terms.model,
        route=terms.route,
        revision=terms.revision,
        attempt=terms.attempt,
        software_version=terms.software_version,
        created_at=terms.created_at,
        settings=terms.settings,
        label=RESEARCH if sign_off is None else terms.label,
        sign_off=sign_off,
        predecessor_series_uid=terms.predecessor_series_uid,
    )


def _synthesised(
    outcome: Outcome,
    planned: Planned,
    stack: Stack,
    datasets: Mapping[str, Dataset],
    tools: Tools,
) -> Outcome:
    """Make the sCT, and say of the planned stack what was said in making it."""
    plan = planned.plan
    try:
        made = synthesise(stack, datasets, plan, tools.generator(plan.model), tools.report)
    except Rejected as error:
        said = refusals(error, stack.sop_instance_uids[: acceptance.MAX_UIDS])
        return replace(_with_said(outcome, planned, said), refusal=error)
    return replace(_with_said(outcome, planned, made.result.findings), synthesis=made)


def _with_said(outcome: Outcome, planned: Planned, said: Sequence[Finding]) -> Outcome:
    refused = worst(said) is Severity.REFUSE
    examined = tuple(
        replace(
            e,
            verdict=Verdict.REFUSED if refused else e.verdict,
            findings=(*e.findings, *said),
        )
        if n == planned.stack
        else e
        for n, e in enumerate(outcome.examined)
    )
    return replace(outcome, examined=examined)


def _examine(stack: Stack, rules: Rules) -> Examined:
    found = acceptance.run(stack, rules)
    verdict = Verdict.ACCEPTED
    if any(f.severity is Severity.DROP for f in found):
        verdict = Verdict.DROPPED
    elif worst(found) is Severity.REFUSE:
        verdict = Verdict.REFUSED
    return Examined(stack=stack, verdict=verdict, findings=found)


def _dropped_alone(examined: tuple[Examined, ...]) -> tuple[Examined, ...]:
    if all(e.verdict is Verdict.DROPPED for e in examined):
        return tuple(_refused_instead(e) for e in examined)
    return examined


def _one_of(examined: Examined, stacks: Sequence[Stack]) -> Examined:
    """Say of an accepted stack that its series holds others, and whether they are its own ends."""
    if examined.verdict is not Verdict.ACCEPTED:
        return examined
    stack = examined.stack
    found = [finding("SERIES_SPLIT", count=len(stacks), label=_label(stack))]
    others = [s for s in stacks if s is not stack]
    if cut_off := going_on(stack, others):
        labels = {_label(s) for s in others if set(s.slices) & set(cut_off)}
        uids, label = uids_of(cut_off), sorted(labels)
        found.append(finding("STACK_CUT_OFF", count=len(cut_off), label=label, uids=uids))
    return replace(examined, findings=(*examined.findings, *found))


def _with_slices_apart(examined: Examined, stacks: Sequence[Stack]) -> Examined:
    """Say that slices are not missing where they are there, told apart from their volume."""
    gap = next((f for f in examined.findings if f.code == "SLICE_GAP"), None)
    if gap is None:
        return examined
    others = [s for s in stacks if s is not examined.stack]
    apart = between(examined.stack, others)
    if not apart:
        return examined
    labels = sorted({_label(s) for s in others if set(s.slices) & set(apart)})
    told = finding("SLICES_APART", count=len(apart), label=labels, uids=uids_of(apart))
    whole = len(apart) >= int(gap.values["missing"])
    kept = [f for f in examined.findings if not (whole and f is gap)]
    return replace(examined, findings=(*kept, told))


def _label(stack: Stack) -> str:
    return " ".join(f"{name} {value or '–'}" for name, value in stack.label)


def _ambiguous(examined: Examined, accepted: Sequence[Examined]) -> Examined:
    if examined.verdict is not Verdict.ACCEPTED:
        return examined
    labels = [_label(e.stack) for e in accepted]
    found = finding(
        "STACKS_AMBIGUOUS",
        count=len(accepted),
        labels=labels,
        uids=examined.stack.sop_instance_uids[: acceptance.MAX_UIDS],
    )
    return replace(examined, verdict=Verdict.REFUSED, findings=(*examined.findings, found))


def _refused_instead(examined: Examined) -> Examined:
    found = tuple(
        replace(f, severity=Severity.REFUSE) if f.severity is Severity.DROP else f
        for f in examined.findings
    )
    return replace(examined, verdict=Verdict.REFUSED, findings=found)
