"""The steps of the line on a stored series. Each may run twice and says the same thing twice.

    collect -> check -> plan -> synthesise -> encode -> release

A step writes files by temporary name and rename, then one transaction; UIDs derive from the plan,
and the plan is recorded once.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from node.archive.evidence.conflicts import ARRIVAL
from node.archive.files import fsync_folder
from node.archive.headers.indexed_header import part10_values
from node.archive.schema.records import OutputFile, Run
from node.crashpoints import reach
from node.dicom.ct_series import EncodedInstance
from node.domain.door import incomplete
from node.domain.errors import Defect
from node.domain.figures import measured
from node.domain.findings import (
    Finding,
    Severity,
    finding,
    finding_json,
    read_finding,
    with_actions,
)
from node.domain.plan import SctResult
from node.domain.release import decide
from node.domain.routing import choose_for_all
from node.domain.sign_off import source_of
from node.domain.site import Route
from node.domain.states import State
from node.domain.storage import WORKED_ON, kind_of
from node.domain.wording import counted
from node.flow.plans import plan_json, read_plan
from node.flow.step_context import Bench
from node.flow.workfiles import (
    WorkFile,
    keep_for_view,
    pack_result,
    read_work,
    unpack_result,
    write_work,
)
from node.pipeline import Examined, Outcome, Planned, Report, Stage, Terms, Tools, Verdict
from node.pipeline import run as run_line

OUTPUTS = "outputs"
# Stage of the findings about how the route was found.
_ROUTE = "route"
_WRITERS = 8
# A progress sentence is one durable commit: not more often than a person looks.
_PROGRESS_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a step went."""

    sentence: str
    """For the timeline."""
    ended: bool = False
    """Whether the run has ended with it."""
    file: WorkFile | None = None
    """What it leaves for the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """Which route a series takes and what the checks say under it."""

    route: Route | None
    outcome: Outcome
    sentence: str
    """Why there is no route; empty when there is one."""
    told: tuple[Finding, ...] = ()
    """What is to be said of how the route was found."""

    @property
    def examined(self) -> tuple[Examined, ...]:
        return self.outcome.examined


def collect_series(bench: Bench, run: Run, _before: WorkFile | None) -> Done:
    """Read every instance and compare it with what was received; keep what is no MR at all."""
    bench.runs.compare_patients(run)
    kinds = {kind_of(s.sop_class_uid) for s in bench.runs.sources(run)}
    if kinds and not kinds & {*WORKED_ON}:
        names = ", ".join(sorted(kind or "other objects" for kind in kinds))
        sentence = f"Kept: no synthetic CT is made of {names}."
        bench.runs.finish(run.id, State.KEPT, sentence)
        return Done(sentence=sentence, ended=True)
    loaded = bench.load(run)
    if not loaded.stacks:
        raise Defect(f"Series {run.series_instance_uid} has no image.")
    instances = counted(len(loaded.datasets), "instance")
    return Done(sentence=f"{instances}, {counted(len(loaded.stacks), 'stack')}.")


def check_series(bench: Bench, run: Run, _before: WorkFile | None) -> Done:
    """Choose the route and run every check; the line ends here without a route or a good stack."""
    decision = _decide(bench, run)
    if decision.route is None:
        bench.runs.finish(run.id, State.KEPT, decision.sentence)
        return Done(sentence=decision.sentence, ended=True)
    found = [*_of_stacks(decision), *_of_route(decision)]
    found += [finding_json(f, stage=ARRIVAL) for f in bench.runs.aside(run)]
    found += [finding_json(f, stage="check") for f in _incomplete(bench, run, decision.route)]
    bench.runs.record_check(
        run.id, found, route=decision.route.name, model=run.model or decision.route.model
    )
    reach("check.recorded")
    if not any(e.verdict is Verdict.ACCEPTED for e in decision.examined):
        sentence = _refusal_sentence(decision.examined)
        bench.runs.finish(run.id, State.REFUSED, sentence)
        return Done(sentence=sentence, ended=True)
    return Done(sentence=f"Route {decision.route.name}; {counted(len(found), 'finding')}.")


def plan_series(bench: Bench, run: Run, _before: WorkFile | None) -> Done:
    """Record, once, everything that decides voxels and identity."""
    if run.plan is None:
        decision = _decide(bench, run, Stage.PLAN)
        planned = decision.outcome.planned
        if decision.route is None or planned is None:
            raise Defect("The routes changed between two steps; run the series again.")
        _judge_again(bench, run, decision, decision.route)
        bench.runs.record_plan(run.id, plan_json(planned.plan, stack=planned.stack))
    reach("plan.recorded")
    plan = _planned(bench, run).plan
    slices, rows, columns = plan.grid.shape
    spacing = plan.grid.spacing_mm[0]
    return Done(
        sentence=f"{plan.model.name} {plan.model.version}, {slices} slices of {rows} x {columns} "
        f"at {spacing:.3g} mm."
    )


def synthesise_series(bench: Bench, run: Run, _before: WorkFile | None) -> Done:
    """Run the generator and leave the sCT as a work file."""
    series, planned = bench.load(run).series(), _planned(bench, run)
    tools = _tools(bench, _Progress(bench, run))
    outcome = run_line(series, planned, tools, until=Stage.SYNTHESISE)
    if outcome.refusal is not None:
        raise outcome.refusal
    made = outcome.synthesis
    if made is None:
        raise Defect("The line made no synthetic CT and gave no reason.")
    bench.runs.record_quality(
        run.id, [finding_json(f, stage="quality") for f in made.result.findings]
    )
    source = source_of(series.stacks[planned.stack].header)
    bench.keep_figures(run.id, planned.plan.model.sha256, source, measured(made.result))
    file = write_work(bench.folder, work_name(run), pack_result(made.result))
    reach("synthesise.written")
    refusal = next((f for f in made.result.findings if f.severity is Severity.REFUSE), None)
    if refusal is not None:
        bench.runs.finish(run.id, State.REFUSED, refusal.sentence)
        return Done(sentence=refusal.sentence, ended=True)
    bench.keep_result(file.sha256, made.result)
    return Done(sentence=made.result.runtime, file=file)


def encode_series(bench: Bench, run: Run, before: WorkFile | None) -> Done:
    """Write the CT files, verified against the volume, and index them.

    What is indexed already stays as it is: a worker that comes late must not write over it.
    """
    if there := bench.runs.outputs(run.id):
        return Done(sentence=_written(there))
    planned = replace(_planned(bench, run), result=_result(bench, before))
    encoded = run_line(bench.load(run).series(), planned, _tools(bench)).encoded
    if not encoded:
        raise Defect("The line wrote no CT and gave no reason.")
    files = _write_outputs(bench, encoded, planned.stack)
    reach("encode.written")
    bench.runs.record_outputs(run.id, files)
    reach("encode.indexed")
    return Done(sentence=_written(files))


def release_series(bench: Bench, run: Run, _before: WorkFile | None) -> Done:
    """Apply the route's release policy: on its way, or held for a person."""
    plan = _planned(bench, run).plan
    decision = decide(plan.release, _standing(bench, run))
    if decision.released:
        bench.runs.release(run.id, plan.destinations, decision.sentence, who="policy")
    else:
        bench.runs.finish(run.id, State.REVIEW, decision.sentence)
    reach("release.decided")
    return Done(sentence=decision.sentence, ended=True)


STEPS: dict[str, tuple[str, Callable[[Bench, Run, WorkFile | None], Done]]] = {
    "collect": ("Reading the images.", collect_series),
    "check": ("Checking the images.", check_series),
    "plan": ("Planning the synthetic CT.", plan_series),
    "synthesise": ("Making the synthetic CT.", synthesise_series),
    "encode": ("Writing the synthetic CT.", encode_series),
    "release": ("Deciding whether it may leave.", release_series),
}
"""Name, what the page says meanwhile, and the step, in order."""


def work_name(run: Run) -> str:
    """What the names of the run's work files begin with."""
    return f"{run.series_instance_uid}-{run.revision}-{run.attempt}"


def tidy(bench: Bench, run: Run) -> None:
    """Leave the page what only the steps needed, with what no file of DICOM holds."""
    keep_for_view(bench.folder, work_name(run))
    bench.forget()


def _decide(bench: Bench, run: Run, until: Stage = Stage.CHECK) -> _Decision:
    loaded = bench.load(run)
    choice = choose_for_all(bench.site(), loaded.stacks[0].header, bench.runs.senders(run))
    if choice.route is None:
        why = "; ".join(f"{name}: {reason}" for name, reason in choice.reasons.items())
        told = f" ({why})" if why else ""
        sentence = f"Kept: no route asks for it{told}."
        return _Decision(route=None, outcome=Outcome(), sentence=sentence)
    terms = _terms(bench, run, choice.route)
    outcome = run_line(loaded.series(), terms, _tools(bench), until=until)
    return _Decision(route=choice.route, outcome=outcome, sentence="", told=choice.findings)


def _terms(bench: Bench, run: Run, route: Route) -> Terms:
    model = bench.model_named(run.model or route.model)
    return Terms(
        model=model,
        route=route,
        software_version=bench.rules.software_version,
        settings=bench.rules.settings,
        label=bench.rules.label,
        signed_off=lambda header: bench.signed_off(model.sha256, source_of(header)),
        revision=run.revision,
        attempt=run.attempt,
        # As the clock stands here: what is written into an image bears no time zone.
        created_at=run.created_at.astimezone(),
        predecessor_series_uid=run.predecessor_series_uid,
    )


def _tools(bench: Bench, report: Report | None = None) -> Tools:
    return Tools(
        generator=bench.generator, mark_synthetic=bench.rules.mark_synthetic, report=report
    )


def _of_stacks(decision: _Decision) -> list[dict[str, Any]]:
    return [
        finding_json(f, stage="check", stack=n, verdict=examined.verdict.value)
        for n, examined in enumerate(decision.examined)
        for f in examined.findings
    ]


def _of_route(decision: _Decision) -> list[dict[str, Any]]:
    return [finding_json(f, stage=_ROUTE) for f in decision.told]


def _judge_again(bench: Bench, run: Run, decision: _Decision, route: Route) -> None:
    """Bring the record of the check up to what the plan is made under.

    Route and model may have been changed since: what decides about release must be said of these.
    """
    found = [*_of_stacks(decision), *_of_route(decision)]
    recorded = bench.runs.findings(run.id)
    others = [f for f in recorded if "stack" not in f and f.get("stage") != _ROUTE]
    if found == [f for f in recorded if f not in others]:
        return
    model = run.model or route.model
    bench.runs.record_check(run.id, [*found, *others], route=route.name, model=model)


def _incomplete(bench: Bench, run: Run, route: Route) -> tuple[Finding, ...]:
    """Images that may be missing: missing end slices leave no gap to see.

    By the word of the archive, and by what happened at the door.
    """
    loaded = bench.load(run)
    study = loaded.stacks[0].header.study_instance_uid
    peers = [share.sender.peer for share in bench.runs.senders(run)]
    expected = bench.expected(run, study, [peer for peer in peers if peer])
    count = len(loaded.datasets)
    found = list(
        incomplete(bench.runs.evidence(run), expected=expected.instances if expected else None)
    )
    if expected is not None and count < expected.instances:
        found += [
            finding(
                "SERIES_INCOMPLETE", count=count, source=expected.peer, expected=expected.instances
            )
        ]
    return with_actions(found, route.actions)


def _refusal_sentence(examined: Sequence[Examined]) -> str:
    found = [f for e in examined for f in e.findings if f.severity is Severity.REFUSE]
    if not found:
        return "Refused: no stack can be used."
    more = f" {counted(len(found) - 1, 'more finding')}." if len(found) > 1 else ""
    return f"{found[0].sentence} {found[0].remedy}{more}"


def _planned(bench: Bench, run: Run) -> Planned:
    recorded = run.plan if run.plan is not None else bench.runs.get(run.id).plan
    if recorded is None:
        raise Defect("The plan of this run is not there.")
    plan, stack = read_plan(recorded)
    return Planned(plan=plan, stack=stack)


def _result(bench: Bench, file: WorkFile | None) -> SctResult:
    if file is None:
        raise Defect("The step before left no work file.")
    kept = bench.result(file.sha256)
    return unpack_result(read_work(bench.folder, file)) if kept is None else kept


def _written(files: Sequence[OutputFile]) -> str:
    size_mb = sum(f.size for f in files) / 1e6
    return f"{len(files)} CT images, {size_mb:.1f} MB, read back and compared."


def _write_outputs(
    bench: Bench, encoded: Sequence[EncodedInstance], stack: int
) -> list[OutputFile]:
    """Write the objects durably; a disk syncs files that come side by side at one go."""
    half = len(encoded) // 2
    files: list[OutputFile] = []
    with ThreadPoolExecutor(_WRITERS) as writers:
        for part in (encoded[:half], encoded[half:]):
            files += writers.map(lambda i: _write_output(bench, i, stack), part)
            if len(files) == half:
                reach("encode.partial")
    for folder in {PurePosixPath(file.path).parent for file in files}:
        fsync_folder(bench.folder.path(folder))
    return files


def _write_output(bench: Bench, instance: EncodedInstance, stack: int) -> OutputFile:
    name = PurePosixPath(OUTPUTS, instance.series_instance_uid, f"{instance.sop_instance_uid}.dcm")
    bench.folder.place(name, instance.data)
    return OutputFile(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        series_instance_uid=instance.series_instance_uid,
        number=instance.instance_number,
        kind="ct",
        stack=stack,
        path=str(name),
        size=len(instance.data),
        sha256=hashlib.sha256(instance.data).hexdigest(),
        values=part10_values(instance.data, instance.transfer_syntax_uid),
    )


def _standing(bench: Bench, run: Run) -> list[Finding]:
    """The findings that decide about release: those of the stack that was used."""
    number = _planned(bench, run).stack
    recorded = bench.runs.findings(run.id)
    return [_without_drop(f) for f in recorded if f.get("stack", number) == number]


def _without_drop(value: dict[str, Any]) -> Finding:
    found = read_finding(value)
    return replace(found, severity=Severity.INFO) if found.severity is Severity.DROP else found


class _Progress:
    """Says on the page how far a long step is."""

    def __init__(self, bench: Bench, run: Run) -> None:
        self._bench = bench
        self._run = run
        self._said_at = time.monotonic()

    def __call__(self, word: str, share: float) -> None:
        now = time.monotonic()
        if now - self._said_at < _PROGRESS_S:
            return
        self._said_at = now
        sentence = f"Making the synthetic CT: {word}, {share:.0%}."
        self._bench.runs.say(self._run.id, sentence)
