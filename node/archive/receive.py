"""Receive one SOP instance: durable bytes and an index row, then the answer, never the other way.

C-STORE and STOW come through here alike. The order is fixed and tested by its system calls: write,
fsync, rename, fsync of the folder, database commit, return. The last two are shared with whoever
else is at that point (`node.archive.commit`).
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath

from sqlalchemy.exc import DBAPIError

from node.archive import peek
from node.archive.commit import GroupCommit
from node.archive.compare import same_object
from node.archive.files import (
    CONFLICTS,
    Folder,
    Spool,
    fsync_folder,
    instance_name,
    part10_header,
)
from node.archive.index import Index
from node.archive.records import Conflict, ReceivedHeader, StoredInstance
from node.domain.errors import Rejected, Retryable
from node.domain.names import is_uid
from node.log import get_logger

log = get_logger(__name__)


class Outcome(StrEnum):
    """What became of an instance that was not refused."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """It was there already; nothing changed."""
    CONFLICT = "conflict"
    """Another object of its SOP Instance UID is stored; this one is kept aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveContext:
    """How an instance arrived."""

    transfer_syntax_uid: str
    """Of the data set's bytes."""
    calling_ae: str
    """AE title of the sender; empty where there is none."""
    called_ae: str
    sop_class_uid: str | None = None
    """Affected SOP Class UID of the command; None where there is no command."""
    sop_instance_uid: str | None = None
    """Affected SOP Instance UID of the command; None where there is no command."""
    peer: str | None = None
    """Name of the peer that sent it; None for an unknown one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The instance is safe."""

    outcome: Outcome
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    path: str
    """Where it lies, relative to the data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """One instance whose identity has been checked."""

    data_set: bytes | Spool
    size: int
    """Bytes of the data set."""
    sha256: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    header: ReceivedHeader
    context: ReceiveContext
    at: datetime


class Receiver:
    """Puts instances into the archive; safe to use from several threads and processes."""

    def __init__(
        self,
        folder: Folder,
        index: Index,
        *,
        min_free_bytes: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = folder
        self._index = index
        self._min_free_bytes = min_free_bytes
        self._now = now
        self._turns = _Turns()
        self._group = GroupCommit(index.add_instances)

    def spool(self, context: ReceiveContext) -> AbstractContextManager[Spool]:
        """Begin a file for a data set that is too long for memory; `receive` takes it.

        Raises `Rejected` when the command's UIDs are none, and `Retryable` for a full disk.
        """
        class_uid, instance_uid = context.sop_class_uid or "", context.sop_instance_uid or ""
        _require_uid("Affected SOP Class UID", class_uid)
        _require_uid("Affected SOP Instance UID", instance_uid)
        self._check_space(0)
        return self._folder.spool(_part10(class_uid, instance_uid, context))

    def receive(self, data_set: bytes | Spool, context: ReceiveContext) -> Receipt:
        """Store ``data_set`` as it came; return once it and its index row are durable.

        The same object again changes nothing. Another object of the same SOP Instance UID is kept
        aside. Raises `Rejected` for what cannot be an instance, and `Retryable` when disk or
        database cannot take it now. Neither leaves anything half-written; when the database fails
        after the rename, a whole file without a row stays, which the repeat takes up.
        """
        arrival = _identify(data_set, context, self._now())
        try:
            with self._turns.of(arrival.sop_instance_uid):
                return self._place(arrival)
        except DBAPIError as error:
            # `orig` is the driver's own sentence; the whole error would carry the row's values.
            log.warning("index_unavailable", reason=str(error.orig))
            raise Retryable(
                "The database does not answer, so nothing can be acknowledged.",
                remedy="Send again; look at the node's database meanwhile.",
            ) from None
        except OSError as error:
            log.warning("archive_unavailable", reason=error.strerror)
            raise Retryable(
                f"The archive cannot be written: {error.strerror or error}.",
                remedy="Send again once the disk of the node's data folder takes writes.",
            ) from error

    def _place(self, arrival: _Arrival) -> Receipt:
        known = self._index.find_instance(arrival.sop_instance_uid)
        if known is not None and self._is_same(arrival, known):
            return _receipt(arrival, Outcome.DUPLICATE, known.path)
        if not isinstance(arrival.data_set, Spool):  # a spooled one is on the disk already
            self._check_space(arrival.size)
        if known is not None:
            return self._keep_aside(arrival, known)
        return self._store(arrival)

    def _is_same(self, arrival: _Arrival, known: StoredInstance) -> bool:
        path = self._folder.root / known.path
        if not path.exists():  # removed by hand: what arrived is written again, or kept aside
            return False
        if known.sha256 == arrival.sha256:
            return True
        # A sender that negotiates another transfer syntax the next time sends other bytes.
        data_set = arrival.data_set
        if isinstance(data_set, Spool):  # too long to be compared in memory while others wait
            return False
        syntax = arrival.context.transfer_syntax_uid
        return known.transfer_syntax_uid != syntax and same_object(path, data_set, syntax)

    def _check_space(self, size: int) -> None:
        free = self._folder.free_bytes() - size
        if free < self._min_free_bytes:
            raise Retryable(
                f"The disk has {max(free, 0) / 1e9:.2f} GB free and the node keeps "
                f"{self._min_free_bytes / 1e9:.2f} GB.",
                remedy="Free space in the node's data folder, or lower retention.min_free_gb.",
            )

    def _store(self, arrival: _Arrival) -> Receipt:
        target, name, size = self._place_file(arrival)
        stored = StoredInstance(
            sop_instance_uid=arrival.sop_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.context.transfer_syntax_uid,
            series_instance_uid=arrival.series_instance_uid,
            path=name,
            size=size,
            sha256=arrival.sha256,
            received_at=arrival.at,
        )
        standing = self._group.add(target.parent, stored, arrival.header)
        if standing.sha256 != arrival.sha256:
            # Another process has indexed this UID since we looked; its row stands.
            return self._move_aside(arrival, standing, target)
        return _receipt(arrival, Outcome.STORED, name)

    def _move_aside(self, arrival: _Arrival, standing: StoredInstance, target: Path) -> Receipt:
        aside = self._folder.path(self._name(arrival, folder=CONFLICTS))
        self._folder.rename(target, aside)
        fsync_folder(aside.parent)
        return self._record_conflict(arrival, standing, aside)

    def _keep_aside(self, arrival: _Arrival, known: StoredInstance) -> Receipt:
        if known.sha256 == arrival.sha256:  # the row is there, its file was removed by hand
            target, name, _size = self._place_file(arrival)
            fsync_folder(target.parent)
            return _receipt(arrival, Outcome.DUPLICATE, name)
        target, _name, _size = self._place_file(arrival, folder=CONFLICTS)
        fsync_folder(target.parent)
        return self._record_conflict(arrival, known, target)

    def _record_conflict(self, arrival: _Arrival, known: StoredInstance, aside: Path) -> Receipt:
        path = str(aside.relative_to(self._folder.root))
        self._index.add_conflict(
            Conflict(
                sop_instance_uid=arrival.sop_instance_uid,
                series_instance_uid=arrival.series_instance_uid,
                path=path,
                size=aside.stat().st_size,
                sha256=arrival.sha256,
                calling_ae=arrival.context.calling_ae,
                received_at=arrival.at,
            )
        )
        log.warning(
            "instance_conflict",
            sop_instance=arrival.sop_instance_uid,
            stored=known.path,
            aside=path,
        )
        return _receipt(arrival, Outcome.CONFLICT, path)

    def _name(self, arrival: _Arrival, **where: str) -> PurePosixPath:
        return instance_name(
            arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, **where
        )

    def _place_file(self, arrival: _Arrival, **where: str) -> tuple[Path, str, int]:
        """Write and name the file: its path, its name below the root, its size."""
        name = self._name(arrival, **where)
        header = _part10(arrival.sop_class_uid, arrival.sop_instance_uid, arrival.context)
        if isinstance(arrival.data_set, Spool):
            target = self._folder.place_spool(name, arrival.data_set)
        else:
            target = self._folder.place(name, header, arrival.data_set)
        return target, str(name), len(header) + arrival.size


class _Turns:
    """One thread of this process at a time for each SOP Instance UID."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._users: Counter[str] = Counter()

    @contextmanager
    def of(self, uid: str) -> Iterator[None]:
        with self._guard:
            lock = self._locks.setdefault(uid, threading.Lock())
            self._users[uid] += 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._users[uid] -= 1
                if not self._users[uid]:
                    del self._users[uid], self._locks[uid]


def _receipt(arrival: _Arrival, outcome: Outcome, path: str) -> Receipt:
    return Receipt(
        outcome=outcome,
        sop_class_uid=arrival.sop_class_uid,
        sop_instance_uid=arrival.sop_instance_uid,
        series_instance_uid=arrival.series_instance_uid,
        path=path,
    )


def _read_header(data_set: bytes | Spool, transfer_syntax_uid: str) -> Mapping[int, bytes]:
    if isinstance(data_set, Spool):
        start = len(data_set.header)
        return peek.read_header(data_set.mapped(), transfer_syntax_uid, start=start)
    return peek.read_header(data_set, transfer_syntax_uid)


def _sha256(data_set: bytes | Spool) -> str:
    return data_set.sha256 if isinstance(data_set, Spool) else hashlib.sha256(data_set).hexdigest()


def _part10(sop_class_uid: str, sop_instance_uid: str, context: ReceiveContext) -> bytes:
    return part10_header(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=context.transfer_syntax_uid,
        source_ae=context.calling_ae,
    )


def _require_uid(keyword: str, value: str) -> None:
    if not is_uid(value):
        raise Rejected(
            f"{keyword} {value[:80]!r} is not a UID.",
            code="UID_INVALID",
            remedy="Correct the UID at the sender: digits in components joined by dots.",
        )


def _identify(data_set: bytes | Spool, context: ReceiveContext, at: datetime) -> _Arrival:
    """Check who the instance says it is; raise `Rejected` where command and data set disagree."""
    if context.sop_instance_uid is not None:
        _require_uid("Affected SOP Instance UID", context.sop_instance_uid)
    values = _read_header(data_set, context.transfer_syntax_uid)
    sop_class = _uid(values, peek.SOP_CLASS_UID, "SOPClassUID")
    sop_instance = _uid(values, peek.SOP_INSTANCE_UID, "SOPInstanceUID")
    series = _uid(values, peek.SERIES_INSTANCE_UID, "SeriesInstanceUID")
    _require_equal("SOPClassUID", sop_class, context.sop_class_uid, "SOP_CLASS_MISMATCH")
    _require_equal(
        "SOPInstanceUID", sop_instance, context.sop_instance_uid, "SOP_INSTANCE_MISMATCH"
    )
    return _Arrival(
        data_set=data_set,
        size=data_set.size if isinstance(data_set, Spool) else len(data_set),
        sha256=_sha256(data_set),
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        series_instance_uid=series,
        header=_header(values, context),
        context=context,
        at=at,
    )


def _uid(values: Mapping[int, bytes], tag: int, keyword: str) -> str:
    value = peek.text(values, tag)
    if not value:
        raise Rejected(
            f"{keyword} is missing.",
            code="UID_MISSING",
            remedy="Export the series again, as the scanner made it.",
        )
    if not is_uid(value):
        raise Rejected(
            f"{keyword} is {value[:80]!r}, which is not a UID.",
            code="UID_INVALID",
            remedy="Export the series again, as the scanner made it.",
        )
    return value


def _require_equal(keyword: str, data_set: str, command: str | None, code: str) -> None:
    if command is not None and command != data_set:
        raise Rejected(
            f"{keyword} is {data_set} in the data set and {command} in the command.",
            code=code,
            remedy="The sender's database and file disagree; export the object again there.",
        )


def _header(values: Mapping[int, bytes], context: ReceiveContext) -> ReceivedHeader:
    return ReceivedHeader(
        study_instance_uid=_uid(values, peek.STUDY_INSTANCE_UID, "StudyInstanceUID"),
        patient_id=peek.text(values, peek.PATIENT_ID),
        patient_name=peek.text(values, peek.PATIENT_NAME),
        accession_number=peek.text(values, peek.ACCESSION_NUMBER),
        series_description=peek.text(values, peek.SERIES_DESCRIPTION),
        body_part=peek.text(values, peek.BODY_PART),
        modality=peek.text(values, peek.MODALITY),
        calling_ae=context.calling_ae,
        called_ae=context.called_ae,
        peer=context.peer,
        values=values,
        transfer_syntax_uid=context.transfer_syntax_uid,
    )
