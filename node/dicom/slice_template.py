"""One encoded image as the pattern of its series: all others differ in five values alone."""

import struct
from dataclasses import dataclass

from node.domain.errors import Defect

_PREAMBLE = 128 + 4
_TAG, _SHORT, _LONG = struct.Struct("<HH2s"), struct.Struct("<H"), struct.Struct("<2xI")
# PS3.5 7.1.2: value representations whose length takes four bytes.
_WIDE = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF

_GROUP_LENGTH, _MEDIA_UID = (0x0002, 0x0000), (0x0002, 0x0003)
_SOP_UID, _NUMBER = (0x0008, 0x0018), (0x0020, 0x0013)
_POSITION, _LOCATION, _PIXELS = (0x0020, 0x0032), (0x0020, 0x1041), (0x7FE0, 0x0010)
_VARYING = (_GROUP_LENGTH, _MEDIA_UID, _SOP_UID, _NUMBER, _POSITION, _LOCATION, _PIXELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is an image's own, beside its pixels."""

    sop_instance_uid: str
    number: int
    """From 1."""
    position: tuple[str, ...]
    """Image Position (Patient), as it is written."""
    location: str
    """Slice Location, as it is written."""


class Pattern:
    """A Part 10 file in Explicit VR Little Endian, cut where the images of its series differ."""

    def __init__(self, data: bytes) -> None:
        self._constant: list[bytes] = []
        self._meta_length = 0
        kept, found = 0, []
        for tag, start, value, end in _elements(data):
            if tag in _VARYING:
                found.append(tag)
                self._constant.append(data[kept:start])
                kept = end
            if tag == _GROUP_LENGTH:
                (self._meta_length,) = struct.unpack_from("<I", data, value)
            if tag == _MEDIA_UID:
                self._meta_length -= end - value
        if tuple(found) != _VARYING or kept != len(data):
            raise Defect("An encoded image has not the elements every image has.")

    def filled(self, place: Place, pixels: bytes) -> bytes:
        """The file of another image."""
        uid = _even(place.sop_instance_uid, b"\0")
        varying = (
            _element(_GROUP_LENGTH, b"UL", struct.pack("<I", self._meta_length + len(uid))),
            _element(_MEDIA_UID, b"UI", uid),
            _element(_SOP_UID, b"UI", uid),
            _element(_NUMBER, b"IS", _even(str(place.number), b" ")),
            _element(_POSITION, b"DS", _even("\\".join(place.position), b" ")),
            _element(_LOCATION, b"DS", _even(place.location, b" ")),
            _element(_PIXELS, b"OW", pixels),
        )
        parts = zip(self._constant, varying, strict=True)
        return b"".join(part for pair in parts for part in pair)


def _elements(data: bytes) -> list[tuple[tuple[int, int], int, int, int]]:
    """Tag, and where element, value and what follows begin, of all at the top level."""
    found, start = [], _PREAMBLE
    while start < len(data):
        group, element, vr = _TAG.unpack_from(data, start)
        if vr in _WIDE:
            (length,) = _LONG.unpack_from(data, start + _TAG.size)
            value = start + _TAG.size + _LONG.size
        else:
            (length,) = _SHORT.unpack_from(data, start + _TAG.size)
            value = start + _TAG.size + _SHORT.size
        if length == _UNDEFINED:
            raise Defect(f"({group:04X},{element:04X}) was written without its length.")
        found.append(((group, element), start, value, value + length))
        start = value + length
    return found


def _element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    length = _LONG.pack(len(value)) if vr in _WIDE else _SHORT.pack(len(value))
    return _TAG.pack(*tag, vr) + length + value


def _even(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
