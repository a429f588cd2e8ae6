"""Elements whose value representation no edition of the standard knows, such as ``??``.

The library takes them for Implicit VR, reads their length wrongly and swallows what follows. A
private one is passed by its length, as UN; of a standard one the meaning would be a guess.
"""

import struct
from collections.abc import Callable
from typing import TypeVar

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from node.domain.errors import Rejected

Parsed = TypeVar("Parsed", bound=Dataset)

_SHORT_HEAD, _LONG_HEAD = 8, 12
_SHORT_VR, _LONG_VR = b"LO", b"UN"
# More of them are no slip of one private dictionary.
_MOST = 64


def parse(data: bytes, reader: Callable[[bytes], Parsed]) -> Parsed:
    """The data set of ``data``, its unknown private elements as UN.

    Raises `Rejected` (FILE_MALFORMED) where one cannot be passed, and what ``reader`` raises.
    """
    mended: dict[int, int] = {}
    while True:
        dataset = reader(data)
        odd = _misread(dataset, data)
        if odd is None:
            break
        if len(mended) == _MOST or odd.tag in mended:
            raise _malformed(odd, data)
        mended[odd.tag] = odd.value_tell
        data = _with_known(data, odd)
    for tag in mended:
        value = dataset.get_item(tag).value
        dataset[tag] = DataElement(tag, "UN", value or b"")
    return dataset


def _misread(dataset: Dataset, data: bytes) -> RawDataElement | None:
    """The first element with an unknown VR that the library took for the half of a length."""
    syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID", "")
    if syntax in (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian):
        return None  # other offsets, other byte order: read as the library reads them
    for element in dataset.values():
        if not isinstance(element, RawDataElement) or element.is_implicit_VR:
            continue
        if element.VR is None and element.value_tell >= _SHORT_HEAD:
            follows = element.value_tell + element.length
            lettered = all(0x20 <= byte < 0x7F for byte in _vr(data, element))
            return element if lettered and not _goes_on(data, follows, element.tag) else None
    return None


def _vr(data: bytes, element: RawDataElement) -> bytes:
    return data[element.value_tell - 4 : element.value_tell - 2]


def _with_known(data: bytes, odd: RawDataElement) -> bytes:
    """``data`` with a known VR of the same form in its place (PS3.5 7.1.2)."""
    start = odd.value_tell - _SHORT_HEAD
    if not odd.tag.is_private:
        raise _malformed(odd, data)
    (short,) = struct.unpack_from("<H", data, start + 6)
    if _goes_on(data, start + _SHORT_HEAD + short, odd.tag):
        vr = _SHORT_VR
    elif _goes_on(data, start + _LONG_HEAD + _long(data, start), odd.tag):
        vr = _LONG_VR
    else:
        raise _malformed(odd, data)
    return data[: start + 4] + vr + data[start + 6 :]


def _long(data: bytes, start: int) -> int:
    if start + _LONG_HEAD > len(data):
        return len(data)
    return int(struct.unpack_from("<I", data, start + _SHORT_HEAD)[0])


def _goes_on(data: bytes, position: int, tag: int) -> bool:
    """Whether an element with a later tag and a printable VR stands there, or the end."""
    if position == len(data):
        return True
    if position + _SHORT_HEAD > len(data):
        return False
    group, number, vr = struct.unpack_from("<HH2s", data, position)
    return (group << 16 | number) > tag and all(0x20 < byte < 0x7F for byte in vr)


def _malformed(odd: RawDataElement, data: bytes) -> Rejected:
    vr = _vr(data, odd).decode("latin-1")
    where = f"({odd.tag.group:04X},{odd.tag.element:04X})"
    return Rejected(f"{where} VR {vr!r}", code="FILE_MALFORMED")
