"""The line on a folder: what `pctnode convert` runs. No network, and no release policy.

Each accepted stack gets a folder named by its sCT's Series Instance UID with ``ct/``, a folder for
each companion (`node.companions`) and ``report.json``. A folder appears whole or not at all, and
the same input gives the same bytes.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from node.companions import make_companions
from node.dicom.headers import read_file, read_instance
from node.dicom.meaning import differences
from node.dicom.unreadable import UNREADABLE
from node.domain.budget import BUDGET
from node.domain.checks.patient import refers_well
from node.domain.codes.table import CODES
from node.domain.difference import what_matters
from node.domain.errors import Misconfigured, NodeError, Rejected, reason_of
from node.domain.findings import Finding, Severity, finding, worst
from node.domain.instance import Instance
from node.domain.plan import ModelRef, Plan
from node.domain.routing import FOLDER, choose
from node.domain.site import Route, Site
from node.log import get_logger
from node.pipeline import (
    Examined,
    Report,
    Synthesiser,
    Verdict,
    collect,
    encode,
    examine,
    make_plan,
    refusals,
    rules_for,
    synthesise,
)

log = get_logger(__name__)

# PS3.10 7.1: a preamble of 128 bytes, then the letters.
_PREFIX = b"DICM"
_PREAMBLE = 128 + len(_PREFIX)
# What may have been an image of the series beside it.
_UNREAD = frozenset(
    {"FILE_EMPTY", "FILE_TRUNCATED", "FILE_MALFORMED", "FILE_UNREADABLE", "UID_MISSING"}
)
_NAMED = 5
# Suffixes of files that lie in DICOM folders on purpose and are no images.
_HARMLESS = (".txt", ".json", ".md", ".png", ".jpg", ".pdf", ".xml", ".html", ".csv", ".log")


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
class Workshop:
    """What a conversion needs besides the files."""

    site: Site
    model_named: Callable[[str], ModelRef]
    """Raises `Misconfigured` for an unknown name."""
    generator: Callable[[ModelRef], Synthesiser]
    default_model: Callable[[], ModelRef]
    model_name: str | None
    """Forced by ``--model``; None: the route's, or the only one there is."""
    software_version: str
    label: str
    mark_synthetic: bool
    settings: Mapping[str, str] = field(default_factory=dict)
    """What changes pixels; see `node.domain.plan.Plan`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    uid: str
    files: dict[str, Path]
    """SOP Instance UID to file."""
    instances: tuple[Instance, ...]
    conflicts: tuple[Finding, ...]


def finding_json(found: Finding) -> dict[str, Any]:
    """A finding as plain JSON values."""
    return {
        "code": found.code,
        "severity": found.severity.value,
        "sentence": found.sentence,
        "remedy": found.remedy,
        "values": dict(found.values),
        "uids": list(found.uids),
    }


def convert_folder(
    source: Path, target: Path, workshop: Workshop, report: Report
) -> tuple[StackReport, ...]:
    """Convert every series of ``source`` into ``target``; a report for each stack and bad file."""
    if not source.is_dir():
        raise Misconfigured(f"There is no folder {source}.", remedy="Name a folder of DICOM files.")
    series, bad = _scan(source, report)
    beside = _unread_beside(source, series, bad)
    reports = [r for s in series for r in _contained(s, target, workshop, report, beside[s.uid])]
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
    series, _bad = _scan(source, lambda _word, _share: None)
    for one in series:
        choice = choose(site, one.instances[0], FOLDER)
        model = model_named(choice.route.model) if choice.route else None
        for examined in examine(collect(one.instances), rules_for(choice.route, model)):
            yield one.uid, examined, choice.route, choice.reasons


def _scan(source: Path, report: Report) -> tuple[list[_Series], list[Finding]]:
    files = sorted(p for p in source.rglob("*") if p.is_file())
    found: dict[str, list[tuple[Instance, Path, bytes]]] = {}
    bad: list[Finding] = []
    for n, path in enumerate(files):
        report("read", n / len(files))
        name = str(path.relative_to(source))
        try:
            instance, data = _read(path, name)
        except Rejected as error:
            bad.append(_file_finding(error, name))
            continue
        except (OSError, MemoryError) as error:
            bad.append(finding("FILE_UNREADABLE", file=name, reason=reason_of(error)))
            continue
        except Exception as error:  # a file's edge: one must not end the reading of the others
            log.exception("file_defect", file=n)
            bad.append(finding("NODE_DEFECT", reason=f"{name}: {reason_of(error)}"))
            continue
        found.setdefault(instance.series_instance_uid, []).append((instance, path, data))
    shared = _shared(found)
    return [_one_series(uid, members, shared) for uid, members in sorted(found.items())], bad


def _read(path: Path, name: str) -> tuple[Instance, bytes]:
    data = _bytes_of(path)
    dataset = read_file(data, name=name)
    instance = read_instance(dataset)
    for attribute, value in (
        ("SeriesInstanceUID", instance.series_instance_uid),
        ("SOPInstanceUID", instance.sop_instance_uid),
    ):
        if not value:
            raise Rejected(attribute, code="UID_MISSING")
    return instance, data


def _bytes_of(path: Path) -> bytes:
    """The whole file; one that is no image by its beginning or its size is not read."""
    with path.open("rb") as file:
        head = file.read(_PREAMBLE)
        if head and head[_PREAMBLE - len(_PREFIX) :] != _PREFIX:
            raise Rejected("the letters DICM are not at byte 128", code="FILE_NOT_DICOM")
        size = path.stat().st_size
        if size > BUDGET.file_bytes:
            told = f"it has {size >> 20} MiB, and {BUDGET.file_bytes >> 20} MiB are read"
            raise Rejected(told, code="FILE_UNREADABLE")
        return head + file.read()


def _unread_beside(
    source: Path, series: Sequence[_Series], bad: Sequence[Finding]
) -> dict[str, tuple[str, ...]]:
    """By series, the files in its folders that may be images of it, and could not be read."""
    unread = [f.values["file"] for f in bad if _may_be_an_image(f)]
    found = {}
    for one in series:
        folders = {path.parent for path in one.files.values()}
        found[one.uid] = tuple(name for name in unread if (source / name).parent in folders)
    return found


def _may_be_an_image(found: Finding) -> bool:
    return found.code in _UNREAD and found.severity is not Severity.DROP and "file" in found.values


def _shared(found: Mapping[str, list[tuple[Instance, Path, bytes]]]) -> set[str]:
    """SOP Instance UIDs that several series claim: corrected, or given twice.

    An image that no sCT could refer to claims nothing against one of the same patient: it is
    refused for itself, and what is beside it stands.
    """
    images = {
        (uid, i.sop_instance_uid, i.patient_id, refers_well(i))
        for uid, members in found.items()
        for i, _, _ in members
    }
    claims = Counter(sop for _, sop, _, well in images if well)
    patients = Counter(sop for sop, _ in {(sop, patient) for _, sop, patient, _ in images})
    return {sop for _, sop, _, _ in images if claims[sop] > 1 or patients[sop] > 1}


def _one_series(
    uid: str, members: list[tuple[Instance, Path, bytes]], shared: Collection[str]
) -> _Series:
    """What says the same under one UID is one instance; what says something else, a conflict."""
    kept: dict[str, tuple[Instance, Path, bytes]] = {}
    conflicts: dict[str, Finding] = {}
    for instance, path, data in members:
        sop = instance.sop_instance_uid
        if sop in shared or (sop in kept and _contradict(kept[sop][2], data)):
            conflicts[sop] = finding("INSTANCE_CONFLICT", uid=sop, uids=[sop])
        kept.setdefault(sop, (instance, path, data))
    return _Series(
        uid=uid,
        files={sop: path for sop, (_, path, _) in kept.items()},
        instances=tuple(instance for instance, _, _ in kept.values()),
        conflicts=tuple(conflicts.values()),
    )


def _contradict(first: bytes, then: bytes) -> bool:
    try:
        return first != then and bool(what_matters(differences(BytesIO(first), BytesIO(then))))
    except UNREADABLE:
        return True  # what cannot be read cannot be shown to be the same


def _contained(
    series: _Series, target: Path, workshop: Workshop, report: Report, beside: Sequence[str]
) -> list[StackReport]:
    """The reports of one series; what nobody foresaw ends this one and no other."""
    reports: list[StackReport] = []
    try:
        reports.extend(_convert_series(series, target, workshop, report, beside))
    except Misconfigured:
        raise  # of the site, not of this series
    except Exception as error:  # a series' edge: one must not end its neighbours
        if not isinstance(error, NodeError | OSError | MemoryError):
            log.exception("series_defect", series=series.uid)
        reports.append(_ended(series, error))
    return reports


def _ended(series: _Series, error: Exception) -> StackReport:
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
    series: _Series, target: Path, workshop: Workshop, report: Report, beside: Sequence[str]
) -> Iterable[StackReport]:
    route = choose(workshop.site, series.instances[0], FOLDER).route
    name = workshop.model_name or (route.model if route else None)
    model = workshop.model_named(name) if name else workshop.default_model()
    for examined in examine(collect(series.instances), rules_for(route, model)):
        with_conflicts = _with_unread(_with_conflicts(examined, series.conflicts), beside)
        if with_conflicts.verdict is Verdict.ACCEPTED:
            yield _convert_stack(with_conflicts, series, target, workshop, route, model, report)
        else:
            yield _not_converted(series.uid, with_conflicts)


def _with_conflicts(examined: Examined, conflicts: tuple[Finding, ...]) -> Examined:
    own = set(examined.stack.sop_instance_uids)
    mine = tuple(c for c in conflicts if own & set(c.uids))
    if not mine:
        return examined
    found = (*mine, *examined.findings)
    return replace(examined, verdict=Verdict.REFUSED, findings=found)


def _with_unread(examined: Examined, beside: Sequence[str]) -> Examined:
    """What was there and could not be read may be missing: the synthetic CT is held."""
    if not beside or examined.verdict is not Verdict.ACCEPTED:
        return examined
    named = [*beside[:_NAMED], *(["…"] if len(beside) > _NAMED else [])]
    found = finding("FILES_BESIDE", files=named)
    return replace(examined, findings=(*examined.findings, found))


def _convert_stack(
    examined: Examined,
    series: _Series,
    target: Path,
    workshop: Workshop,
    route: Route | None,
    model: ModelRef,
    report: Report,
) -> StackReport:
    stack = examined.stack
    plan = make_plan(
        stack,
        model=model,
        route=route,
        software_version=workshop.software_version,
        settings=workshop.settings,
        label=workshop.label,
    )
    datasets = {u: _dataset(series.files[u]) for u in stack.sop_instance_uids}
    try:
        made = synthesise(stack, datasets, plan, workshop.generator(model), report)
    except Rejected as error:
        uids = stack.sop_instance_uids[:200]
        refused = replace(
            examined,
            verdict=Verdict.REFUSED,
            findings=(*examined.findings, *refusals(error, uids)),
        )
        return _not_converted(series.uid, refused)
    findings = (*examined.findings, *made.result.findings)
    gravest = worst(made.result.findings)
    if gravest is Severity.REFUSE:
        return _not_converted(
            series.uid, replace(examined, verdict=Verdict.REFUSED, findings=findings)
        )
    source = datasets[stack.header.sop_instance_uid]
    encoded = encode(made.result, plan, stack, source, mark_synthetic=workshop.mark_synthetic)
    beside = make_companions(made.mr, made.result, plan, encoded, findings)
    result = StackReport(
        series_instance_uid=series.uid,
        # Of the CT alone: a companion that could not be made is told and holds nothing back.
        verdict="held" if worst(findings) is Severity.HOLD else "converted",
        findings=(*findings, *beside.findings),
        output=target / encoded[0].series_instance_uid,
        sct_series_instance_uid=encoded[0].series_instance_uid,
    )
    files = {f"ct/{e.instance_number:04d}.dcm": e.data for e in encoded}
    files |= {f"{role}/0001.dcm": e.data for role, e in beside.instances.items()}
    files["report.json"] = _report_bytes(result, plan, made.result.runtime, stack.label)
    _write_whole(target / encoded[0].series_instance_uid, files)
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


def _dataset(path: Path) -> Dataset:
    return read_file(path.read_bytes(), name=path.name)


def _not_converted(uid: str, examined: Examined) -> StackReport:
    return StackReport(
        series_instance_uid=uid,
        verdict=examined.verdict.value,
        findings=examined.findings,
        output=None,
        sct_series_instance_uid=None,
    )


def _file_finding(error: Rejected, name: str) -> Finding:
    if error.code == "UID_MISSING":
        return finding("UID_MISSING", attribute=f"{error.message} of file {name}", file=name)
    reason = error.message.rstrip(".")
    made = finding(error.code, file=name, reason=reason)
    harmless = name.lower().endswith(_HARMLESS) or Path(name).name.upper() == "DICOMDIR"
    return replace(made, severity=Severity.DROP) if harmless else made


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
