"""Reads segments of the journal, whatever the disk has done to them.

"I cannot read on" is never taken for the end: the end is a mark of its own. Behind anything that is
not what was written the next right mark of the epoch is looked for, and the numbers tell what is
missing between.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from node.archive.ingest import journal_format as form
from node.archive.ingest.journal_format import Head, Kind, Mark
from node.domain.names import is_uid

_CHUNK = 1 << 20
# Longer than any mark with its text; marks are looked for in chunks that overlap by so much.
_OVERLAP = 4096
# In the meta data: SOP class, SOP instance, peer, time, series.
_NAMES = re.compile(rb'"([0-9.]{1,64})",(?:null|"[^"]*"),[0-9.]+,"([0-9.]{1,64})"')


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data of a record lie."""

    offset: int
    size: int
    check: bytes
    """What tells that they are what was written."""
    segment: Any = None
    """Of this process's journal; None where another process wrote it."""
    start: int = 0
    """Where the record begins; not known where another process wrote it."""

    def read(self, descriptor: int) -> bytes | None:
        """The data; None when they are not what was written, or cannot be read."""
        data = read_at(descriptor, self.offset, self.size)
        return data if self._right(data) else None

    def _right(self, data: bytes) -> bool:
        return len(data) == self.size and form.crc(data) == self.check


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A record of which the disk still knows what it is; its data may be damaged."""

    number: int
    meta: bytes
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Records that were written, or may have been, and cannot be read."""

    first: int
    """Number of the first of them."""
    count: int
    """How many; 0 where nobody can say."""
    names: tuple[tuple[str, str], ...]
    """Series and SOP Instance UID of those that are known."""


def heads(descriptor: int) -> Head | None:
    """The newer of both heads of a segment; None when neither can be read."""
    read = (form.read_head(read_at(descriptor, at, form.HEAD_BYTES)) for at in form.HEADS_AT)
    return max((head for head in read if head), key=lambda head: head.epoch, default=None)


def records(descriptor: int) -> Iterator[tuple[bytes, Place]]:
    """Meta data and place of each record up to the first that cannot be read: of a living journal.

    Whoever recovers takes `contents`.
    """
    head = heads(descriptor)
    position, number = form.BEGIN, 0
    while head is not None:
        mark = _mark_at(descriptor, position)
        if mark is None or mark.kind is not Kind.RECORD:
            return
        if (mark.name, mark.epoch, mark.number) != (head.name, head.epoch, number):
            return
        meta = _meta(descriptor, position, mark)
        if meta is None:
            return
        place = _place(position, mark)
        if not mark.dropped:
            yield meta, place
        position, number = _behind(position, mark), number + 1


def contents(descriptor: int) -> Iterator[Found | Missing]:
    """Everything a segment holds that was not dropped, and everything that it holds no more."""
    scan = _Scan(descriptor)
    head = heads(descriptor)
    name, epoch = (head.name, head.epoch) if head else (scan.name(), 0)
    # A crash may have come between the first mark of a new pass and the heads.
    newest = max((m.epoch for _, m in scan.marks if m.name == name), default=0)
    if not name:
        yield Missing(first=0, count=0, names=())
        return
    yield from _Pass(descriptor, scan, name, max(epoch, newest)).items()


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Bytes of a segment; what the disk does not give reads as zeros, which no check accepts."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        if error.errno not in (errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.EBADMSG):
            raise
    return b"".join(_page(descriptor, at, offset + size) for at in _pages(offset, size))


def _pages(offset: int, size: int) -> Iterator[int]:
    yield offset
    first = (offset // form.PAGE + 1) * form.PAGE
    yield from range(first, offset + size, form.PAGE)


def _page(descriptor: int, offset: int, end: int) -> bytes:
    size = min((offset // form.PAGE + 1) * form.PAGE, end) - offset
    try:
        return os.pread(descriptor, size, offset)
    except OSError:
        return bytes(size)


class _Scan:
    """Every right mark of a segment, wherever it lies, in order of place."""

    def __init__(self, descriptor: int) -> None:
        self.marks: list[tuple[int, Mark]] = []
        size = os.fstat(descriptor).st_size
        for start in range(0, size, _CHUNK):
            self._look(start, read_at(descriptor, start, _CHUNK + _OVERLAP))

    def _look(self, start: int, raw: bytes) -> None:
        hit = raw.find(form.SIGN, 1)
        while hit != -1 and hit <= _CHUNK:
            mark = form.read_mark(raw[hit - 1 : hit - 1 + form.MARK_BYTES])
            if mark is not None:
                self.marks.append((start + hit - 1, mark))
            hit = raw.find(form.SIGN, hit + 1)

    def name(self) -> bytes:
        """The segment's own name as its marks tell it; empty when there is none."""
        return self.marks[0][1].name if self.marks else b""


class _Pass:
    """One way through what the newest epoch has left."""

    def __init__(self, descriptor: int, scan: _Scan, name: bytes, epoch: int) -> None:
        self._descriptor = descriptor
        own = [(at, m) for at, m in scan.marks if m.name == name]
        self._marks = [(at, m) for at, m in own if m.epoch == epoch]
        self._older = {at for at, m in own if m.epoch < epoch and m.kind is not Kind.TRAILER}
        self._names: dict[int, tuple[str, str]] = {}
        self._expected = 0
        self._position = form.BEGIN
        self._ended = False

    def items(self) -> Iterator[Found | Missing]:
        marks = self._outside_data()
        self._learn_names(marks)
        for at, mark in marks:
            if mark.number < self._expected or (
                mark.kind is Kind.END and mark.number == self._expected and self._ended
            ):
                continue
            begin = self._position if mark.number == self._expected else None
            yield from self._missing(mark.number, at)
            self._ended = mark.kind is Kind.END
            if mark.kind is not Kind.END:
                yield from self._found(at, mark, begin)
        if not self._ended and self._position not in self._older:
            yield Missing(
                first=self._expected, count=0, names=self._written_at(self._position, _OVERLAP)
            )

    def _outside_data(self) -> list[tuple[int, Mark]]:
        """The marks of this epoch; none in the data of a record, where nobody but it has written.

        A mark in there was left by an earlier record only when it is older, or copied by somebody
        who has read this file: neither counts.
        """
        kept: list[tuple[int, Mark]] = []
        inside = 0
        for at, mark in self._marks:
            if at < inside:
                continue
            kept.append((at, mark))
            if mark.kind is Kind.RECORD:
                inside = at + form.MARK_BYTES + mark.text_bytes + mark.data_bytes
        return kept

    def _learn_names(self, marks: list[tuple[int, Mark]]) -> None:
        """What each mark says of the record before it."""
        for at, mark in marks:
            text = self._text(at, mark)
            if text is not None and mark.link_bytes:
                series, _, uid = text[mark.meta_bytes :].decode("ascii", "replace").partition(" ")
                self._names[mark.number - 1] = (series, uid)

    def _missing(self, number: int, before: int) -> Iterator[Missing]:
        """Tell of the numbers between the last record and the one that comes ``before`` there."""
        if number == self._expected:
            return
        known = [self._names[n] for n in range(self._expected, number) if n in self._names]
        written = self._written_at(self._position, before - self._position)
        names = tuple(dict.fromkeys([*known, *(() if len(known) else written)]))
        yield Missing(first=self._expected, count=number - self._expected, names=names)
        self._expected, self._position = number, before

    def _found(self, at: int, mark: Mark, begin: int | None) -> Iterator[Found | Missing]:
        """One record by either of its marks; ``begin`` is where it begins, as far as is known."""
        offset = _place(at, mark).offset
        if mark.kind is Kind.TRAILER:
            offset = at - mark.data_bytes
        self._expected, self._position = mark.number + 1, _behind(at, mark)
        if mark.dropped or (mark.kind is Kind.TRAILER and self._is_dropped(begin)):
            return
        meta = self._meta_of(at, mark)
        if meta is not None:
            place = Place(offset, mark.data_bytes, mark.data_crc)
            yield Found(number=mark.number, meta=meta, place=place)
            return
        linked = self._names.get(mark.number)
        names = (linked,) if linked else self._written_at(at, self._position - at)
        yield Missing(first=mark.number, count=1, names=names)

    def _is_dropped(self, begin: int | None) -> bool:
        """Whether the first byte of a record says that it is none; its first mark is damaged."""
        state = b"" if begin is None else read_at(self._descriptor, begin, 1)
        return bool(state) and (state[0] ^ form.DROPPED).bit_count() < 4

    def _meta_of(self, at: int, mark: Mark) -> bytes | None:
        text = self._text(at, mark)
        if text is not None:
            return text[: mark.meta_bytes]
        if mark.kind is Kind.TRAILER:
            return None
        again = at + form.MARK_BYTES + mark.text_bytes + mark.data_bytes
        twin = _mark_at(self._descriptor, again)
        if twin is None or (twin.kind, twin.number) != (Kind.TRAILER, mark.number):
            return None
        text = self._text(again, twin)
        return None if text is None else text[: twin.meta_bytes]

    def _text(self, at: int, mark: Mark) -> bytes | None:
        text = read_at(self._descriptor, at + form.MARK_BYTES, mark.text_bytes)
        return text if form.crc(text) == mark.text_crc else None

    def _written_at(self, start: int, size: int) -> tuple[tuple[str, str], ...]:
        """Names that stand in a region with damaged marks: near its beginning and its end."""
        raw = read_at(self._descriptor, start, min(size, _OVERLAP))
        raw += b"\0" + read_at(self._descriptor, max(start, start + size - _OVERLAP), _OVERLAP)
        found = ((series.decode(), uid.decode()) for uid, series in _NAMES.findall(raw))
        return tuple(dict.fromkeys(n for n in found if is_uid(n[0]) and is_uid(n[1])))


def _mark_at(descriptor: int, position: int) -> Mark | None:
    return form.read_mark(read_at(descriptor, position, form.MARK_BYTES))


def _meta(descriptor: int, position: int, mark: Mark) -> bytes | None:
    text = read_at(descriptor, position + form.MARK_BYTES, mark.text_bytes)
    return text[: mark.meta_bytes] if form.crc(text) == mark.text_crc else None


def _place(position: int, mark: Mark) -> Place:
    return Place(position + form.MARK_BYTES + mark.text_bytes, mark.data_bytes, mark.data_crc)


def _behind(position: int, mark: Mark) -> int:
    """Where the record ends that a mark at ``position`` belongs to."""
    behind = position + form.MARK_BYTES + mark.text_bytes
    if mark.kind is Kind.RECORD:  # its trailer has the same meta data, and no link
        behind += mark.data_bytes + form.MARK_BYTES + mark.meta_bytes
    return behind
