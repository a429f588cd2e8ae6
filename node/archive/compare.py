"""Whether two encodings say the same: one object sent in another transfer syntax is no conflict."""

import io
import warnings
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from node.archive.peek import inflate
from node.domain.errors import Rejected


def same_object(stored: Path, data_set: bytes, transfer_syntax_uid: str) -> bool:
    """Whether ``data_set`` has the public attributes and pixels of the stored Part 10 file.

    Only unencapsulated encodings are compared; a compressed one counts as other bytes, because
    equal pixels do not prove an equal object. Private attributes are left out: Implicit VR does
    not carry their value representation.
    """
    syntax = UID(transfer_syntax_uid)
    if syntax.is_encapsulated:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deviations are judged when the series is checked
            ours = pydicom.dcmread(stored)
            if UID(str(ours.file_meta.TransferSyntaxUID)).is_encapsulated:
                return False
            return _flat(ours) == _flat(_read(data_set, syntax))
    except (Rejected, ValueError, KeyError, AttributeError, TypeError, NotImplementedError):
        return False  # what cannot be read cannot be shown to be the same


def _read(data_set: bytes, syntax: UID) -> Dataset:
    if syntax == DeflatedExplicitVRLittleEndian:
        data_set = inflate(data_set)
    return read_dataset(io.BytesIO(data_set), syntax.is_implicit_VR, syntax.is_little_endian)


def _flat(dataset: Dataset) -> list[tuple[object, ...]]:
    """Every public element, nested ones with their place, in order."""
    flat: list[tuple[object, ...]] = []
    for element in dataset:
        if element.tag.is_private or element.tag.element == 0:  # PS3.5 7.2: group lengths
            continue
        if element.VR == "SQ":
            items = element.value or []
            flat.append((element.tag, len(items)))
            for item in items:
                flat.extend((element.tag, *inner) for inner in _flat(item))
        else:
            flat.append((element.tag, _plain(element.value)))
    return flat


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value
    return "" if value is None else str(value)
