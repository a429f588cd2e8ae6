"""Gives what the journal made durable its file and its row, in groups, behind the sender's back.

Until then an instance is safe and cannot be found. That lasts some hundredths of a second; whoever
asks on an association of the same process waits for it, and a release is answered after it. What a
process that ended had not filed, `recover` files, in any process that has the data folder.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from node.archive import conflicts
from node.archive.arrival import Arrival, ReceiveContext, identify
from node.archive.files import CONFLICTS, Folder, fsync_folder, instance_name
from node.archive.index import Index
from node.archive.journal import JOURNAL, SUFFIX, Journal, Place, Record, claimed, metas, records
from node.archive.records import StoredInstance
from node.crashpoints import reach
from node.domain.errors import NodeError
from node.log import get_logger

log = get_logger(__name__)

SEGMENT_BYTES = 256 << 20
# Rows of one transaction.
_BATCH = 128
# Filing and receiving share the disk: it begins when nothing came for a moment, when the oldest has
# waited long enough, or when a good part of the journal is used.
_LULL_S, LATEST_S = 0.02, 0.5
# With small instances this, and not the segments' length, bounds what is held in memory.
_MOST_PENDING = 4096
_IDLE_S, _PATIENCE_S, _WAIT_S, _REWIND_S = 0.25, 0.5, 10.0, 1.0
# A row that the database refuses while it takes others would hold up everything behind it.
_TRIES = 3
_SERIES_AT = 7  # of the meta data
# Suffix of a segment that is being recovered.
_TAKEN = ".taken"
# Suffix of a segment with records that nobody can read.
_REFUSED = ".refused"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One acknowledged instance without a file."""

    arrival: Arrival
    descriptor: int
    """Of the segment."""
    offset: int
    place: Place | None = None
    """None where the segment was another process's."""


class Filer:
    """The journal of this process, and the thread that empties it."""

    def __init__(
        self,
        folder: Folder,
        index: Index,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        latest_s: float = LATEST_S,
    ) -> None:
        """``latest_s`` is how long an instance waits for its row while others still come."""
        self._folder = folder
        self._latest_s = latest_s
        self._index = index
        self._journal = Journal(folder.root / JOURNAL, segment_bytes=segment_bytes)
        self._change = threading.Condition()
        self._entries: deque[_Entry] = deque()
        self._pending: dict[str, str] = {}
        self._taken = self._done = 0
        self._waiting_bytes = 0
        self._hurry = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="filer", daemon=True)

    def start(self) -> None:
        """Begin; what arrives before the journal is ready goes the long way."""
        self._thread.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def pending(self, sop_instance_uid: str) -> str | None:
        """SHA-256 of the acknowledged instance of that UID that has no row yet, or None."""
        return self._pending.get(sop_instance_uid)

    def take(self, arrival: Arrival) -> bool:
        """Make an arrival durable and see to the rest; False, and nothing done, without room.

        An `OSError` says that it may not be safe.
        """
        data = arrival.data_set
        if not isinstance(data, bytes) or len(self._entries) >= _MOST_PENDING:
            return False
        digest = bytes.fromhex(arrival.sha256)
        place = self._journal.append(Record(meta=_meta(arrival), data=data, digest=digest))
        if place is None:
            return False
        arrival.data_set = b""
        entry = _Entry(arrival, place.segment.descriptor, place.offset, place)
        with self._change:
            self._pending[arrival.sop_instance_uid] = arrival.sha256
            self._entries.append(entry)
            self._taken += 1
            self._waiting_bytes += arrival.size
            if len(self._entries) == 1 or self._is_due():
                self._change.notify_all()
        return True

    def wait(self, timeout_s: float = _WAIT_S) -> bool:
        """Wait until everything taken so far is filed; False when that takes too long."""
        with self._change:
            target = self._taken
            if self._done >= target:
                return True
            self._hurry = True
            self._change.notify_all()
            return self._change.wait_for(lambda: self._done >= target, timeout_s)

    def stop(self) -> None:
        """File what is left and end; what cannot be filed stays in the journal."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._journal.open()
        except OSError as error:  # the long way works as well, or says what is wrong
            log.warning("journal_unavailable", reason=error.strerror or str(error))
        rewind_at, may_grow = 0.0, True
        while (batch := self._next()) is not None:
            if batch:
                self._file(batch)
            # Not after each of many small batches; but what is filed must not look as if it waited.
            if not batch or time.monotonic() >= rewind_at:
                self._rewind()
                rewind_at = time.monotonic() + _REWIND_S
            may_grow = may_grow and (bool(batch) or self._grow())
        self._journal.close()

    def _grow(self) -> bool:
        """Make the journal longer by a step; False when it has its length, or the disk no more."""
        try:
            return self._journal.extend()
        except OSError as error:
            log.warning("journal_stays_short", reason=error.strerror or str(error))
            return False

    def _next(self) -> list[_Entry] | None:
        """What to file next; empty when nothing came for a while, None at the end."""
        with self._change:
            self._change.wait_for(lambda: self._entries or self._stopping, _IDLE_S)
            if not self._entries:
                return None if self._stopping else []
            latest, seen = time.monotonic() + self._latest_s, -1
            while not self._is_due() and self._taken != seen and time.monotonic() < latest:
                seen = self._taken
                self._change.wait_for(self._is_due, _LULL_S)
            return [self._entries.popleft() for _ in range(min(_BATCH, len(self._entries)))]

    def _is_due(self) -> bool:
        many = self._waiting_bytes >= self._journal.segment_bytes
        return self._hurry or self._stopping or many

    def _file(self, batch: list[_Entry]) -> None:
        """File a batch, however often that takes."""
        tries = 0
        while batch:
            try:
                file_entries(self._folder, self._index, batch)
            except Exception as error:  # noqa: BLE001 - a thread's edge: it must go on
                log.warning("filing_failed", instances=len(batch), reason=_reason(error))
            else:
                self._forget(batch, filed=True)
                return
            if self._stopping:
                self._forget(batch, filed=False)
                return
            batch = self._one_by_one(batch, last=tries >= _TRIES)
            tries += 1
            if batch:
                with self._change:
                    self._change.wait_for(lambda: self._stopping, _PATIENCE_S)

    def _one_by_one(self, batch: Sequence[_Entry], *, last: bool) -> list[_Entry]:
        """File each by itself; what is left is to be tried again."""
        left = []
        for entry in batch:
            try:
                file_entries(self._folder, self._index, [entry])
            except Exception as error:  # noqa: BLE001 - as above
                final = last and not _may_pass(error)
                if not (final and _gave_up(self._folder, self._index, entry, error)):
                    left.append(entry)
                    continue
            self._forget([entry], filed=True)
        return left

    def _forget(self, batch: Sequence[_Entry], *, filed: bool) -> None:
        """Take entries as done; what is not filed stays in the journal, for the next start."""
        if filed:
            self._journal.filed([e.place for e in batch if e.place is not None])
        with self._change:
            for entry in batch:
                self._pending.pop(entry.arrival.sop_instance_uid, None)
                self._waiting_bytes -= entry.arrival.size
            self._done += len(batch)
            self._hurry = self._hurry and bool(self._entries)
            self._change.notify_all()

    def _rewind(self) -> None:
        try:
            self._journal.rewind()
        except OSError as error:  # nothing is lost: the records are filed, and would be again
            log.warning("journal_unavailable", reason=error.strerror or str(error))


def file_entries(folder: Folder, index: Index, entries: Sequence[_Entry]) -> None:
    """Files first, then their sync, then the rows: a row never lacks its file."""
    rows, paths = [], []
    for entry in entries:
        arrival, header = entry.arrival, entry.arrival.part10()
        paths.append(
            folder.place_part(arrival.name, header, entry.descriptor, entry.offset, arrival.size)
        )
        rows.append((arrival.stored(arrival.path, len(header) + arrival.size), arrival.header))
    folder.sync_all(paths)
    reach("receive.renamed")
    standing = index.add_instances(rows)
    reach("receive.indexed")
    for entry, (stored, _), row in zip(entries, rows, standing, strict=True):
        if row.sha256 != stored.sha256:
            conflicts.move_aside(folder, index, stored, entry.arrival.context.calling_ae)


def _segments(folder: Folder, suffix: str) -> list[Path]:
    return sorted((folder.root / JOURNAL).glob(f"*{suffix}"))


def _may_pass(error: Exception) -> bool:
    """Whether it is the disk's or the database's; else it is the row's, and trying is no use."""
    if isinstance(error, DBAPIError):
        return not isinstance(error, DataError | IntegrityError)
    return isinstance(error, OSError)


def _gave_up(folder: Folder, index: Index, entry: _Entry, error: Exception) -> bool:
    """Keep the file of an instance whose row cannot be written, and tell its series."""
    arrival = entry.arrival
    name = instance_name(
        arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, folder=CONFLICTS
    )
    try:
        path = folder.place_part(
            name, arrival.part10(), entry.descriptor, entry.offset, arrival.size
        )
        folder.sync_all([path])
        stored = arrival.stored(str(name), path.stat().st_size)
        calling = arrival.context.calling_ae
        conflicts.record(index, stored, calling, path=str(name), size=stored.size)
    except OSError as failure:
        log.warning("archive_unavailable", reason=failure.strerror)
        return False
    except DBAPIError as failure:  # what nobody is told of stays in the journal
        log.warning("index_unavailable", reason=_reason(failure))
        return False
    log.warning("filing_given_up", kept=str(name), reason=_reason(error))
    return True


def waiting_series(folder: Folder) -> set[str]:
    """Series with instances in a journal: some of them may have no row yet.

    A series must not settle before that: on a slow disk a row may come late.
    """
    found = set()
    for path in [*_segments(folder, SUFFIX), *_segments(folder, _TAKEN)]:
        with suppress(FileNotFoundError), path.open("rb") as file:
            found |= {json.loads(meta)[_SERIES_AT] for meta in metas(file.fileno())}
    return found


def recover(folder: Folder, index: Index) -> bool:
    """File what processes that have ended left in their journals.

    False while somebody else is about it. Raises `DBAPIError` and `OSError` when database or disk
    fail; nothing is lost then.
    """
    alone = True
    for path in [*_segments(folder, SUFFIX), *_segments(folder, _TAKEN)]:
        with suppress(FileNotFoundError), claimed(path) as descriptor:
            if descriptor is not None:
                _recover(folder, index, path, descriptor)
            elif path.suffix == _TAKEN:
                alone = False
    return alone


def refused(folder: Folder) -> list[str]:
    """Segments with records that nobody can read; what was acknowledged is in them alone."""
    return [str(path.relative_to(folder.root)) for path in _segments(folder, _REFUSED)]


def _file_or_give_up(folder: Folder, index: Index, entries: Sequence[_Entry]) -> None:
    """File a batch; raise what may pass, and keep aside what never can be filed."""
    try:
        file_entries(folder, index, entries)
    except Exception as error:  # what one row does to the driver must not stop all others
        if _may_pass(error):
            raise
        for entry in entries:
            try:
                file_entries(folder, index, [entry])
            except Exception as own:
                if _may_pass(own) or not _gave_up(folder, index, entry, own):
                    raise


def _recover(folder: Folder, index: Index, path: Path, descriptor: int) -> None:
    taken = path.rename(path.with_suffix(_TAKEN))
    count = refused = 0
    entries: list[_Entry] = []
    damaged: list[bytes] = []
    for meta, data, offset in records(descriptor):
        if data is None:
            damaged.append(meta)
            continue
        for lost in damaged:  # the last may have been cut off unacknowledged; these were not last
            _tell_lost(index, lost, taken.with_suffix(_REFUSED))
        refused += len(damaged)
        damaged.clear()
        count += 1
        try:
            context, at = read_meta(meta)
            arrival = identify(data, context, at)
            arrival.data_set = b""
        except (NodeError, ValueError) as error:
            log.warning("journal_record_refused", segment=path.name, reason=str(error))
            refused += 1
            continue
        entries.append(_Entry(arrival, descriptor, offset))
        if len(entries) == _BATCH:
            _file_or_give_up(folder, index, entries)
            entries = []
    _file_or_give_up(folder, index, entries)
    if refused:  # it was acknowledged: somebody has to look at it
        taken.rename(taken.with_suffix(_REFUSED))
    else:
        taken.unlink()
    fsync_folder(path.parent)
    if count:
        log.warning("journal_recovered", segment=path.name, instances=count, refused=refused)


def _tell_lost(index: Index, meta: bytes, segment: Path) -> None:
    """Let a series know of an acknowledged instance whose bytes the disk has changed since."""
    context, at = read_meta(meta)
    lost = StoredInstance(
        sop_instance_uid=context.sop_instance_uid or "",
        sop_class_uid=context.sop_class_uid or "",
        transfer_syntax_uid=context.transfer_syntax_uid,
        series_instance_uid=json.loads(meta)[_SERIES_AT],
        path=f"{JOURNAL}/{segment.name}",
        size=0,
        sha256="",
        received_at=at,
    )
    log.error("journal_record_damaged", segment=segment.name, sop_instance=lost.sop_instance_uid)
    conflicts.record(index, lost, context.calling_ae, path=lost.path, size=0)


def _meta(arrival: Arrival) -> bytes:
    """How it came, with what `identify` needs beside the data set."""
    context = arrival.context
    return json.dumps(
        [
            context.transfer_syntax_uid,
            context.calling_ae,
            context.called_ae,
            arrival.sop_class_uid,
            arrival.sop_instance_uid,
            context.peer,
            arrival.at.timestamp(),
            arrival.series_instance_uid,
        ]
    ).encode()


def read_meta(meta: bytes) -> tuple[ReceiveContext, datetime]:
    """How and when the instance of a record arrived."""
    syntax, calling, called, sop_class, sop_instance, peer, at_s, _series = json.loads(meta)
    context = ReceiveContext(
        transfer_syntax_uid=syntax,
        calling_ae=calling,
        called_ae=called,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        peer=peer,
    )
    return context, datetime.fromtimestamp(at_s, UTC)


def _reason(error: Exception) -> str:
    # `orig` is the driver's own sentence; the whole error would carry the row's values.
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)
