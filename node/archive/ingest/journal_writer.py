"""Gives what the journal made durable its file and its row, in groups, behind the sender's back.

Until then an instance is safe and cannot be found. That lasts some hundredths of a second; whoever
asks on an association of the same process waits for it, and a release is answered after it. What a
process that ended had not filed, `node.archive.ingest.recovery` files.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Self

from sqlalchemy.exc import DBAPIError

from node.archive.files import Folder
from node.archive.headers.arrival import Arrival
from node.archive.ingest.journal import BEAT_S, JOURNAL, REFUSED, Journal, Place, Record, crc
from node.archive.ingest.journal_entry import (
    Damaged,
    Entry,
    gave_up,
    may_pass,
    meta_of,
    name_of,
    reason_of,
    tell_lost,
    try_to_file,
)
from node.archive.rows.index import Index
from node.domain.errors import Defect
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


class Filer:
    """The journal of this process, and the thread that empties it."""

    def __init__(
        self,
        folder: Folder,
        index: Index,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        latest_s: float = LATEST_S,
        shared: bool = False,
    ) -> None:
        """``latest_s`` is how long an instance waits for its row while others still come.

        ``shared``: other machines may reach the folder.
        """
        self._folder = folder
        self._latest_s = latest_s
        self._index = index
        journal = folder.root / JOURNAL
        self._journal = Journal(journal, segment_bytes=segment_bytes, shared=shared)
        self._ended = threading.Event()
        self._change = threading.Condition()
        self._entries: deque[Entry] = deque()
        self._pending: dict[str, Entry] = {}
        self._taken = self._done = 0
        self._waiting_bytes = 0
        self._hurry = self._stopping = False
        self._thread = threading.Thread(target=self._run, name="filer", daemon=True)
        # Of its own: filing may wait long for disk or database.
        self._pulse = threading.Thread(target=self._beat, name="journal-beat", daemon=True)

    def start(self) -> None:
        """Begin; what arrives before the journal is ready goes the long way."""
        self._thread.start()
        self._pulse.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def has_same(self, arrival: Arrival) -> bool | None:
        """Whether the acknowledged instance of that UID has the same bytes; None without one.

        None as well when it got its row meanwhile: then the index knows.
        """
        entry = self._pending.get(arrival.sop_instance_uid)
        if entry is None:
            return None
        kept = os.pread(entry.descriptor, entry.place.size, entry.place.offset)
        if self._pending.get(arrival.sop_instance_uid) is not entry:
            return None
        return kept == arrival.data_set

    def begin(self, arrival: Arrival) -> Place | None:
        """Write an arrival while it is not decided yet whether it is to be kept; None without room.

        Its place is then to be given to `take`, or to `drop`. An `OSError` says that the journal
        could not be written.
        """
        data = arrival.data_set
        if not isinstance(data, bytes) or len(self._entries) >= _MOST_PENDING:
            return None
        record = Record(meta=meta_of(arrival), data=data, crc=crc(data), name=name_of(arrival))
        return self._journal.write(record)

    def drop(self, place: Place) -> None:
        """Forget what was begun; it was not acknowledged, and a process that recovers skips it."""
        self._journal.drop(place)

    def take(self, arrival: Arrival, place: Place) -> None:
        """Make what was begun durable and see to the rest.

        An `OSError` says that it may not be safe; it is then to be dropped.
        """
        segment = place.segment
        if segment is None:
            raise Defect("A record of another process is taken.")
        self._journal.sync(place)
        arrival.data_set = None
        entry = Entry(arrival, segment.descriptor, place)
        with self._change:
            self._pending[arrival.sop_instance_uid] = entry
            self._entries.append(entry)
            self._taken += 1
            self._waiting_bytes += arrival.size
            if len(self._entries) == 1 or self._is_due():
                self._change.notify_all()

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
        self._ended.set()
        self._pulse.join()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            self._journal.beat()

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
            may_grow = self._renew() or may_grow
        self._rewind()  # what was lost just now is set aside, and not taken for a cut-off end
        self._journal.close()

    def _grow(self) -> bool:
        """Make the journal longer by a step; False when it has its length, or the disk no more."""
        try:
            return self._journal.extend()
        except OSError as error:
            log.warning("journal_stays_short", reason=error.strerror or str(error))
            return False

    def _renew(self) -> bool:
        """Make segments anew where none can be used any more; whether there are new ones."""
        try:
            return self._journal.renew()
        except OSError as error:
            log.warning("journal_unavailable", reason=error.strerror or str(error))
            return False

    def _next(self) -> list[Entry] | None:
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

    def _file(self, batch: list[Entry]) -> None:
        """File a batch, however often that takes."""
        tries = 0
        while batch:
            error = try_to_file(self._folder, self._index, batch)
            if error is None:
                self._forget(batch, filed=True)
                return
            log.warning("filing_failed", instances=len(batch), reason=reason_of(error))
            if self._stopping:
                self._forget(batch, filed=False)
                return
            batch = self._one_by_one(batch, last=tries >= _TRIES)
            tries += 1
            if batch:
                with self._change:
                    self._change.wait_for(lambda: self._stopping, _PATIENCE_S)

    def _one_by_one(self, batch: Sequence[Entry], *, last: bool) -> list[Entry]:
        """File each by itself; what is left is to be tried again."""
        left = []
        for entry in batch:
            error = try_to_file(self._folder, self._index, [entry])
            if error is not None:
                final = last and not may_pass(error)
                if final and isinstance(error, Damaged) and self._told_lost(entry):
                    self._forget([entry], filed=False)
                    continue
                if not (final and gave_up(self._folder, self._index, entry, error)):
                    left.append(entry)
                    continue
            self._forget([entry], filed=True)
        return left

    def _told_lost(self, entry: Entry) -> bool:
        segment = entry.place.segment
        if segment is None:
            return False
        try:
            tell_lost(self._index, meta_of(entry.arrival), segment.path.with_suffix(REFUSED))
        except DBAPIError as error:
            log.warning("index_unavailable", reason=reason_of(error))
            return False
        self._journal.lose(segment)
        return True

    def _forget(self, batch: Sequence[Entry], *, filed: bool) -> None:
        """Take entries as done; what is not filed stays in the journal, for the next start."""
        with self._change:
            for entry in batch:
                self._pending.pop(entry.arrival.sop_instance_uid, None)
        if filed:  # from here on another record may lie where theirs did
            self._journal.filed([e.place for e in batch])
        with self._change:
            for entry in batch:
                self._waiting_bytes -= entry.arrival.size
            self._done += len(batch)
            self._hurry = self._hurry and bool(self._entries)
            self._change.notify_all()

    def _rewind(self) -> None:
        try:
            self._journal.rewind()
        except OSError as error:  # nothing is lost: the records are filed, and would be again
            log.warning("journal_unavailable", reason=error.strerror or str(error))
