"""A write-ahead journal of received instances: one sequential write and one sync make them safe.

A file, an entry in its folder and a row each want a sync of their own; a sender that waits for its
answer waits for all three. A record in a file that has its full length already needs one, and those
who come together share it. Files and rows follow (`node.archive.filing`); what a process had not
filed when it ended is found in its segments, which are locked as long as it lives.

A segment begins with its epoch. Records carry it, so that what an earlier pass left behind is
nothing; a record that was cut off, or that the disk has changed, fails its check.
"""

import fcntl
import hashlib
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from node.archive.commit import GroupCommit
from node.archive.files import fsync_folder
from node.crashpoints import reach
from node.domain.errors import Defect

JOURNAL = "journal"
SUFFIX = ".segment"
REFUSED = ".refused"
"""Suffix of a segment with records that nobody can read."""
_SEGMENTS = 2
_MAGIC, _RECORD_MAGIC = b"PCTNSEG1", b"PCTNREC2"
# In place of the first byte of a record: written, and never acknowledged.
_DROPPED_MARK = b"D"
_HEAD = struct.Struct("<8sQ")
_HEAD_BYTES = 4096  # records begin on a page of their own: rewriting the head touches no record
# Magic, epoch, length of the meta data, length and CRC of the data; then a CRC of all that and of
# the meta data.
_RECORD, _CHECK = struct.Struct("<8sQIQ4s"), struct.Struct("<I")
# What the journal wrote first is read on: there the data had their SHA-256.
_FIRST_MAGIC, _FIRST_RECORD = b"PCTNREC1", struct.Struct("<8sQIQ32s")
_ZEROS = bytes(1 << 20)
# A segment can be used at this length, and grows to its own while nothing else is to be done.
_FIRST_BYTES, _STEP_BYTES = 32 << 20, 16 << 20


@dataclass(slots=True, kw_only=True, eq=False)
class Segment:
    """One file of the journal, this process's own."""

    path: Path
    descriptor: int
    size: int
    """Bytes that were written once and can be used."""
    epoch: int = 1
    end: int = _HEAD_BYTES
    unfiled: int = 0
    """Records that have no file and row yet."""
    begun: int = 0
    """Of these, records of which it is not decided whether they are kept."""
    lost: int = 0
    """Of these, records that the disk has changed; they stay for a person to look at."""
    broken: bool = False
    """A write or sync failed, or a record was changed; nothing is added any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is to be made safe."""

    meta: bytes
    data: bytes
    crc: bytes
    """Of ``data``; see `crc`."""

    @property
    def size(self) -> int:
        """Bytes it takes in a segment."""
        return _RECORD.size + _CHECK.size + len(self.meta) + len(self.data)

    def parts(self, epoch: int) -> list[bytes]:
        """As it is written."""
        head = _RECORD.pack(_RECORD_MAGIC, epoch, len(self.meta), len(self.data), self.crc)
        check = _CHECK.pack(zlib.crc32(self.meta, zlib.crc32(head)))
        return [head, check, self.meta, self.data]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data of a record lie."""

    offset: int
    size: int
    check: bytes
    """What tells that they are what was written."""
    segment: Segment | None = None
    """None where another process wrote it."""
    start: int = 0
    """Where the record begins; not known where another process wrote it."""

    def read(self, descriptor: int) -> bytes | None:
        """The data; None when they are not what was written."""
        data = os.pread(descriptor, self.size, self.offset)
        right = crc(data) if len(self.check) == _CHECK.size else hashlib.sha256(data).digest()
        return data if right == self.check else None


def crc(data: bytes) -> bytes:
    """The check of a record's data: whether they are whole, not whose they are."""
    return _CHECK.pack(zlib.crc32(data))


class Journal:
    """The journal of one process; safe to use from several threads."""

    def __init__(self, folder: Path, *, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._segments: list[Segment] = []
        self._group: GroupCommit[Segment, OSError | None] = GroupCommit(_sync)

    def open(self) -> None:
        """Make the segments, as long as they are to begin with; until then nothing has room.

        Where the disk has no place for all of them, an `OSError` is raised and none is left.
        """
        self._folder.mkdir(exist_ok=True)
        made: list[Segment] = []
        try:
            first = min(_FIRST_BYTES, self._segment_bytes)
            made.extend(_create(self._folder, first) for _ in range(_SEGMENTS))
            fsync_folder(self._folder)
            fsync_folder(self._folder.parent)
        except OSError:
            _remove(made)
            raise
        with self._lock:
            self._segments = made

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
            segment = self._with_room(record.size)
            if segment is None:
                return None
            start, size = segment.end, len(record.data)
            _write(segment, record.parts(segment.epoch), start)
            segment.end += record.size
            segment.unfiled += 1
            segment.begun += 1
            place = Place(segment.end - size, size, record.crc, segment, start)
        _begin_to_store(segment, start, record.size)
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
                os.pwrite(segment.descriptor, _DROPPED_MARK, place.start)

    def filed(self, places: Sequence[Place]) -> None:
        """Forget records that have their file and row."""
        with self._lock:
            for place in places:
                if place.segment is not None:
                    place.segment.unfiled -= 1

    def lose(self, segment: Segment) -> None:
        """Count a record as lost that the disk has changed; `rewind` sets the segment aside."""
        with self._lock:
            segment.lost += 1
            segment.broken = True

    def rewind(self) -> None:
        """Begin the segments anew of which every record is filed; set aside what has lost one."""
        with self._lock:
            for segment in [s for s in self._segments if s.lost and s.lost == s.unfiled]:
                segment.path.rename(segment.path.with_suffix(REFUSED))
                fsync_folder(self._folder)
                self._segments.remove(segment)
                os.close(segment.descriptor)
            for segment in self._segments:
                if segment.end > _HEAD_BYTES and not segment.unfiled and not segment.broken:
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
            if not segment.unfiled and _HEAD_BYTES + size <= segment.size:
                with _breaks(segment):
                    _rewind(segment)
                return segment
        return None


def _create(folder: Path, size: int) -> Segment:
    """A segment that can be used, locked before it has its name."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _write_zeros(descriptor, 0, size)
        segment = Segment(path=path, descriptor=descriptor, size=size)
        os.pwrite(descriptor, _HEAD.pack(_MAGIC, segment.epoch), 0)
        os.fsync(descriptor)
        temporary.rename(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        os.close(descriptor)
        raise
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
        if not segment.unfiled:
            segment.path.unlink(missing_ok=True)
        if not segment.begun:  # else its number must not become another file's under a sync
            os.close(segment.descriptor)


def _own(place: Place) -> Segment:
    if place.segment is None:
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
    head = _HEAD.pack(_MAGIC, segment.epoch + 1)
    if os.pwrite(segment.descriptor, head, 0) != len(head):
        raise OSError("the journal took only a part of a head")
    segment.epoch += 1
    segment.end = _HEAD_BYTES


def _write(segment: Segment, parts: Sequence[bytes], start: int) -> None:
    total = sum(map(len, parts))
    with _breaks(segment):
        if os.pwritev(segment.descriptor, parts, start) != total:
            raise OSError("the journal took only a part of a record")
    reach("journal.written")


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
    return None


def records(descriptor: int) -> Iterator[tuple[bytes, Place]]:
    """Meta data and place of each record of a segment that was not dropped, up to its end.

    Data that are not what was written are the last record's, which was cut off, or the disk has
    changed them since; what follows is found none the less.
    """
    magic, epoch = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0).ljust(_HEAD.size, b"\0"))
    position, size = _HEAD_BYTES, os.fstat(descriptor).st_size
    while magic == _MAGIC:
        start = os.pread(descriptor, _FIRST_RECORD.size + _CHECK.size, position)
        dropped = start.startswith(_DROPPED_MARK)
        if dropped:
            start = _RECORD_MAGIC[:1] + start[1:]
        layout = _FIRST_RECORD if start.startswith(_FIRST_MAGIC) else _RECORD
        if len(start) < layout.size + _CHECK.size:
            return
        mark, its_epoch, meta_bytes, data_bytes, check = layout.unpack_from(start)
        if mark not in (_RECORD_MAGIC, _FIRST_MAGIC) or its_epoch != epoch:
            return
        if meta_bytes + data_bytes > size:
            return
        position += layout.size + _CHECK.size
        meta = os.pread(descriptor, meta_bytes, position)
        whole = _CHECK.pack(zlib.crc32(meta, zlib.crc32(start[: layout.size])))
        if start[layout.size :][: _CHECK.size] != whole:
            return
        position += meta_bytes
        if not dropped:
            yield meta, Place(position, data_bytes, check)
        position += data_bytes


def metas(descriptor: int) -> list[bytes]:
    """Meta data of each record of a segment that may be in use, without a look at the data."""
    while True:
        head = os.pread(descriptor, _HEAD.size, 0)
        found = [meta for meta, _ in records(descriptor)]
        if os.pread(descriptor, _HEAD.size, 0) == head:  # else it began anew meanwhile
            return found


@contextmanager
def claimed(path: Path) -> Iterator[int | None]:
    """A segment whose process has ended, for us alone; None while its process lives.

    `FileNotFoundError` when somebody else has dealt with it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.stat()  # it was removed by whom we waited for
        yield descriptor
    except BlockingIOError:
        yield None
    finally:
        os.close(descriptor)
