"""How the journal lies on the disk: heads of segments, and the marks that frame each record.

Every mark carries the segment's own random name, the epoch, a sequence number and checks, so that
a reader who met a damaged one finds the next that is right and knows how many are missing between.
A record is framed by two marks that say the same, one before and one after its data; the end of
what was written is a mark as well, written twice. So no single damage hides a record, and the end
is known and not guessed.
"""

import socket
import struct
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from zlib import crc32

SEGMENT_MAGIC = b"PCTNSEG2"
PAGE = 4096
HEADS_AT = (0, PAGE)
BEAT_AT = PAGE // 2
BEGIN = 2 * PAGE
"""Where records begin: rewriting a head touches none of them."""
# Magic, name, epoch, boot and machine of the writer.
_HEAD = struct.Struct("<8s8sQ16s64s")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size
# State, kind, name, epoch, number, lengths of meta, link and data, checks of the data and of the
# text (meta and link); then a check of all that.
_MARK = struct.Struct("<B7s8sQQIIQ4s4s")
MARK_BYTES = _MARK.size + _CRC.size
# First byte of a record: eight bits apart, so that no flipped bit turns one into the other.
KEPT, DROPPED = 0x50, 0xAF
_BEAT = struct.Struct("<8sQ")
_BEAT_MAGIC = b"PCTNBEAT"
BEAT_BYTES = _BEAT.size


class Kind(Enum):
    """What a mark stands for."""

    RECORD = b"CTNMRKR"
    TRAILER = b"CTNMRKT"
    """After the data of a record: the same once more."""
    END = b"CTNMRKE"
    """Behind the last record; its number is that of the record to come."""


_KINDS = {kind.value: kind for kind in Kind}
SIGN = b"CTNMRK"
"""Tells where a mark may lie: one byte behind its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Whose a segment is."""

    name: bytes
    """Eight bytes that no other segment has, and no sender knows."""
    epoch: int
    """Raised each time the segment is begun anew: what an earlier pass left behind is nothing."""
    boot: bytes
    """Of the kernel the writer runs on."""
    machine: str

    def pack(self) -> bytes:
        """As it is written, at each of `HEADS_AT`."""
        machine = self.machine.encode()[:64]
        body = _HEAD.pack(SEGMENT_MAGIC, self.name, self.epoch, self.boot, machine)
        return body + _CRC.pack(crc32(body))


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark that has passed its check."""

    kind: Kind
    name: bytes
    epoch: int
    number: int
    """Of the record in its epoch, from 0."""
    meta_bytes: int
    link_bytes: int
    """Length of the name of the record before."""
    data_bytes: int
    data_crc: bytes
    text_crc: bytes
    dropped: bool = False

    @property
    def text_bytes(self) -> int:
        """Bytes of meta data and link, which follow the mark."""
        return self.meta_bytes + self.link_bytes


def crc(data: bytes) -> bytes:
    """The check of a record's data: whether they are whole, not whose they are."""
    return _CRC.pack(crc32(data))


def read_head(raw: bytes) -> Head | None:
    """The head in ``raw``; None where it is not what was written."""
    if len(raw) < HEAD_BYTES or raw[_HEAD.size : HEAD_BYTES] != crc(raw[: _HEAD.size]):
        return None
    magic, name, epoch, boot, machine = _HEAD.unpack_from(raw)
    if magic != SEGMENT_MAGIC:
        return None
    told = machine.rstrip(b"\0").decode("utf-8", "replace")
    return Head(name=name, epoch=epoch, boot=boot, machine=told)


def pack_mark(
    kind: Kind,
    own: tuple[bytes, int],
    number: int,
    meta: bytes,
    link: bytes,
    data: tuple[int, bytes],
) -> bytes:
    """A mark with its text, of a segment's name and epoch; ``data`` are length and check."""
    name, epoch = own
    size, check = data
    text = meta + link if link else meta
    # Each instance needs three of these before it is acknowledged: no value object on the way.
    body = _MARK.pack(
        KEPT,
        kind.value,
        name,
        epoch,
        number,
        len(meta),
        len(link),
        size,
        check,
        _CRC.pack(crc32(text)),
    )
    return body + _CRC.pack(crc32(body)) + text


def read_mark(raw: bytes) -> Mark | None:
    """The mark at the beginning of ``raw``; None where none is, or it is damaged."""
    if len(raw) < MARK_BYTES:
        return None
    state, body = raw[0], bytes((KEPT,)) + raw[1 : _MARK.size]
    if raw[_MARK.size : MARK_BYTES] != crc(body):
        return None
    _, kind, name, epoch, number, meta, link, size, check, text = _MARK.unpack(body)
    if kind not in _KINDS:
        return None
    # Of a state that is neither, the nearer is meant; in the middle it counts as kept.
    dropped = (state ^ DROPPED).bit_count() < (state ^ KEPT).bit_count()
    return Mark(_KINDS[kind], name, epoch, number, meta, link, size, check, text, dropped)


def pack_beat(count: int) -> bytes:
    """A sign of life, at `BEAT_AT`."""
    return _BEAT.pack(_BEAT_MAGIC, count)


@cache
def boot_id() -> bytes:
    """Which kernel this is, and since when."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):  # no Linux: no two boots can be told apart
        return bytes(16)


@cache
def machine_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()
