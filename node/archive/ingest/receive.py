"""Receive one SOP instance: durable first, then the answer, never the other way.

C-STORE and STOW come through here alike. Where the process has a journal
(`node.archive.ingest.journal_writer`), a record in it is what makes an instance durable, and its
file and row follow. Without one, where it has no room, and for what is too long for memory, the
order is: write, fsync, rename, fsync of the folder, database commit, return; the last two are
shared with whoever else is at that point (`node.archive.ingest.group_commit`). Both orders are
tested by their system calls.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path, PurePosixPath

from sqlalchemy.exc import DBAPIError

from node.archive.evidence import conflicts
from node.archive.evidence.compare import UNCOMPARED, opened
from node.archive.evidence.damage import Guard, held_instance
from node.archive.files import CONFLICTS, Folder, Spool, fsync_folder, instance_name
from node.archive.headers.arrival import Arrival, ReceiveContext, identify, part10, require_uid
from node.archive.ingest.group_commit import GroupCommit
from node.archive.ingest.journal_writer import Filer
from node.archive.rows.index import Index
from node.archive.schema.records import ReceivedHeader, StoredInstance
from node.crashpoints import reach
from node.domain.difference import Aspect, Difference
from node.domain.errors import Retryable
from node.log import get_logger

log = get_logger(__name__)

_LOCKS = 4096
# How long the disk's free space is taken as known, less what came since.
_ROOM_KNOWN_S = 0.1

_Row = tuple[Path, StoredInstance, ReceivedHeader]


class Outcome(StrEnum):
    """What became of an instance that was not refused."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    """It was there already, or says the same as what is; nothing changed."""
    CONFLICT = "conflict"
    """What is stored under its SOP Instance UID says something else; this one is kept aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The instance is safe."""

    outcome: Outcome
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    path: str
    """Where it lies, relative to the data folder; empty while only the journal has it."""
    study_instance_uid: str
    patient_id: str


class Receiver:
    """Puts instances into the archive; safe to use from several threads and processes."""

    def __init__(
        self,
        folder: Folder,
        index: Index,
        *,
        min_free_bytes: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        filer: Filer | None = None,
    ) -> None:
        self._folder = folder
        self._index = index
        self._min_free_bytes = min_free_bytes
        self._now = now
        self._filer = filer
        self._free, self._asked_at = 0, -_ROOM_KNOWN_S
        self._guard = Guard(index.engine, folder)
        self._turns = _Turns()
        self._group = GroupCommit(self._add_rows)

    def spool(self, context: ReceiveContext) -> AbstractContextManager[Spool]:
        """Begin a file for a data set that is too long for memory; `receive` takes it.

        Raises `Rejected` when the command's UIDs are none, and `Retryable` for a full disk.
        """
        class_uid, instance_uid = context.sop_class_uid or "", context.sop_instance_uid or ""
        require_uid("Affected SOP Class UID", class_uid)
        require_uid("Affected SOP Instance UID", instance_uid)
        self._check_space(0)
        return self._folder.spool(part10(class_uid, instance_uid, context))

    def require_room(self) -> None:
        """Raise `Retryable` for a full disk; asked while a long data set is still arriving."""
        self._check_space(0)

    def receive(self, data_set: bytes | Spool, context: ReceiveContext) -> Receipt:
        """Store ``data_set`` as it came; return once it is durable.

        The same object again changes nothing, however it is encoded. One that contradicts what is
        held under its SOP Instance UID is kept aside, and stops the series of that. Raises
        `Rejected` for what cannot be an instance, and `Retryable` when disk or database cannot take
        it now. Neither leaves anything half-written; when the database fails after the rename, a
        whole file without a row stays, which the repeat takes up.
        """
        arrival = identify(data_set, context, self._now())
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

    def wait_filed(self) -> None:
        """Wait until what was acknowledged so far has its file and row, so that queries find it."""
        if self._filer is not None:
            self._filer.wait()

    def _place(self, arrival: Arrival) -> Receipt:
        filer = self._filer
        if filer is not None:
            same = filer.has_same(arrival)
            if same:
                return _receipt(arrival, Outcome.DUPLICATE)
            if same is False:
                filer.wait()
        # The disk writes while the index is asked: most are new, and what is not is dropped.
        begun = filer.begin(arrival) if filer is not None else None
        try:
            receipt = self._beside_known(arrival)
            if receipt is None and filer is not None and begun is not None:
                filer.take(arrival, begun)
                begun = None
                return _receipt(arrival, Outcome.STORED)
        finally:
            if filer is not None and begun is not None:
                filer.drop(begun)
        return receipt or self._store(arrival)

    def _beside_known(self, arrival: Arrival) -> Receipt | None:
        """What becomes of another instance of a UID that is known; None when it is new."""
        known = self._index.find_instance(arrival.sop_instance_uid)
        version = None
        if known is not None:
            version = self._version(arrival, known)
            if version is None:
                return _receipt(arrival, Outcome.DUPLICATE, known.path)
        if not isinstance(arrival.data_set, Spool):  # a spooled one is on the disk already
            self._check_space(arrival.size)
        return self._keep_aside(arrival, known, version) if known and version else None

    def _version(self, arrival: Arrival, known: StoredInstance) -> conflicts.Version | None:
        """How an instance differs from the one that is known; None where it says the same."""
        gone = Difference(aspect=Aspect.EXAMINATION, attribute=UNCOMPARED, old="", new="")
        lost = conflicts.Version(differences=(gone,), identity={}, header=arrival.header)
        if known.sha256 == arrival.sha256:
            # Damaged, or removed by hand: what arrived is written again.
            return None if self._guard.is_intact(held_instance(known)) else lost
        if not self._guard.is_intact(held_instance(known)):  # nothing to compare with
            return lost
        with opened(arrival) as arrived:
            return conflicts.version_of(known, self._folder, arrived, arrival.header)

    def _check_space(self, size: int) -> None:
        # In the journal it lies a second time until it is filed.
        needed = size if self._filer is None else 2 * size
        now = time.monotonic()
        is_old = now - self._asked_at >= _ROOM_KNOWN_S
        if not size or is_old or self._free - needed < self._min_free_bytes:
            self._free, self._asked_at = self._folder.free_bytes(), now
        free = self._free = self._free - needed
        if free < self._min_free_bytes:
            raise Retryable(
                f"The disk has {max(free, 0) / 1e9:.2f} GB free and the node keeps "
                f"{self._min_free_bytes / 1e9:.2f} GB.",
                remedy="Free space in the node's data folder, or lower retention.min_free_gb.",
            )

    def _store(self, arrival: Arrival) -> Receipt:
        name = arrival.name
        target, size = self._place_file(arrival, name)
        stored = arrival.stored(arrival.path, size)
        standing = self._group.add((target.parent, stored, arrival.header))
        if standing.sha256 != arrival.sha256:
            # Another process has indexed this UID since we looked; its row stands.
            aside = conflicts.move_aside(
                self._folder, self._index, stored, arrival.header, standing
            )
            if aside is None:
                return _receipt(arrival, Outcome.DUPLICATE, standing.path)
            return _receipt(arrival, Outcome.CONFLICT, aside)
        return _receipt(arrival, Outcome.STORED, stored.path)

    def _add_rows(self, rows: Sequence[_Row]) -> Sequence[StoredInstance]:
        """Sync the folders where the files lie, then index them; the rows that stand."""
        for folder in dict.fromkeys(folder for folder, _, _ in rows):
            fsync_folder(folder)
        reach("receive.renamed")
        standing = self._index.add_instances([(stored, header) for _, stored, header in rows])
        reach("receive.indexed")
        return standing

    def _keep_aside(
        self, arrival: Arrival, known: StoredInstance, version: conflicts.Version
    ) -> Receipt:
        if known.sha256 == arrival.sha256:  # the row is there, its file is damaged or gone
            # The row is asked for again when the file lies there: retention may have forgotten it.
            receipt = replace(self._store(arrival), outcome=Outcome.DUPLICATE)
            self._guard.healed(arrival.sop_instance_uid)
            return receipt
        aside = instance_name(
            arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, folder=CONFLICTS
        )
        target, size = self._place_file(arrival, aside)
        fsync_folder(target.parent)
        reach("conflict.aside")
        calling = arrival.context.calling_ae
        stored = arrival.stored(str(aside), size)
        conflicts.record(self._index, stored, calling, path=str(aside), size=size, version=version)
        return _receipt(arrival, Outcome.CONFLICT, str(aside))

    def _place_file(self, arrival: Arrival, name: PurePosixPath) -> tuple[Path, int]:
        """Write and name the file: its path and its size."""
        header = arrival.part10()
        data_set = arrival.kept
        if isinstance(data_set, Spool):
            target = self._folder.place_spool(name, data_set)
        else:
            target = self._folder.place(name, header, data_set)
        return target, len(header) + arrival.size


class _Turns:
    """One thread of this process at a time for each SOP Instance UID.

    UIDs share locks, so that there is none to make and to remove; that two wait for each other
    without need is rare.
    """

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def of(self, uid: str) -> threading.Lock:
        """Hold it while the fate of ``uid`` is decided."""
        return self._locks[hash(uid) % _LOCKS]


def _receipt(arrival: Arrival, outcome: Outcome, path: str = "") -> Receipt:
    return Receipt(
        outcome=outcome,
        sop_class_uid=arrival.sop_class_uid,
        sop_instance_uid=arrival.sop_instance_uid,
        series_instance_uid=arrival.series_instance_uid,
        path=path,
        study_instance_uid=arrival.study_instance_uid,
        patient_id=arrival.patient_id,
    )
