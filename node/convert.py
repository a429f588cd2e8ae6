"""The line on a folder: what `pctnode convert` runs. No network, and no release policy.

An accepted stack gets a folder named by its sCT's Series Instance UID with ``ct/``, a folder for
each companion (`node.companions`) and ``report.json``. A folder appears whole or not at all, and
the same input gives the same bytes.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from node.companions import make_companions
from node.dicom.ct_series import EncodedInstance
from node.domain.codes.table import CODES
from node.domain.errors import Misconfigured, NodeError, Rejected, reason_of
from node.domain.findings import Finding, Severity, finding, finding_json, worst
from node.domain.plan import ModelRef, Plan
from node.domain.routing import FOLDER, choose
from node.domain.site import Route, Site
from node.folder_series import FolderSeries, series_of
from node.log import get_logger
from node.pipeline import (
    Examined,
    Report,
    Synthesis,
    Synthesiser,
    Terms,
    Tools,
    collect,
    examine,
    refusals,
    rules_for,
    run,
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReport:
    """What `convert` says of one stack, or of one file that belongs to no series."""

    series_instance_uid: str | None
    verdict: str
    """converted, refused, held, dropped, or failed for a defect of ours."""
    findings: tuple[Finding, ...]
    output: Path | None
    sct_series_instance_uid: str | None

    def as_json(self) -> dict[str, Any]:
        """The item of ``--json``."""
        return {
            "series_instance_uid": self.series_instance_uid,
            "verdict": self.verdict,
            "findings": [finding_json(f) for f in self.findings],
            "output": str(self.output) if self.output else None,
            "sct_series_instance_uid": self.sct_series_instance_uid,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionContext:
    """What a conversion needs besides the files."""

    site: Site
    model_named: Callable[[str], ModelRef]
    """Raises `Misconfigured` for an unknown name."""
    generator: Callable[[ModelRef], Synthesiser]
    default_model: Callable[[], ModelRef]
    model_name: str | None
    """Forced by ``--model``; None: the route's, or the only one there is."""
    software_version: str
    mark_synthetic: bool
    settings: Mapping[str, str] = field(default_factory=dict)
    """What changes pixels; see `node.domain.plan.Plan`."""


def convert_folder(
    source: Path, target: Path, context: ConversionContext, report: Report
) -> tuple[StackReport, ...]:
    """Convert every series of ``source`` into ``target``; a report for each stack and bad file."""
    if not source.is_dir():
        raise Misconfigured(f"There is no folder {source}.", remedy="Name a folder of DICOM files.")
    series, bad = series_of(source, report)
    reports = [r for one in series for r in _contained(one, target, context, report)]
    good = any(r.verdict in ("converted", "held") for r in reports)
    reports += [_bad_file(f, beside_good=good) for f in bad]
    return tuple(_non_images_forgiven(reports) if good else reports)


def exit_status(reports: Sequence[StackReport]) -> int:
    """1 for a defect of ours; 0 when one was converted and none refused or held; else 3."""
    verdicts = {r.verdict for r in reports}
    if "failed" in verdicts:
        return 1
    return 0 if "converted" in verdicts and not verdicts & {"refused", "held"} else 3


def examine_folder(
    source: Path, site: Site, model_named: Callable[[str], ModelRef]
) -> Iterator[tuple[str, Examined, Route | None, dict[str, str]]]:
    """For ``routes try``: each stack of each series, the route it takes, and why not the others."""
    series, _bad = series_of(source, lambda _word, _share: None)
    for one in series:
        choice = choose(site, one.instances[0], FOLDER)
        model = model_named(choice.route.model) if choice.route else None
        for examined in examine(collect(one.instances), rules_for(choice.route, model)):
            yield one.uid, examined, choice.route, choice.reasons


def _contained(
    series: FolderSeries, target: Path, context: ConversionContext, report: Report
) -> tuple[StackReport, ...]:
    """The reports of one series; what nobody foresaw ends this one and no other."""
    try:
        return _convert_series(series, target, context, report)
    except Misconfigured:
        raise  # of the site, not of this series
    except Exception as error:  # a series' edge: one must not end its neighbours
        if not isinstance(error, NodeError | OSError | MemoryError):
            log.exception("series_defect", series=series.uid)
        return (_ended(series, error),)


def _ended(series: FolderSeries, error: Exception) -> StackReport:
    """The report of a series whose work came to no end of its own."""
    rejected = isinstance(error, Rejected)
    found = (
        refusals(error) if isinstance(error, Rejected)
        else (finding("NODE_DEFECT", reason=reason_of(error)),)
    )  # fmt: skip
    return StackReport(
        series_instance_uid=series.uid,
        verdict="refused" if rejected else "failed",
        findings=found,
        output=None,
        sct_series_instance_uid=None,
    )


def _convert_series(
    series: FolderSeries, target: Path, context: ConversionContext, report: Report
) -> tuple[StackReport, ...]:
    terms = _terms(series, context)
    tools = Tools(generator=context.generator, mark_synthetic=context.mark_synthetic, report=report)
    outcome = run(series.on_the_line(), terms, tools)
    reports = [_not_converted(series.uid, examined) for examined in outcome.examined]
    if outcome.encoded and outcome.planned and outcome.synthesis:
        made = outcome.examined[outcome.planned.stack]
        reports[outcome.planned.stack] = _write_sct(
            series.uid, made, outcome.planned.plan, outcome.synthesis, outcome.encoded, target
        )
    return tuple(reports)


def _terms(series: FolderSeries, context: ConversionContext) -> Terms:
    route = choose(context.site, series.instances[0], FOLDER).route
    name = context.model_name or (route.model if route else None)
    return Terms(
        model=context.model_named(name) if name else context.default_model(),
        route=route,
        software_version=context.software_version,
        settings=context.settings,
    )


def _write_sct(
    uid: str,
    examined: Examined,
    plan: Plan,
    made: Synthesis,
    encoded: Sequence[EncodedInstance],
    target: Path,
) -> StackReport:
    """Write the CT with what goes beside it, as one folder."""
    findings = examined.findings
    beside = make_companions(made.mr, made.result, plan, encoded, findings)
    folder = target / encoded[0].series_instance_uid
    result = StackReport(
        series_instance_uid=uid,
        # Of the CT alone: a companion that could not be made is told and holds nothing back.
        verdict="held" if worst(findings) is Severity.HOLD else "converted",
        findings=(*findings, *beside.findings),
        output=folder,
        sct_series_instance_uid=encoded[0].series_instance_uid,
    )
    files = {f"ct/{e.instance_number:04d}.dcm": e.data for e in encoded}
    files |= {f"{role}/0001.dcm": e.data for role, e in beside.instances.items()}
    files["report.json"] = _report_bytes(result, plan, made.result.runtime, examined.stack.label)
    _write_whole(folder, files)
    return result


def _report_bytes(
    result: StackReport, plan: Plan, runtime: str, label: Sequence[tuple[str, str]]
) -> bytes:
    """The report of one stack; it holds no clock, so the same input gives the same bytes."""
    body = result.as_json() | {
        "output": None,
        "model": {
            "name": plan.model.name,
            "version": plan.model.version,
            "sha256": plan.model.sha256,
        },
        "runtime": runtime,
        "stack": dict(label),
        "grid": {"shape": list(plan.grid.shape), "spacing_mm": list(plan.grid.spacing_mm)},
        "software_version": plan.software_version,
    }
    del body["output"]
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def _write_whole(folder: Path, files: dict[str, bytes]) -> None:
    """Write ``files`` beside ``folder`` and move them there in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        for name, data in files.items():
            path = work / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        if folder.exists():
            shutil.rmtree(folder)
        work.chmod(0o755)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _not_converted(uid: str, examined: Examined) -> StackReport:
    return StackReport(
        series_instance_uid=uid,
        verdict=examined.verdict.value,
        findings=examined.findings,
        output=None,
        sct_series_instance_uid=None,
    )


def _bad_file(found: Finding, *, beside_good: bool) -> StackReport:
    dropped = found.severity is Severity.DROP and beside_good
    severity = found.severity if dropped else Severity(CODES[found.code].severity)
    return StackReport(
        series_instance_uid=None,
        verdict="failed" if found.code == "NODE_DEFECT" else "dropped" if dropped else "refused",
        findings=(replace(found, severity=severity),),
        output=None,
        sct_series_instance_uid=None,
    )


def _non_images_forgiven(reports: Iterable[StackReport]) -> Iterator[StackReport]:
    """A series of other objects (plans, reports) beside a good one is dropped, not refused."""
    for report in reports:
        only = {f.code for f in report.findings} & {"NOT_MR"}
        yield replace(report, verdict="dropped") if only and report.verdict == "refused" else report
