"""A write-ahead journal of received instances: one sequential write and one sync make them safe.

A file, an entry in its folder and a row each want a sync of their own; a sender that waits for its
answer waits for all three. A record in a file that has its full length already needs one, and those
who come together share it. Files and rows follow (`node.archive.ingest.journal_writer`); what a
process had not filed when it ended is found in its segments, which are locked as long as it lives.

A segment belongs to its process, on its machine: nothing is acknowledged once somebody else has
taken it, or, in a folder that several machines share, once its signs of life have stopped.
"""

import fcntl
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from node.archive.files import fsync_folder
from node.archive.ingest import journal_format as form
from node.archive.ingest.group_commit import GroupCommit
from node.archive.ingest.journal_format import Head, Kind, crc
from node.archive.ingest.journal_reader import Place, records
from node.crashpoints import reach
from node.domain.errors import Defect
from node.log import get_logger

__all__ = [
    "JOURNAL",
    "REFUSED",
    "SUFFIX",
    "Journal",
    "Place",
    "Record",
    "Segment",
    "crc",
    "records",
]

log = get_logger(__name__)

JOURNAL = "journal"
SUFFIX = ".segment"
REFUSED = ".refused"
"""Suffix of a segment with records that nobody can read."""
LEASE_S = 60.0
"""Silence after which another machine may take a segment."""
BEAT_S = 5.0
_OWN_LEASE_S = LEASE_S / 2  # its owner stops long before anybody else may begin
_SEGMENTS, _RENEW_S = 2, 60.0
_ZEROS = bytes(1 << 20)
# A segment can be used at this length, and grows to its own while nothing else is to be done.
_FIRST_BYTES, _STEP_BYTES = 32 << 20, 16 << 20
_NOTHING = (0, crc(b""))
_LONGEST_LINK = 2 * 64 + 1  # two UIDs
_clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)  # noqa: E731


@dataclass(slots=True, kw_only=True, eq=False)
class Segment:
    """One file of the journal, this process's own."""

    path: Path
    descriptor: int
    size: int
    """Bytes that were written once and can be used."""
    place: str
    """``path`` as text; nobody else makes a file of that name."""
    name: bytes
    """See `Head`."""
    epoch: int = 1
    end: int = form.BEGIN
    number: int = 0
    """Of the next record."""
    link: bytes = b""
    """Name of the record before."""
    unfiled: int = 0
    """Records that have no file and row yet."""
    begun: int = 0
    """Of these, records of which it is not decided whether they are kept."""
    lost: int = 0
    """Of these, records that the disk has changed; they stay for a person to look at."""
    broken: bool = False
    """A write or sync failed, or a record was changed; nothing is added any more."""
    alive_at: float | None = None
    """When it gave its last sign of life began; None where only this machine has the folder."""

    @property
    def head(self) -> Head:
        """As it is written."""
        return Head(
            name=self.name, epoch=self.epoch, boot=form.boot_id(), machine=form.machine_name()
        )

    def is_ours(self) -> bool:
        """Whether nobody has taken it: it bears its name, and its lease runs."""
        if self.alive_at is not None and _clock() - self.alive_at > _OWN_LEASE_S:
            return False
        # Not `stat`: Linux (6.13) gives a file whose times were asked for a new time at its next
        # write, and a sync that has an inode to bring costs half as much again.
        return os.access(self.place, os.F_OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is to be made safe."""

    meta: bytes
    data: bytes
    crc: bytes
    """Of ``data``; see `crc`."""
    name: bytes = b""
    """Series and SOP Instance UID, for whoever finds only what was written beside it."""


class Journal:
    """The journal of one process; safe to use from several threads."""

    def __init__(self, folder: Path, *, segment_bytes: int, shared: bool = False) -> None:
        """``shared``: other machines may reach the folder; signs of life are given then."""
        self._folder = folder
        self._shared = shared
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._renew_at = 0.0
        self._segments: list[Segment] = []
        self._group: GroupCommit[Segment, OSError | None] = GroupCommit(_sync)

    def open(self) -> None:
        """Make the segments, as long as they are to begin with; until then nothing has room.

        Where the disk has no place for all of them, an `OSError` is raised and none is left.
        """
        self._renew_at = _clock() + _RENEW_S
        self._folder.mkdir(exist_ok=True)
        made = self._make(_SEGMENTS)
        with self._lock:
            self._segments = made

    def _make(self, count: int) -> list[Segment]:
        made: list[Segment] = []
        try:
            first = min(_FIRST_BYTES, self._segment_bytes)
            for _ in range(count):
                made.append(_create(self._folder, first, shared=self._shared))  # noqa: PERF401
            fsync_folder(self._folder)
            fsync_folder(self._folder.parent)
        except OSError:
            _remove(made)
            raise
        return made

    def extend(self) -> bool:
        """Make one segment longer by a step; False when all have their length.

        Senders do not wait for it. An `OSError` leaves the segment as long as it was. Nothing is
        added to it any more: the kernel tells of a failed write once, and it may be a sender's.
        """
        for segment in list(self._segments):
            if segment.size < self._segment_bytes and not segment.broken:
                end = min(segment.size + _STEP_BYTES, self._segment_bytes)
                with _breaks(segment):
                    _write_zeros(segment.descriptor, segment.size, end)
                    os.fdatasync(segment.descriptor)
                segment.size = end
                return True
        return False

    @property
    def segment_bytes(self) -> int:
        """How long a segment is by now."""
        return min((s.size for s in self._segments), default=self._segment_bytes)

    def write(self, record: Record) -> Place | None:
        """Write ``record`` and let the disk begin; its place, or None when there is no room now.

        It is to be given to `sync`, after which it is safe, and when that fails or is not wanted to
        `drop`.
        """
        with self._lock:  # held throughout: records never interleave, and no head is missing
            segment = self._with_room(_most_bytes(record))
            if segment is None:
                return None
            start, place = segment.end, _append(segment, record)
            segment.unfiled += 1
            segment.begun += 1
        _begin_to_store(segment, start, segment.end - start)
        return place

    def sync(self, place: Place) -> None:
        """Make durable what was written; those who come together share it.

        An `OSError` says that it may not be safe; it is then not to be acknowledged.
        """
        segment = _own(place)
        error = self._group.add(segment)
        if error is not None:
            raise error
        with self._lock:
            segment.begun -= 1

    def drop(self, place: Place) -> None:
        """Forget what was written; whoever reads the segment passes over it."""
        segment = _own(place)
        with self._lock:
            segment.begun -= 1
            segment.unfiled -= 1
            # One byte, which no crash can leave half written. Where it cannot be written the disk
            # fails, and nothing depends on it: the record would be filed after a crash.
            with suppress(OSError):
                os.pwrite(segment.descriptor, bytes((form.DROPPED,)), place.start)

    def filed(self, places: Sequence[Place]) -> None:
        """Forget records that have their file and row."""
        with self._lock:
            for place in places:
                if isinstance(place.segment, Segment):
                    place.segment.unfiled -= 1

    def lose(self, segment: Segment) -> None:
        """Count a record as lost that the disk has changed; `rewind` sets the segment aside."""
        with self._lock:
            segment.lost += 1
            segment.broken = True

    def renew(self) -> bool:
        """Remove what failed once all in it is filed, and make others for it; whether it did.

        While it lies there its records look as if they waited for their rows. An `OSError` leaves
        things as they were; the next call tries again.
        """
        with self._lock:
            for segment in [
                s for s in self._segments if s.broken and not s.unfiled and not s.begun
            ]:
                if segment.is_ours():
                    segment.path.unlink(missing_ok=True)
                self._segments.remove(segment)
                os.close(segment.descriptor)
            missing = _SEGMENTS - len(self._segments)
        if not missing or _clock() < self._renew_at:
            return False
        self._renew_at = _clock() + _RENEW_S
        made = self._make(missing)
        with self._lock:
            self._segments += made
        log.warning("journal_renewed", segments=missing)
        return True

    def beat(self) -> None:
        """Give a sign of life in each segment that other machines may take for a dead one's."""
        for segment in [s for s in self._segments if s.alive_at is not None and not s.broken]:
            began = _clock()
            if not segment.is_ours():
                segment.broken = True
                continue
            with suppress(OSError), _breaks(segment):
                with self._lock:  # its number may be another file's once it is no longer among them
                    if segment not in self._segments:
                        continue
                    _write_at(segment, form.pack_beat(int(began * 1000)), form.BEAT_AT)
                os.fdatasync(segment.descriptor)
                segment.alive_at = began

    def rewind(self) -> None:
        """Begin the segments anew of which every record is filed; set aside what has lost one."""
        with self._lock:
            for segment in [s for s in self._segments if s.lost and s.lost == s.unfiled]:
                segment.path.rename(segment.path.with_suffix(REFUSED))
                fsync_folder(self._folder)
                self._segments.remove(segment)
                os.close(segment.descriptor)
            for segment in self._segments:
                if segment.end > form.BEGIN and not segment.unfiled and not segment.broken:
                    if not segment.is_ours():  # somebody reads it
                        segment.broken = True
                        continue
                    with _breaks(segment):
                        _rewind(segment)
                        os.fdatasync(segment.descriptor)

    def close(self) -> None:
        """Remove the segments of which every record is filed; the others stay for `claimed`."""
        with self._lock:
            segments, self._segments = self._segments, []
            for segment in segments:
                segment.broken = True  # whoever is about a record finds it closed
            _remove(segments)

    def _with_room(self, size: int) -> Segment | None:
        """The segment to go on with: the one in use as long as it lasts, else one that is done."""
        usable = [s for s in self._segments if not s.broken]
        # The fullest first: a segment that was begun is filled before the next one is.
        for segment in sorted(usable, key=lambda s: -s.end):
            if segment.end + size <= segment.size:
                return segment
        for segment in usable:
            fits = form.BEGIN + size <= segment.size
            if not segment.unfiled and fits and segment.is_ours():
                with _breaks(segment):
                    _rewind(segment)
                return segment
        return None


def _create(folder: Path, size: int, *, shared: bool) -> Segment:
    """A segment that can be used, locked before it has its name."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    with ExitStack() as failed:
        failed.callback(os.close, descriptor)
        failed.callback(temporary.unlink, missing_ok=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write_zeros(descriptor, 0, size)
        segment = Segment(
            path=path,
            descriptor=descriptor,
            size=size,
            place=str(path),
            name=secrets.token_bytes(8),
            alive_at=_clock() if shared else None,
        )
        _write_beginning(segment)
        os.fsync(descriptor)
        temporary.rename(path)
        failed.pop_all()
    return segment


def _write_zeros(descriptor: int, start: int, end: int) -> None:
    # Written and not only allocated: the first write into blocks that were never written costs the
    # file system a record of its own, and a sync twice as long.
    for position in range(start, end, len(_ZEROS)):
        zeros = _ZEROS[: end - position]
        if os.pwrite(descriptor, zeros, position) != len(zeros):
            raise OSError("the disk took only a part")


def _remove(segments: Sequence[Segment]) -> None:
    for segment in segments:
        if not segment.unfiled and segment.is_ours():
            segment.path.unlink(missing_ok=True)
        if not segment.begun:  # else its number must not become another file's under a sync
            os.close(segment.descriptor)


def _own(place: Place) -> Segment:
    if not isinstance(place.segment, Segment):
        raise Defect("A record of another process is written or dropped.")
    return place.segment


@contextmanager
def _breaks(segment: Segment) -> Iterator[None]:
    """Add nothing to a segment any more in which a write or a sync has failed."""
    try:
        yield
    except OSError:
        segment.broken = True
        raise


def _rewind(segment: Segment) -> None:
    """Begin anew; the next sync of the segment makes it stand."""
    segment.epoch += 1
    segment.end, segment.number, segment.link = form.BEGIN, 0, b""
    _write_beginning(segment)


def _write_beginning(segment: Segment) -> None:
    # The end first: a crash between leaves a mark of an epoch above the heads', which counts.
    _write_at(segment, _end_marks(segment), form.BEGIN)
    for at in form.HEADS_AT:
        _write_at(segment, segment.head.pack(), at)


def _end_marks(segment: Segment) -> bytes:
    """What says that no record follows, twice: one flipped bit is not to make an alarm."""
    own = (segment.name, segment.epoch)
    mark = form.pack_mark(Kind.END, own, segment.number, b"", segment.link, _NOTHING)
    return mark + mark


def _append(segment: Segment, record: Record) -> Place:
    """Write a record behind the last; the mark before it comes last of all.

    Until then the old end stands there: who is killed in the midst of it leaves nothing half.
    """
    own, data = (segment.name, segment.epoch), (len(record.data), record.crc)
    start, number = segment.end, segment.number
    mark = form.pack_mark(Kind.RECORD, own, number, record.meta, segment.link, data)
    trailer = form.pack_mark(Kind.TRAILER, own, number, record.meta, b"", data)
    offset = start + len(mark)
    with _breaks(segment):
        segment.number, segment.link = number + 1, record.name
        segment.end = offset + data[0] + len(trailer)
        behind = trailer + _end_marks(segment)
        if os.pwritev(segment.descriptor, [record.data, behind], offset) != data[0] + len(behind):
            raise OSError("the journal took only a part of a record")
        _write_at(segment, mark, start)
    reach("journal.written")
    return Place(offset, data[0], record.crc, segment, start)


def _write_at(segment: Segment, data: bytes, offset: int) -> None:
    if os.pwrite(segment.descriptor, data, offset) != len(data):
        raise OSError("the journal took only a part of a mark")


def _most_bytes(record: Record) -> int:
    """Room that a record needs, with its marks and the end behind it."""
    text = 2 * len(record.meta) + 3 * len(record.name) + _LONGEST_LINK
    return 4 * form.MARK_BYTES + text + len(record.data)


def _begin_to_store(segment: Segment, start: int, size: int) -> None:
    # Nobody will read it soon: Linux then begins at once to write what is dirty, and half of what
    # the sync would wait for is done by then. It is a hint; where it is not taken, all is as well.
    with suppress(OSError):
        os.posix_fadvise(segment.descriptor, start, size, os.POSIX_FADV_DONTNEED)


def _sync(segments: Sequence[Segment]) -> list[OSError | None]:
    """Sync each segment of a group once; what befell the one of each member."""
    befell = {segment: _synced(segment) for segment in dict.fromkeys(segments)}
    reach("journal.synced")
    return [befell[segment] for segment in segments]


def _synced(segment: Segment) -> OSError | None:
    if segment.broken:  # a sync that fails is not to be believed the next time
        return OSError("the journal could not be written")
    try:
        with _breaks(segment):
            os.fdatasync(segment.descriptor)
    except OSError as error:
        return error
    # After the sync: whoever takes it from now on finds in it what is acknowledged.
    if not segment.is_ours():
        segment.broken = True
        return OSError("another process has taken the journal")
    return None
