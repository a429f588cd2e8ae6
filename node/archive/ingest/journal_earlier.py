"""Reads the segments that earlier releases wrote: what they had acknowledged is filed as well.

Their records have no numbers and no mark of the end, so that behind a damaged one nobody can say
how many are missing; what can be read further on is found.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from node.archive.ingest.journal_reader import Found, Missing, Place, read_at

_MAGIC, _RECORD_MAGIC, _FIRST_MAGIC = b"PCTNSEG1", b"PCTNREC2", b"PCTNREC1"
_DROPPED_MARK = b"D"
_HEAD, _BEGIN = struct.Struct("<8sQ"), 4096
_RECORD, _FIRST = struct.Struct("<8sQIQ4s"), struct.Struct("<8sQIQ32s")
_CHECK = struct.Struct("<I")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _FirstPlace(Place):
    """Where the check of the data is their SHA-256."""

    def _right(self, data: bytes) -> bool:
        return hashlib.sha256(data).digest() == self.check


def is_earlier(descriptor: int) -> bool:
    """Whether an earlier release wrote this segment, as far as the disk can tell."""
    if read_at(descriptor, 0, len(_MAGIC)) == _MAGIC:
        return True
    start = read_at(descriptor, _BEGIN, len(_RECORD_MAGIC))
    return start in (_RECORD_MAGIC, _FIRST_MAGIC)


def contents(descriptor: int) -> Iterator[Found | Missing]:
    """What is in it; behind a damaged record one of unknown number is missing."""
    _, epoch = _HEAD.unpack(read_at(descriptor, 0, _HEAD.size).ljust(_HEAD.size, b"\0"))
    if read_at(descriptor, 0, len(_MAGIC)) != _MAGIC:  # its first record must tell
        (epoch,) = struct.unpack("<Q", read_at(descriptor, _BEGIN + 8, 8))
        yield Missing(first=0, count=0, names=())
    position, number = _BEGIN, 0
    while True:
        record = _read(descriptor, position, epoch)
        if record is None:
            position = _next(descriptor, position, epoch)
            if position < 0:
                return
            yield Missing(first=number, count=0, names=())
            continue
        meta, place, dropped = record
        if not dropped:
            yield Found(number=number, meta=meta, place=place)
        position, number = place.offset + place.size, number + 1


def _read(descriptor: int, position: int, epoch: int) -> tuple[bytes, Place, bool] | None:
    start = read_at(descriptor, position, _FIRST.size + _CHECK.size)
    dropped = start.startswith(_DROPPED_MARK)
    if dropped:
        start = _RECORD_MAGIC[:1] + start[1:]
    first = start.startswith(_FIRST_MAGIC)
    layout = _FIRST if first else _RECORD
    if len(start) < layout.size + _CHECK.size:
        return None
    mark, its_epoch, meta_bytes, data_bytes, check = layout.unpack_from(start)
    size = os.fstat(descriptor).st_size
    if mark not in (_RECORD_MAGIC, _FIRST_MAGIC) or its_epoch != epoch:
        return None
    if meta_bytes + data_bytes > size:
        return None
    position += layout.size + _CHECK.size
    meta = read_at(descriptor, position, meta_bytes)
    whole = _CHECK.pack(zlib.crc32(meta, zlib.crc32(start[: layout.size])))
    if start[layout.size :][: _CHECK.size] != whole:
        return None
    kind = _FirstPlace if first else Place
    return meta, kind(position + meta_bytes, data_bytes, check), dropped


def _next(descriptor: int, position: int, epoch: int) -> int:
    """Where the next right record of the epoch begins; -1 where there is none."""
    size = os.fstat(descriptor).st_size
    for start in range(position + 1, size, _CHUNK):
        raw = read_at(descriptor, start, _CHUNK + _FIRST.size)
        hit = raw.find(b"CTNREC")
        while hit != -1:
            at = start + hit - 1
            if at > position and _read(descriptor, at, epoch) is not None:
                return at
            hit = raw.find(b"CTNREC", hit + 1)
    return -1
