"""What an sCT inherits from its MR: who the patient is and which study it belongs to.

Every value is judged once, by `read_inherited`: the checks tell what it found before a voxel is
touched, and the writer writes what it gave. A value that is not as its value representation asks
is read where it has one meaning, left out where nothing needs it, emptied where the attribute must
be there, and refused where a planning system files by it.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import IS, DSdecimal, DSfloat, PersonName

from node.dicom.text import codecs_of, is_written_in, stated_character_sets
from node.dicom.unreadable import UNREADABLE
from node.dicom.values import fault, meant
from node.domain.character_set import character_sets, is_default
from node.domain.errors import Rejected
from node.domain.instance import Outcome, Reading

# Patient, Patient Study and General Study modules (PS3.3 C.7.1.1, C.7.2.2, C.7.2.1), Frame of
# Reference (C.7.4.1), and what becomes of a value that is not valid: by the attribute's type, but
# that a planning system files by the first ones.
_REFUSED = ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID")
_EMPTIED = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip
_LEFT_OUT = (
    "TimezoneOffsetFromUTC", "IssuerOfPatientID", "StudyDescription", "BodyPartExamined",
    "Laterality", "PatientBirthTime", "PatientAge", "PatientSize", "PatientWeight",
)  # fmt: skip
# Of the scanner, for the item of the acquisition equipment (PS3.3 C.12.1).
SCANNER = ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber")
_SEVERAL_VALUES = frozenset({"SoftwareVersions"})
# Type 2: must be there even when nothing is known.
TYPE_2 = ("PatientName", "PatientID", *_EMPTIED)
INHERITED = (*_REFUSED, *_EMPTIED, *_LEFT_OUT)
_OUTCOMES = {
    **dict.fromkeys(_REFUSED, Outcome.REFUSED),
    **dict.fromkeys(_EMPTIED, Outcome.EMPTIED),
    **dict.fromkeys((*_LEFT_OUT, *SCANNER), Outcome.LEFT_OUT),
}
# Enumerated values: PS3.3 C.7.1.1, C.7.3.1, C.7.1.1 again.
_ENUMERATED = {
    "PatientSex": ("M", "F", "O"),
    "Laterality": ("R", "L"),
    "TypeOfPatientID": ("TEXT", "RFID", "BARCODE"),
}
# PS3.3 C.12.1: hours and minutes of the time zones there are.
_ZONE = re.compile(r"\+(0\d|1[0-3])[0-5]\d|\+1400|-(0\d|1[01])[0-5]\d|-1200")
# PS3.16 annex L: parts of which there is one. PS3.3 C.7.3.1: no Laterality is sent of those.
_UNPAIRED = frozenset(
    {
        "", "HEAD", "BRAIN", "SKULL", "HEADNECK", "NECK", "FACE", "JAW", "MAXILLA", "MANDIBLE",
        "NOSE", "CHEST", "THORAX", "HEART", "ABDOMEN", "ABDOMENPELVIS", "CHESTABDOMEN",
        "CHESTABDPELVIS", "LIVER", "PANCREAS", "PELVIS", "PROSTATE", "UTERUS", "BLADDER", "RECTUM",
        "SPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE", "CTSPINE", "TLSPINE", "LSSPINE",
        "COCCYX", "WHOLEBODY",
    }
)  # fmt: skip


# Everything pydicom raises while it converts a value.
@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What is taken over of one data set."""

    character_set: tuple[str, ...]
    """Defined terms; empty for the default repertoire."""
    values: Mapping[str, tuple[str, ...]]
    """Valid values by keyword; what is absent, empty or not valid has none."""
    other_ids: tuple[Mapping[str, str], ...]
    """Items of OtherPatientIDsSequence."""
    readings: tuple[Reading, ...]
    """What is not as it should be, in the order of the attributes."""

    def text(self, keyword: str) -> str:
        """The valid value; empty when there is none."""
        return "\\".join(self.values.get(keyword, ()))


_ATTRIBUTES = (*INHERITED, *SCANNER)
_TAGS = tuple(BaseTag(tag_for_keyword(keyword) or 0) for keyword in _ATTRIBUTES)
_OTHER_IDS = BaseTag(tag_for_keyword("OtherPatientIDsSequence") or 0)
_REMEMBERED_BYTES = 16 * 1024


def read_inherited(source: Dataset) -> Inherited:
    """Judge every attribute that an sCT takes over from ``source``.

    The images of a series mostly say the same in the same bytes, which are judged once.
    """
    stated = stated_character_sets(source)
    present: list[Any] = [source.get_item(tag) for tag in (*_TAGS, _OTHER_IDS) if tag in source]
    elements = [element for element in present if isinstance(element, RawDataElement)]
    large = sum(len(element.value or b"") for element in elements) > _REMEMBERED_BYTES
    if large or len(elements) < len(present):
        return _judge(source, stated)
    decoded_by = source.original_character_set
    return _judge_encoded(
        tuple(element._replace(value_tell=0) for element in elements),
        stated,
        decoded_by if isinstance(decoded_by, str) else tuple(decoded_by or ()),
    )


@lru_cache(maxsize=64)
def _judge_encoded(
    elements: tuple[RawDataElement, ...],
    stated: tuple[str, ...],
    decoded_by: str | tuple[str, ...],
) -> Inherited:
    """The same of the elements alone, as they were read and not yet decoded."""
    source = Dataset({element.tag: element for element in elements})
    several = decoded_by if isinstance(decoded_by, str) else list(decoded_by)
    source.set_original_encoding(None, None, several)
    return _judge(source, stated)


def _judge(source: Dataset, stated: tuple[str, ...]) -> Inherited:
    """Judge the attributes of ``source``, whose SpecificCharacterSet is ``stated``."""
    terms = character_sets(stated)
    readings = list(_of_character_set(stated, terms))
    encodings = codecs_of(terms) if terms is not None else ["ascii"]
    values: dict[str, tuple[str, ...]] = {}
    for keyword in _ATTRIBUTES:
        read = _read(source, keyword, encodings)
        values[keyword] = read.values
        readings += read.readings
    if values["Laterality"] and "".join(values["BodyPartExamined"]) in _UNPAIRED:
        told = f'CS "{values.pop("Laterality")[0]}"'
        readings.append(Reading("Laterality", told, Outcome.LEFT_OUT))
    others, odd = _other_ids(source, encodings)
    return Inherited(
        character_set=terms or (),
        values={keyword: found for keyword, found in values.items() if found},
        other_ids=others,
        readings=(*readings, *odd),
    )


def inherit(source: Dataset, target: Dataset) -> Inherited:
    """Write into ``target`` what `read_inherited` gives of ``source``; empty what type 2 demands.

    Raises `Rejected` where it refuses a value, which the checks have told before.
    """
    found = read_inherited(source)
    for reading in found.readings:
        if reading.outcome is Outcome.REFUSED:
            what = f"{reading.attribute} is not valid ({reading.told})"
            raise Rejected(f"{what}.", code="VALUE_INVALID", remedy="Correct it in the PACS.")
    if found.character_set:
        target.add(element("SpecificCharacterSet", found.character_set))
    for keyword in INHERITED:
        if keyword in found.values:
            target.add(element(keyword, found.values[keyword]))
    for keyword in TYPE_2:
        if keyword not in target:
            target.add(element(keyword, ()))
    if not found.values.get("Laterality") and found.text("BodyPartExamined") not in _UNPAIRED:
        target.add(element("Laterality", ()))  # type 2C: of a part that may be paired
    if found.other_ids:
        target.OtherPatientIDsSequence = [_item(values) for values in found.other_ids]
    return found


def _of_character_set(stated: Sequence[str], terms: tuple[str, ...] | None) -> Iterator[Reading]:
    told = "\\".join(stated)
    if terms is None:
        yield Reading("SpecificCharacterSet", told, Outcome.REFUSED)
    elif terms != tuple(stated) and not is_default(stated):
        yield Reading("SpecificCharacterSet", told, Outcome.READ, "\\".join(terms) or "ISO_IR 6")


@dataclass(frozen=True, slots=True)
class _Read:
    values: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()


def _read(source: Dataset, keyword: str, encodings: Sequence[str]) -> _Read:
    """The valid values of one attribute, or what is wrong with it."""
    vr = dictionary_VR(keyword)
    outcome = _OUTCOMES[keyword]
    try:
        stated = _stated(source, keyword)
    except UNREADABLE:
        return _Read((), (Reading(keyword, f"{vr} ?", outcome),))
    if not any(stated):
        return _Read()
    if len(stated) > 1 and keyword not in _SEVERAL_VALUES:
        return _Read((), (Reading(keyword, f"{vr} × {len(stated)}", outcome),))
    wrong = [_fault(keyword, vr, text, encodings) for text in stated]
    told = next((f"{vr} {found}" for found in wrong if found), None)
    if told is None:
        return _Read(stated)
    read = _meant(keyword, vr, stated[0])
    if read is not None and len(stated) == 1:
        return _Read((read,), (Reading(keyword, told, Outcome.READ, read),))
    return _Read((), (Reading(keyword, told, outcome),))


def _fault(keyword: str, vr: str, text: str, encodings: Sequence[str]) -> str | None:
    found = fault(vr, text)
    if found is not None:
        return found
    if not is_written_in(text, encodings):
        odd = next(c for c in text if not is_written_in(c, encodings))
        return f"U+{ord(odd):04X}"
    if keyword == "TimezoneOffsetFromUTC" and (not _ZONE.fullmatch(text) or text == "-0000"):
        return f'"{text}"'
    allowed = _ENUMERATED.get(keyword)
    return f'"{text}"' if allowed and text not in allowed else None


def _meant(keyword: str, vr: str, text: str) -> str | None:
    read = meant(vr, text)
    allowed = _ENUMERATED.get(keyword)
    return None if allowed and read not in allowed else read


def _stated(source: Dataset, keyword: str) -> tuple[str, ...]:
    """The values as they stand, without padding; numbers as they are written."""
    if keyword not in source:
        return ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deviations are judged here
        element = source.get(keyword)
        if element is None:
            return ()
        several = isinstance(element, MultiValue | list | tuple)
        return tuple(_text(value) for value in (element if several else [element]))


def _text(value: Any) -> str:
    """One value as it is written; raise `TypeError` for what another representation gives."""
    if isinstance(value, DSfloat | DSdecimal | IS):
        return str(getattr(value, "original_string", value)).strip(" \0")
    if not isinstance(value, str | PersonName):
        raise TypeError(type(value).__name__)
    return str(value).strip(" \0")


def _other_ids(
    source: Dataset, encodings: Sequence[str]
) -> tuple[tuple[Mapping[str, str], ...], tuple[Reading, ...]]:
    """Items with an ID and its type (both type 1); one that is not valid leaves the others."""
    try:
        items = list(source.get("OtherPatientIDsSequence") or ())
        read = [_other_id(item, encodings) for item in items]
    except UNREADABLE:
        read = [None]
    odd = sum(item is None for item in read)
    readings = [Reading("OtherPatientIDsSequence", f"SQ {odd}", Outcome.LEFT_OUT)] if odd else []
    return tuple(item for item in read if item is not None), tuple(readings)


def _other_id(item: Dataset, encodings: Sequence[str]) -> Mapping[str, str] | None:
    found: dict[str, str] = {}
    for keyword in ("PatientID", "TypeOfPatientID", "IssuerOfPatientID"):
        stated = _stated(item, keyword)
        wrong = [_fault(keyword, dictionary_VR(keyword), text, encodings) for text in stated]
        if len(stated) > 1 or any(wrong):
            return None
        if any(stated):
            found[keyword] = stated[0]
    return found if {"PatientID", "TypeOfPatientID"} <= found.keys() else None


def _item(values: Mapping[str, str]) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        item.add(element(keyword, (value,)))
    return item


def element(keyword: str, values: Sequence[str]) -> DataElement:
    """The element with one value, several, or none."""
    vr, tag = dictionary_VR(keyword), tag_for_keyword(keyword)
    value: Any = values[0] if len(values) == 1 else list(values)
    if vr == "PN" and len(values) == 1:
        value = PersonName(values[0])
    return DataElement(tag or 0, vr, value or ("" if vr not in ("DA", "TM") else None))
