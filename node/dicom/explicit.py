"""Explicit VR Little Endian by hand, for what is written by the thousand (PS3.5 7.1.2, 7.5).

pydicom reads and checks every number of what it writes: half a million of an RTSTRUCT cost seconds.
"""

import struct
from collections.abc import Iterable

from node.domain.errors import Defect

_LONG = frozenset({b"SQ", b"OB", b"OW", b"UT", b"UN"})  # 32 bit lengths, PS3.5 table 7.1-1
_PADDING = {b"UI": b"\0"}
_MOST_SHORT = 0xFFFE
_ITEM = struct.pack("<HH", 0xFFFE, 0xE000)


def element(tag: int, vr: str, value: bytes) -> bytes:
    """Encode one data element, padded to an even length."""
    name = vr.encode("ascii")
    if len(value) % 2:
        value += _PADDING.get(name, b" ")
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, name)
    if name in _LONG:
        return head + struct.pack("<HL", 0, len(value)) + value
    if len(value) > _MOST_SHORT:
        raise Defect(f"{len(value)} bytes do not fit an element of VR {vr}.")
    return head + struct.pack("<H", len(value)) + value


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    """Encode a sequence of items, each given as its encoded elements in order of their tags."""
    body = [_ITEM + struct.pack("<L", len(item)) + item for item in items]
    return element(tag, "SQ", b"".join(body))
