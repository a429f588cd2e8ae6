"""The series of a folder: its files read, sorted and compared, before the line sees them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset

from node.dicom.headers import read_file, read_instance
from node.dicom.meaning import differences
from node.dicom.unreadable import UNREADABLE
from node.domain.budget import BUDGET
from node.domain.checks.patient import refers_well
from node.domain.difference import what_matters
from node.domain.errors import Rejected, reason_of
from node.domain.findings import Finding, Severity, finding
from node.domain.instance import Instance
from node.domain.stack import Stack
from node.log import get_logger
from node.pipeline import Report, Series, collect

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


_Member = tuple[Instance, Path, bytes]
"""What a file says of itself, where it is, and its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSeries:
    """One series of a folder."""

    uid: str
    files: dict[str, Path]
    """SOP Instance UID to file."""
    instances: tuple[Instance, ...]
    conflicts: tuple[Finding, ...]
    unread: tuple[Finding, ...]
    """Of files beside its own that may be images of it."""

    def on_the_line(self) -> Series:
        """Give it as the line takes it; pixels are read when it asks for them."""
        return Series(
            stacks=collect(self.instances),
            read=self._read,
            conflicts=self.conflicts,
            unread=self.unread,
        )

    def _read(self, stack: Stack) -> dict[str, Dataset]:
        files = {uid: self.files[uid] for uid in stack.sop_instance_uids}
        return {uid: read_file(f.read_bytes(), name=f.name) for uid, f in files.items()}


def series_of(source: Path, report: Report) -> tuple[list[FolderSeries], list[Finding]]:
    """Read every file below ``source``: its series by UID, and what no series could be made of."""
    files = sorted(p for p in source.rglob("*") if p.is_file())
    found: dict[str, list[_Member]] = {}
    bad: list[Finding] = []
    for n, path in enumerate(files):
        report("read", n / len(files))
        read = _read_contained(path, str(path.relative_to(source)), n)
        if isinstance(read, Finding):
            bad.append(read)
        else:
            found.setdefault(read[0].series_instance_uid, []).append(read)
    shared = _shared(found)
    series = [_one_series(uid, members, shared) for uid, members in sorted(found.items())]
    return [_with_unread(one, source, bad) for one in series], bad


def _read_contained(path: Path, name: str, number: int) -> _Member | Finding:
    """The file, or what is said of it; one must not end the reading of the others."""
    try:
        instance, data = _read(path, name)
    except Rejected as error:
        return _file_finding(error, name)
    except (OSError, MemoryError) as error:
        return finding("FILE_UNREADABLE", file=name, reason=reason_of(error))
    except Exception as error:  # a file's edge: one must not end the reading of the others
        log.exception("file_defect", file=number)
        return finding("NODE_DEFECT", reason=f"{name}: {reason_of(error)}")
    return instance, path, data


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


def _with_unread(one: FolderSeries, source: Path, bad: Sequence[Finding]) -> FolderSeries:
    """Tell a series of the files in its folders that may be images of it: they may be missing."""
    folders = {path.parent for path in one.files.values()}
    unread = [f.values["file"] for f in bad if _may_be_an_image(f)]
    beside = [name for name in unread if (source / name).parent in folders]
    if not beside:
        return one
    named = [*beside[:_NAMED], *(["…"] if len(beside) > _NAMED else [])]
    return replace(one, unread=(finding("FILES_BESIDE", files=named),))


def _may_be_an_image(found: Finding) -> bool:
    return found.code in _UNREAD and found.severity is not Severity.DROP and "file" in found.values


def _shared(found: Mapping[str, list[_Member]]) -> set[str]:
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


def _one_series(uid: str, members: list[_Member], shared: Collection[str]) -> FolderSeries:
    """What says the same under one UID is one instance; what says something else, a conflict."""
    kept: dict[str, _Member] = {}
    conflicts: dict[str, Finding] = {}
    for instance, path, data in members:
        sop = instance.sop_instance_uid
        if sop in shared or (sop in kept and _contradict(kept[sop][2], data)):
            conflicts[sop] = finding("INSTANCE_CONFLICT", uid=sop, uids=[sop])
        kept.setdefault(sop, (instance, path, data))
    return FolderSeries(
        uid=uid,
        files={sop: path for sop, (_, path, _) in kept.items()},
        instances=tuple(instance for instance, _, _ in kept.values()),
        conflicts=tuple(conflicts.values()),
        unread=(),
    )


def _contradict(first: bytes, then: bytes) -> bool:
    try:
        return first != then and bool(what_matters(differences(BytesIO(first), BytesIO(then))))
    except UNREADABLE:
        return True  # what cannot be read cannot be shown to be the same


def _file_finding(error: Rejected, name: str) -> Finding:
    if error.code == "UID_MISSING":
        return finding("UID_MISSING", attribute=f"{error.message} of file {name}", file=name)
    reason = error.message.rstrip(".")
    made = finding(error.code, file=name, reason=reason)
    harmless = name.lower().endswith(_HARMLESS) or Path(name).name.upper() == "DICOMDIR"
    return replace(made, severity=Severity.DROP) if harmless else made
