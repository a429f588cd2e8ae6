"""Identity and series attributes of a raw data set, without decoding it.

A walk over the top-level elements, in any transfer syntax, that skips values by their length:
microseconds where a full parse costs milliseconds. A data set that stops in the middle of an
element must not be acknowledged, so its end is looked at too: usually by finding that the pixel
data fills it exactly, else by walking all the way.
"""

import mmap
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from node.archive.headers.header_cache import Alike, Element
from node.archive.headers.indexed_attributes import ATTRIBUTES
from node.domain.budget import BUDGET
from node.domain.errors import Rejected
from node.domain.names import is_uid

Data = bytes | mmap.mmap

CHARACTER_SET = 0x00080005
SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
ACCESSION_NUMBER, MODALITY, SERIES_DESCRIPTION = 0x00080050, 0x00080060, 0x0008103E
PATIENT_NAME, PATIENT_ID, BODY_PART = 0x00100010, 0x00100020, 0x00180015
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
PIXEL_DATA = 0x7FE00010
WANTED = frozenset({CHARACTER_SET, *(attribute.tag for attribute in ATTRIBUTES)})

# One at a time in a process: what is unpacked lies in memory while it is read.
_INFLATING = threading.Lock()
# Nesting of sequences in real objects stays below 10.
_DEPTH_LIMIT = 32
_UNDEFINED = 0xFFFFFFFF
_LAST_WANTED = max(WANTED)
_LAST_GROUP = _LAST_WANTED >> 16
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
# PS3.5 7.1.2: value representations with two reserved bytes and a 32-bit length.
_LONG = frozenset(
    {
        b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
    }
)  # fmt: skip
# PS3.5 7.1.2, table 7.1-1 and -2: from an element's first byte to its value.
_PLAIN, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<I")
_SHORT_STEP, _LONG_STEP = 8, 12
_SHORT = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
)  # fmt: skip
_STEPS = dict.fromkeys(_SHORT, _SHORT_STEP) | dict.fromkeys(_LONG, _LONG_STEP)
# Of the header before: what is behind is read anew each time.
_REMEMBERED = 64 << 10
_of_thread = threading.local()
_RESEND = "Export the object again at the sender and send it once more."


@dataclass(frozen=True, slots=True)
class _Encoding:
    explicit: bool
    tag: struct.Struct
    short: struct.Struct
    long: struct.Struct
    pixel_data: tuple[bytes, ...]
    """How a pixel data element begins, up to its length."""
    sequence_end: bytes
    """Sequence delimitation item."""

    @classmethod
    def of(cls, *, explicit: bool, order: str) -> "_Encoding":
        """Structs of one byte order (``<`` or ``>``)."""
        tag, short, long = (struct.Struct(order + code) for code in ("HH", "H", "I"))
        pixels = tag.pack(PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF)
        starts = (pixels + b"OW\0\0", pixels + b"OB\0\0") if explicit else (pixels,)
        end = tag.pack(_SEQUENCE_END >> 16, _SEQUENCE_END & 0xFFFF) + bytes(4)
        return cls(explicit, tag, short, long, starts, end)


_IMPLICIT = _Encoding.of(explicit=False, order="<")
_EXPLICIT = _Encoding.of(explicit=True, order="<")
_BIG_ENDIAN = _Encoding.of(explicit=True, order=">")


def read_header(data_set: Data, transfer_syntax_uid: str, *, start: int = 0) -> Mapping[int, bytes]:
    """Raw values of the `WANTED` attributes that are there, by tag.

    ``data_set`` begins at ``start``: a long one is a mapped file with a header before it.

    Raises `Rejected` when the data set cannot be followed to its end: code DATA_TRUNCATED, or
    DATA_MALFORMED when it is not encoded as its transfer syntax says.
    """
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        with _INFLATING:
            return _walk(inflate(memoryview(data_set)[start:]), _EXPLICIT)
    if transfer_syntax_uid == ImplicitVRLittleEndian:
        return _walk(data_set, _IMPLICIT, start)
    if transfer_syntax_uid == ExplicitVRBigEndian:
        return _walk(data_set, _BIG_ENDIAN, start)
    # PS3.5 A.4: every encapsulated syntax is Explicit VR LE.
    return _walk(data_set, _EXPLICIT, start, None if start else _alike())


def text(values: Mapping[int, bytes], tag: int) -> str:
    """The value as text in the data set's character set; empty when absent."""
    raw = values.get(tag, b"").rstrip(b" \0")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").lstrip(" ")
    names = values.get(CHARACTER_SET, b"").decode("ascii", "replace").split("\\")
    try:
        encodings = convert_encodings([name.strip(" \0") for name in names])
        return decode_bytes(raw, encodings, {0x5C, 0x5E, 0x3D}).strip(" \0")
    except (LookupError, UnicodeError, ValueError):
        return raw.decode("latin-1")  # for display only; the bytes are kept as they came


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a data set that was not taken says of itself; empty where it cannot be read."""

    series_instance_uid: str
    sop_instance_uid: str
    patient_id: str


def names_in(beginning: bytes, transfer_syntax_uid: str) -> Named:
    """Read whose image a data set is that may be cut off or malformed.

    For what was refused: slow, and it takes what it gets.
    """
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    little = transfer_syntax_uid != ExplicitVRBigEndian
    names = {SERIES_INSTANCE_UID: "", SOP_INSTANCE_UID: ""}
    patient_id = ""
    with suppress(Exception):  # whatever is wrong with it has been said: here nothing is asked
        if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            beginning = zlib.decompressobj(-zlib.MAX_WBITS).decompress(beginning, _REMEMBERED)
        found = read_dataset(BytesIO(beginning), implicit, little, stop_when=_is_past_series)
        for tag in names:
            uid = str(found[tag].value) if tag in found else ""
            names[tag] = uid if is_uid(uid) else ""
        patient_id = str(found.get("PatientID") or "").strip(" \0")
    return Named(
        series_instance_uid=names[SERIES_INSTANCE_UID],
        sop_instance_uid=names[SOP_INSTANCE_UID],
        patient_id=patient_id,
    )


def _is_past_series(tag: int, _vr: str | None, _length: int) -> bool:
    return tag > SERIES_INSTANCE_UID


def inflate(data_set: bytes | memoryview) -> bytes:
    """Unpack a deflated data set; raise `Rejected` when it is cut off, or grows beyond reason."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)  # PS3.5 A.5: RFC 1951 without a header
    limit = BUDGET.inflated(len(data_set))
    try:
        inflated = inflater.decompress(data_set, limit)
    except zlib.error as error:
        raise _malformed(f"it cannot be inflated ({error})") from None
    if inflater.unconsumed_tail:
        raise _malformed(f"it inflates to more than {limit >> 20} MiB")
    if not inflater.eof:
        raise Rejected(
            "The deflated data set ends before its last block.", code="DATA_TRUNCATED",
            remedy=_RESEND,
        )  # fmt: skip
    return inflated


def _stride(data: Data, position: int, found: dict[int, bytes]) -> int:
    """Pass plain Explicit VR LE elements, keeping what is wanted; stop before any other.

    Nine tenths of a header are elements that need no question; `_walk` asks the rest.
    """
    plain, steps, wanted = _PLAIN.unpack_from, _STEPS, WANTED
    last = len(data) - 12
    while position <= last:
        group, number, vr, length = plain(data, position)
        if vr not in steps:
            return position
        step = steps[vr]
        if step == _LONG_STEP:
            (length,) = _LENGTH.unpack_from(data, position + 8)
        start = position + step
        after = start + length
        if after > last:
            return position
        tag = group << 16 | number
        if tag in wanted:
            if tag not in found:
                found[tag] = data[start:after]
        elif group >= _LAST_GROUP and tag > _LAST_WANTED:
            return position
        position = after
    return position


def _plain_element(data: bytes, position: int, last: int) -> tuple[int, int, int] | None:
    """Tag, start of the value and end of a plain element; None for any other, or one too long."""
    if position > last:
        return None
    group, number, vr, length = _PLAIN.unpack_from(data, position)
    step = _STEPS.get(vr)
    if step is None:
        return None
    if step == _LONG_STEP:
        (length,) = _LENGTH.unpack_from(data, position + 8)
    start = position + step
    return (group << 16 | number, start, start + length) if start + length <= last else None


def _plain_elements(data: bytes) -> Iterator[Element]:
    """The elements that `_stride` would pass from the beginning, as far as they are remembered."""
    position, last = 0, min(len(data), _REMEMBERED) - 12
    while (element := _plain_element(data, position, last)) is not None:
        tag, _, after = element
        if tag > _LAST_WANTED:
            return
        yield tag, position, after
        position = after


def _wanted(data: bytes, elements: Sequence[Element]) -> dict[int, bytes]:
    return {
        tag: data[start + _STEPS[data[start + 4 : start + 6]] : end]
        for tag, start, end in elements
        if tag in WANTED
    }


def _one(data: bytes, position: int, tag: int, found: dict[int, bytes]) -> int:
    """Pass the plain element of ``tag``; stay when another is there."""
    element = _plain_element(data, position, len(data) - 12)
    if element is None or element[0] != tag:
        return position
    _, start, after = element
    if tag in WANTED:
        found[tag] = data[start:after]
    return after


def _alike() -> Alike:
    """Of this thread: an association has one of its own, and brings series after series."""
    alike: Alike | None = getattr(_of_thread, "alike", None)
    if alike is None:
        alike = _of_thread.alike = Alike(_plain_elements, _wanted)
    return alike


def _walk(
    data: Data, encoding: _Encoding, position: int = 0, alike: Alike | None = None
) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    end, checked_end = len(data), False
    if alike is not None and isinstance(data, bytes):
        position = alike.skip(data, found, _one)
    while position < end:
        if encoding is _EXPLICIT:
            position = _stride(data, position, found)
        if end - position < 8:
            if not any(data[position:]):
                break  # padding after the last element, harmless
            raise _truncated(position, end)
        tag, start, length, inner = _element(data, position, encoding)
        if length == _UNDEFINED:
            position = _skip_items(data, start, inner, depth=0)
        elif start + length > end:
            raise _truncated(position, end, tag)
        else:
            position = start + length
        if tag in WANTED and tag not in found:
            found[tag] = data[start:position]
        if tag > _LAST_WANTED and not checked_end:
            # PS3.5 7.1: tags ascend, so nothing wanted follows.
            if _pixels_fill(data, position, encoding):
                break
            checked_end = True
    return found


def _pixels_fill(data: Data, position: int, encoding: _Encoding) -> bool:
    """Whether pixel data found after ``position`` reaches exactly to the end of the data set."""
    for start in encoding.pixel_data:
        at = data.find(start, position)
        if at < 0 or at + len(start) + 4 > len(data):
            continue
        (length,) = encoding.long.unpack_from(data, at + len(start))
        if length == _UNDEFINED:
            return data[-len(encoding.sequence_end) :] == encoding.sequence_end
        return bool(at + len(start) + 4 + length == len(data))
    return False


def _element(data: Data, position: int, encoding: _Encoding) -> tuple[int, int, int, _Encoding]:
    """Tag, where the value starts, its length, and how items inside it are encoded."""
    try:
        group, element = encoding.tag.unpack_from(data, position)
        tag = group << 16 | element
        if not encoding.explicit or group == 0xFFFE:
            return tag, position + 8, encoding.long.unpack_from(data, position + 4)[0], encoding
        vr = data[position + 4 : position + 6]
        if vr in _LONG:
            length = encoding.long.unpack_from(data, position + 8)[0]
            # PS3.5 6.2.2 note 4: what is inside a UN of undefined length is Implicit VR LE.
            inner = _IMPLICIT if vr == b"UN" and length == _UNDEFINED else encoding
            return tag, position + 12, length, inner
        if len(vr) == 2 and not (vr.isalpha() and vr.isupper()):
            raise _malformed(f"element {_name(tag)} at byte {position} has no value representation")
        return tag, position + 8, encoding.short.unpack_from(data, position + 6)[0], encoding
    except struct.error:
        raise _truncated(position, len(data)) from None


def _skip_items(data: Data, position: int, encoding: _Encoding, *, depth: int) -> int:
    """Pass the items (or fragments) of a value of undefined length; return what follows it."""
    if depth > _DEPTH_LIMIT:
        raise _malformed(f"its sequences are nested deeper than {_DEPTH_LIMIT}")
    end = len(data)
    while position < end:
        tag, start, length, _ = _element(data, position, encoding)
        if tag == _SEQUENCE_END:
            return start
        if tag != _ITEM:
            raise _malformed(f"{_name(tag)} at byte {position} stands where an item must")
        if length == _UNDEFINED:
            position = _skip_item(data, start, encoding, depth=depth + 1)
        elif start + length > end:
            raise _truncated(position, end, tag)
        else:
            position = start + length
    raise _truncated(position, end)


def _skip_item(data: Data, position: int, encoding: _Encoding, *, depth: int) -> int:
    end = len(data)
    while position < end:
        tag, start, length, inner = _element(data, position, encoding)
        if tag == _ITEM_END:
            return start
        if length == _UNDEFINED:
            position = _skip_items(data, start, inner, depth=depth + 1)
        elif start + length > end:
            raise _truncated(position, end, tag)
        else:
            position = start + length
    raise _truncated(position, end)


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _truncated(position: int, end: int, tag: int | None = None) -> Rejected:
    what = f"element {_name(tag)}" if tag is not None else "an element"
    return Rejected(
        f"The data set ends at byte {end}, in the middle of {what} that begins at {position}.",
        code="DATA_TRUNCATED",
        remedy=_RESEND,
    )


def _malformed(reason: str) -> Rejected:
    return Rejected(
        f"The data set is not encoded as its transfer syntax says: {reason}.",
        code="DATA_MALFORMED",
        remedy=_RESEND,
    )
