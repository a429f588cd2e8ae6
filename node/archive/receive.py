"""Receive one SOP instance: durable bytes and an index row, then the answer, never the other way.

C-STORE and STOW come through here alike. The order is fixed and tested by its system calls: write,
fsync, rename, fsync of the folder, database commit, return.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy.exc import DBAPIError

from node.archive import peek
from node.archive.compare import same_object
from node.archive.files import CONFLICTS, Folder, instance_name, part10_header
from node.archive.index import Index
from node.archive.records import Conflict, ReceivedHeader, StoredInstance
from node.crashpoints import reach
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

    data_set: bytes
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

    def receive(self, data_set: bytes, context: ReceiveContext) -> Receipt:
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
        self._check_space(len(arrival.data_set))
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
        return known.transfer_syntax_uid != arrival.context.transfer_syntax_uid and same_object(
            path, arrival.data_set, arrival.context.transfer_syntax_uid
        )

    def _check_space(self, size: int) -> None:
        free = self._folder.free_bytes() - size
        if free < self._min_free_bytes:
            raise Retryable(
                f"The disk has {max(free, 0) / 1e9:.2f} GB free and the node keeps "
                f"{self._min_free_bytes / 1e9:.2f} GB.",
                remedy="Free space in the node's data folder, or lower retention.min_free_gb.",
            )

    def _store(self, arrival: _Arrival) -> Receipt:
        path, size = self._write(arrival)
        stored = StoredInstance(
            sop_instance_uid=arrival.sop_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax_uid=arrival.context.transfer_syntax_uid,
            series_instance_uid=arrival.series_instance_uid,
            path=path,
            size=size,
            sha256=arrival.sha256,
            received_at=arrival.at,
        )
        reach("receive.renamed")
        self._index.add_instance(stored, arrival.header)
        reach("receive.indexed")
        # Another process may have indexed this UID since we looked; its row stands then.
        winner = self._index.find_instance(arrival.sop_instance_uid)
        if winner is not None and winner.sha256 != arrival.sha256:
            receipt = self._keep_aside(arrival, winner)
            (self._folder.root / path).unlink(missing_ok=True)
            return receipt
        return _receipt(arrival, Outcome.STORED, path)

    def _keep_aside(self, arrival: _Arrival, known: StoredInstance) -> Receipt:
        if known.sha256 == arrival.sha256:  # the row is there, its file was removed by hand
            path, _ = self._write(arrival)
            return _receipt(arrival, Outcome.DUPLICATE, path)
        path, size = self._write(arrival, folder=CONFLICTS)
        self._index.add_conflict(
            Conflict(
                sop_instance_uid=arrival.sop_instance_uid,
                series_instance_uid=arrival.series_instance_uid,
                path=path,
                size=size,
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

    def _write(self, arrival: _Arrival, **where: str) -> tuple[str, int]:
        name = instance_name(
            arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, **where
        )
        header = part10_header(
            sop_class_uid=arrival.sop_class_uid,
            sop_instance_uid=arrival.sop_instance_uid,
            transfer_syntax_uid=arrival.context.transfer_syntax_uid,
            source_ae=arrival.context.calling_ae,
        )
        self._folder.write(name, header, arrival.data_set)
        return str(name), len(header) + len(arrival.data_set)


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


def _identify(data_set: bytes, context: ReceiveContext, at: datetime) -> _Arrival:
    """Check who the instance says it is; raise `Rejected` where command and data set disagree."""
    if context.sop_instance_uid is not None and not is_uid(context.sop_instance_uid):
        raise Rejected(
            f"Affected SOP Instance UID {context.sop_instance_uid[:80]!r} is not a UID.",
            code="UID_INVALID",
            remedy="Correct the UID at the sender: digits in components joined by dots.",
        )
    values = peek.read_header(data_set, context.transfer_syntax_uid)
    sop_class = _uid(values, peek.SOP_CLASS_UID, "SOPClassUID")
    sop_instance = _uid(values, peek.SOP_INSTANCE_UID, "SOPInstanceUID")
    series = _uid(values, peek.SERIES_INSTANCE_UID, "SeriesInstanceUID")
    _require_equal("SOPClassUID", sop_class, context.sop_class_uid, "SOP_CLASS_MISMATCH")
    _require_equal(
        "SOPInstanceUID", sop_instance, context.sop_instance_uid, "SOP_INSTANCE_MISMATCH"
    )
    return _Arrival(
        data_set=data_set,
        sha256=hashlib.sha256(data_set).hexdigest(),
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
