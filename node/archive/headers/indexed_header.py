"""Headers as the index keeps them: keyword to text, decoded, multiple values joined by backslash.

Sequences are lists of such mappings. What received and what the node made go through here alike.
"""

import io
import struct
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.archive.headers import header_reader
from node.archive.headers.indexed_attributes import ATTRIBUTES, Attribute, Level

Header = dict[str, Any]

_SERIES = tuple(a for a in ATTRIBUTES if a.level is not Level.IMAGE)
_IMAGE = tuple(a for a in ATTRIBUTES if a.level is Level.IMAGE)
_META_LENGTH_AT = 128 + 4 + 8
_SEQUENCE_LIMIT = 64 * 1024


def series_header(values: Mapping[int, bytes], transfer_syntax_uid: str) -> Header:
    """What is kept once for a series: its patient, study and series attributes."""
    header = _header(_SERIES, values, transfer_syntax_uid)
    names = values.get(header_reader.CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    return header | ({"SpecificCharacterSet": names} if names else {})


def image_header(values: Mapping[int, bytes], transfer_syntax_uid: str) -> Header:
    """What is kept for each instance."""
    return _header(_IMAGE, values, transfer_syntax_uid)


def part10_values(data: bytes, transfer_syntax_uid: str) -> Mapping[int, bytes]:
    """Raw values of a Part 10 file that the node wrote itself."""
    # Preamble, prefix, then (0002,0000) whose value is the length of the rest (PS3.10 7.1).
    (length,) = struct.unpack_from("<I", data, _META_LENGTH_AT)
    return header_reader.read_header(data[_META_LENGTH_AT + 4 + length :], transfer_syntax_uid)


def _header(
    attributes: Iterable[Attribute], values: Mapping[int, bytes], transfer_syntax_uid: str
) -> Header:
    header: Header = {}
    for attribute in attributes:
        if attribute.tag not in values:
            continue
        if attribute.vr == "SQ":
            header[attribute.keyword] = _items(values, attribute.tag, transfer_syntax_uid)
        elif attribute.vr == "US":
            header[attribute.keyword] = _unsigned(values[attribute.tag], transfer_syntax_uid)
        else:
            header[attribute.keyword] = _trimmed(header_reader.text(values, attribute.tag))
    return header


def _trimmed(text: str) -> str:
    # PS3.5 6.2: spaces around the values of the kept representations carry nothing.
    return "\\".join(part.strip(" \0") for part in text.split("\\")) if "\\" in text else text


def _unsigned(raw: bytes, transfer_syntax_uid: str) -> str:
    order = ">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    return "\\".join(str(n) for (n,) in struct.iter_unpack(f"{order}H", raw[: len(raw) // 2 * 2]))


def _items(values: Mapping[int, bytes], tag: int, transfer_syntax_uid: str) -> list[Header]:
    raw = values[tag]
    if len(raw) > _SEQUENCE_LIMIT:
        return []
    names = values.get(header_reader.CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    implicit = transfer_syntax_uid == ImplicitVRLittleEndian
    little = transfer_syntax_uid != ExplicitVRBigEndian
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deviations are judged when the series is checked
            items = read_sequence(io.BytesIO(raw), implicit, little, len(raw), _encodings(names))
            return [_nested(item) for item in items]
    except (ValueError, KeyError, AttributeError, TypeError, EOFError, OSError, struct.error):
        return []  # optional keys: what cannot be read cannot be matched, and harms nobody else


def _encodings(names: str) -> list[str]:
    return list(convert_encodings([name.strip() for name in names.split("\\")]))


def _nested(item: Dataset) -> Header:
    header: Header = {}
    for element in item:
        if element.keyword and element.VR != "SQ" and not isinstance(element.value, bytes):
            value = element.value
            parts = value if element.VM > 1 else [value]
            header[element.keyword] = "\\".join("" if p is None else str(p).strip() for p in parts)
        elif element.keyword and element.VR == "SQ":
            header[element.keyword] = [_nested(inner) for inner in element.value]
    return header
