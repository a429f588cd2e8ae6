"""Elements as a careless writer leaves them: bytes put into a Part 10 file, asked of nobody."""

import struct

from pydicom.datadict import tag_for_keyword

_PREAMBLE = 128 + 4
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


def with_element(data: bytes, keyword: str, vr: str, value: bytes) -> bytes:
    """``data``, a file in Explicit VR Little Endian, with that element at its place."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return with_tag(data, tag, vr, value)


def with_tag(data: bytes, tag: int, vr: str, value: bytes) -> bytes:
    """The same for a tag of its own, private ones and unknown representations included."""
    padded = value + (b" " if len(value) % 2 else b"")
    group, number = tag >> 16, tag & 0xFFFF
    head = struct.pack("<HH", group, number) + vr.encode()
    long = vr.encode() in _LONG
    size = struct.pack("<2xI" if long else "<H", len(padded))
    start, end = _place(data, tag)
    return data[:start] + head + size + padded + data[end:]


def _place(data: bytes, wanted: int) -> tuple[int, int]:
    """Where the element of ``wanted`` begins and ends; twice where it would begin."""
    position = _PREAMBLE
    while position < len(data):
        group, number, vr = struct.unpack_from("<HH2s", data, position)
        if vr in _LONG:
            end = position + 12 + struct.unpack_from("<I", data, position + 8)[0]
        else:
            end = position + 8 + struct.unpack_from("<H", data, position + 6)[0]
        tag = group << 16 | number
        if tag == wanted:
            return position, end
        if tag > wanted and group != 2:
            return position, position
        position = end
    return position, position
