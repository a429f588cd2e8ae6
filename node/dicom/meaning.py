"""Whether two encodings of one SOP instance say the same, and where they do not.

Encoding never counts: transfer syntax, character set, how a number or a name is written. Nor does
what an archive adds to tell where the object lies (PS3.4 C.6.1.1.5), nor File Meta Information, nor
a private attribute, unless the node reads it: what is not read changes nothing that is made.
"""

import math
import warnings
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.pixels.utils import iter_pixels
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom import codecs
from node.dicom.headers import PHILIPS_FRAME, philips_scale
from node.dicom.unreadable import UNREADABLE
from node.domain.difference import Aspect, Difference
from node.domain.names import person_name

_IDENTITY = frozenset(
    {
        "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientName",
        "PatientBirthDate", "PatientSex", "StudyInstanceUID", "SeriesInstanceUID",
        "AccessionNumber", "SOPClassUID",
    }
)  # fmt: skip
_GEOMETRY = frozenset(
    {
        "FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
        "SliceThickness", "SpacingBetweenSlices", "Rows", "Columns", "NumberOfFrames",
        "PatientPosition", "PatientOrientation", "GantryDetectorTilt", "PixelAspectRatio",
    }
)  # fmt: skip
_PIXELS = frozenset(
    {
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
        "PhotometricInterpretation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    }
)  # fmt: skip
_SCALING = frozenset(
    {
        "RescaleSlope", "RescaleIntercept", "RealWorldValueSlope", "RealWorldValueIntercept",
        "RealWorldValueLUTData", "ModalityLUTSequence", "PhilipsScale",
    }
)  # fmt: skip
_EXAMINATION = frozenset(
    {
        "Modality", "ImageType", "FrameType", "ComplexImageComponent", "BodyPartExamined",
        "Laterality", "ScanningSequence", "SequenceName", "PulseSequenceName", "EchoTime",
        "EffectiveEchoTime", "EchoNumbers", "RepetitionTime", "InversionTime", "FlipAngle",
        "MagneticFieldStrength", "DiffusionBValue", "TemporalPositionIdentifier",
        "AcquisitionNumber", "ContrastBolusAgent", "BurnedInAnnotation", "StackID",
        "InStackPositionNumber", "MedicalAlerts", "SpecialNeeds", "DeviceSequence",
    }
)  # fmt: skip
# A warning that is added, or taken away, is one all the same; of the others an archive may fill in
# what was empty.
_ALERTS = frozenset({"MedicalAlerts", "SpecialNeeds", "DeviceSequence", "ContrastBolusAgent"})
# Where an object lies and how it was encoded: never what it says.
_NEVER = frozenset(
    {
        "RetrieveAETitle", "InstanceAvailability", "StorageMediaFileSetID", "RetrieveURL",
        "RetrieveURI", "RetrieveLocationUID", "StorageMediaFileSetUID", "SpecificCharacterSet",
        "DataSetTrailingPadding", "PlanarConfiguration",
    }
)  # fmt: skip
# Attributes of frames: what is inside counts as if it stood at the top.
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_ASPECTS = {
    keyword: aspect
    for aspect, keywords in (
        (Aspect.IDENTITY, _IDENTITY),
        (Aspect.GEOMETRY, _GEOMETRY),
        (Aspect.PIXELS, _PIXELS),
        (Aspect.SCALING, _SCALING),
        (Aspect.EXAMINATION, _EXAMINATION),
    )
    for keyword in keywords
}
# PS3.5 6.2: a DS has 16 characters, enough for ten digits with sign, point and exponent. Who writes
# the same number anew may differ in what they do not hold.
_DIGITS = 1e-9
_NUMBERS = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})
# PS3.5 6.2: in these, spaces in front of the text are part of it.
_TEXTS = frozenset({"ST", "LT", "UT"})
_SHOWN = 64
_CHUNK = 1 << 20

_Key = tuple[object, ...]
_Said = dict[_Key, tuple[str, object, str]]
"""Place to keyword, comparable value and text."""


def differences(old: BinaryIO, new: BinaryIO) -> tuple[Difference, ...]:
    """What two Part 10 files of one SOP instance say differently, in order of their tags.

    Pixels are compared as they decode, frame by frame, so that a long object needs no memory of its
    length; where they cannot be decoded, other bytes are other pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deviations are judged when the series is checked
        first, then = _read(old), _read(new)
        found = [d for d in _attributes(first, then) if d is not None]
        if not _same_pixels((old, first), (new, then)):
            found.append(Difference(aspect=Aspect.PIXELS, attribute="PixelData", old="", new=""))
    return tuple(found)


def identity_of(source: BinaryIO) -> dict[str, str]:
    """Whose the image of a Part 10 file is, by keyword, written so that the same is equal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _read(source)
        return identity(dataset)


def identity(dataset: Dataset) -> dict[str, str]:
    """Whose the image is, by keyword."""
    said = {key[0]: value for key, value in _said(dataset, _IDENTITY).items() if len(key) == 1}
    return {k: str(_text_of(said[k][1])) if k in said else "" for k in sorted(_NAMED)}


_NAMED = _IDENTITY - {"IssuerOfPatientIDQualifiersSequence", "SOPClassUID"}


def _read(source: BinaryIO) -> FileDataset:
    source.seek(0)
    return pydicom.dcmread(source, stop_before_pixels=True)


def _attributes(old: Dataset, new: Dataset) -> Iterator[Difference | None]:
    first, then = _said(old), _said(new)
    for key in sorted({*first, *then}, key=repr):
        nothing = ("", "", "")
        before, after = first.get(key, nothing), then.get(key, nothing)
        if not _equal(before[1], after[1]):
            keyword = before[0] or after[0]
            yield Difference(
                aspect=_aspect(key, keyword, before[2], after[2]),
                attribute=keyword,
                old=before[2],
                new=after[2],
            )


def _aspect(key: _Key, keyword: str, old: str, new: str) -> Aspect:
    top = str(key[0])
    decides = keyword if len(key) == 1 or top in _GROUPS else top
    aspect = _ASPECTS.get(decides, Aspect.OTHER)
    if aspect is Aspect.EXAMINATION and decides not in _ALERTS and not (old and new):
        return Aspect.OTHER
    return aspect


def _said(dataset: Dataset, only: frozenset[str] | None = None) -> _Said:
    found: _Said = {}
    for element in _elements(dataset):
        keyword = element.keyword or str(element.tag)
        if keyword in _NEVER or (only is not None and keyword not in only):
            continue
        found |= _of_element(element, (keyword,))
    if only is None:
        found |= _philips(dataset)
    return found


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    for tag in sorted(dataset.keys()):
        if not _passed_over(tag):
            try:
                yield dataset[tag]
            except UNREADABLE:
                raw = getattr(dataset.get_item(tag), "value", b"")
                yield DataElement(tag, "UN", raw if isinstance(raw, bytes) else b"")


def _passed_over(tag: BaseTag) -> bool:
    """Group lengths (PS3.5 7.2), private attributes, and repeats of curves and the like stay."""
    return tag.element == 0 or tag.is_private or tag.group < 0x0008


def _of_element(element: DataElement, place: _Key) -> _Said:
    if element.VR != "SQ":
        value = _comparable(element)
        return {} if value in ("", b"", ()) else {place: (str(place[-1]), value, _shown(element))}
    found: _Said = {}
    for number, item in enumerate(element.value or ()):
        for inner in _elements(item):
            keyword = inner.keyword or str(inner.tag)
            if keyword not in _NEVER:
                found |= _of_element(inner, (*place, number, keyword))
    return found


def _philips(dataset: Dataset) -> _Said:
    """The private scale the node reads: of the object, or of each frame."""
    scales = [philips_scale(dataset)]
    for group in dataset.get("PerFrameFunctionalGroupsSequence") or ():
        try:
            scales += [philips_scale(item) for item in group[PHILIPS_FRAME].value]
        except UNREADABLE:
            continue
    told = tuple(number for scale in scales if scale is not None for number in scale)
    return {("PhilipsScale",): ("PhilipsScale", told, _cut(str(told)))} if told else {}


def _comparable(element: DataElement) -> object:
    try:
        value = element.value
        if element.VR == "PN":
            return tuple(person_name(str(v)) for v in _several(value)) if value else ""
        if element.VR in _NUMBERS:
            return tuple(float(v) for v in _several(value) if v not in (None, ""))
        if isinstance(value, bytes):
            return value.rstrip(b"\0 ")
        return _words(value, element.VR)
    except UNREADABLE:
        return repr(getattr(element, "_value", ""))


def _words(value: Any, vr: str) -> object:
    told = tuple(_stripped(str(v), vr) for v in _several(value) if v is not None)
    return told if any(told) else ""


def _stripped(text: str, vr: str) -> str:
    if vr == "DA":  # ACR-NEMA wrote dots (PS3.5 6.2 note)
        return text.strip(" \0").replace(".", "")
    return text.rstrip(" \0") if vr in _TEXTS else text.strip(" \0")


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def _equal(old: object, new: object) -> bool:
    if old == new:
        return True
    if not (isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new)):
        return False
    return all(_close(a, b) for a, b in zip(old, new, strict=True))


def _close(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=_DIGITS, abs_tol=_DIGITS)
    return old == new


def _text_of(value: object) -> object:
    return "\\".join(str(v) for v in value) if isinstance(value, tuple) else value


def _shown(element: DataElement) -> str:
    try:
        value = element.value
        if isinstance(value, bytes):
            return f"{len(value)} bytes"
        return _cut("\\".join(str(v) for v in _several(value) if v is not None))
    except UNREADABLE:
        return "?"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _same_pixels(old: tuple[BinaryIO, FileDataset], new: tuple[BinaryIO, FileDataset]) -> bool:
    syntaxes = {_syntax(dataset) for _, dataset in (old, new)}
    # A deflated data set was read to its end, whatever of it was asked for.
    alike = len(syntaxes) == 1 and DeflatedExplicitVRLittleEndian not in syntaxes
    if alike and _same_rest(old[0], new[0]):
        return True
    codecs.register()
    try:
        frames = zip_longest(_frames(*old), _frames(*new))
        return all(_same_frame(a, b) for a, b in frames)
    except (*UNREADABLE, RuntimeError, MemoryError):
        return False  # what cannot be decoded cannot be shown to be the same


def _frames(source: BinaryIO, dataset: FileDataset) -> Iterator[Any]:
    source.seek(0)
    # Inflated it lies in memory anyhow, and pydicom finds no frame in the file.
    deflated = _syntax(dataset) == DeflatedExplicitVRLittleEndian
    return iter_pixels(pydicom.dcmread(source) if deflated else source)


def _same_frame(old: Any, new: Any) -> bool:
    return old is not None and new is not None and bool(np.array_equal(old, new))


def _syntax(dataset: FileDataset) -> str:
    return str(dataset.file_meta.get("TransferSyntaxUID", ""))


def _same_rest(old: BinaryIO, new: BinaryIO) -> bool:
    """Whether what follows the header is the same; both stand where reading it ended."""
    while True:
        first, then = old.read(_CHUNK), new.read(_CHUNK)
        if first != then:
            return False
        if not first:
            return True
