"""Data set -> `Instance`: a careful reader that takes what is there and never guesses.

A value that cannot be read counts as absent, so that the checks name it; only what makes the file
no DICOM object at all raises.
"""

import io
import math
import struct
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from node.dicom.declared import require_inflatable
from node.dicom.implants import coded_implants, mentioned_implants
from node.dicom.inheritance import read_inherited
from node.dicom.text import codecs_of, stated_character_sets
from node.dicom.unknown_vr import parse
from node.dicom.unreadable import UNREADABLE
from node.domain.character_set import character_sets
from node.domain.errors import Rejected
from node.domain.instance import Cosines, Frame, Instance, Vector3

T = TypeVar("T")
# Transfer syntaxes whose pixel data is not encapsulated; without one the file is Implicit VR LE.
_NATIVE = {
    "", ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
}  # fmt: skip
# Encodings that lose detail, always or where their writer chose to, by the defined terms of
# LossyImageCompressionMethod.
_ALWAYS_LOSSY: dict[str, str] = {
    JPEGBaseline8Bit: "ISO_10918_1", JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
}  # fmt: skip
_LOSSY: dict[str, str] = {
    **_ALWAYS_LOSSY, JPEG2000: "ISO_15444_1", JPEG2000MC: "ISO_15444_1", HTJ2K: "ISO_15444_15",
}  # fmt: skip
PHILIPS_FRAME = 0x2005140F
"""Philips' private sequence in each frame's functional groups."""
# Everything pydicom raises while it converts a malformed value.
_UNREADABLE = UNREADABLE


def read_file(data: bytes, *, name: str) -> FileDataset:
    """Parse Part 10 bytes; ``name`` is how the file is called in the error.

    Raises `Rejected` with code FILE_EMPTY, FILE_NOT_DICOM, FILE_MALFORMED or FILE_TRUNCATED.
    """
    if not data:
        raise Rejected(f"File {name} is empty.", code="FILE_EMPTY")
    require_inflatable(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deviations are judged by our own checks
            dataset = parse(data, lambda read: pydicom.dcmread(io.BytesIO(read)))
            _ = dataset.get("SOPInstanceUID"), dataset.get("SeriesInstanceUID")
    except InvalidDicomError:
        reason = "the letters DICM are not at byte 128"
        raise Rejected(reason, code="FILE_NOT_DICOM") from None
    except _UNREADABLE as error:
        raise Rejected(str(error) or type(error).__name__, code="FILE_MALFORMED") from None
    _decode_as_meant(dataset)
    if not any(keyword in dataset for keyword in ("SeriesInstanceUID", "Rows", "PixelData")):
        if "DirectoryRecordSequence" in dataset:  # DICOMDIR, PS3.3 F.3
            raise Rejected("it is a DICOMDIR, an index of other files", code="FILE_NOT_DICOM")
        raise Rejected("it ends before its Series Instance UID", code="FILE_TRUNCATED")
    return dataset


def _decode_as_meant(dataset: FileDataset) -> None:
    """Have text decoded by the character set that is meant, where its name is misspelt."""
    stated = stated_character_sets(dataset)
    terms = character_sets(stated)
    if terms and terms != stated:
        implicit, little = dataset.original_encoding
        dataset.set_original_encoding(bool(implicit), bool(little), codecs_of(terms))


_TEXTS = {
    "sop_class_uid": "SOPClassUID",
    "modality": "Modality",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "patient_position": "PatientPosition",
    "series_description": "SeriesDescription",
    "protocol_name": "ProtocolName",
    "manufacturer": "Manufacturer",
    "model_name": "ManufacturerModelName",
    "station_name": "StationName",
    "photometric": "PhotometricInterpretation",
    "device_serial_number": "DeviceSerialNumber",
}
"""Field of `Instance` and keyword of its attribute, as text."""
_WORDS = {
    "image_type": "ImageType",
    "scanning_sequence": "ScanningSequence",
    "character_set": "SpecificCharacterSet",
    "patient_orientation": "PatientOrientation",
}
"""The same for attributes of several values."""


def read_instance(dataset: Dataset) -> Instance:
    """What the header says, as a frozen value (PS3.3 A.4 MR Image, A.36 Enhanced MR Image)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # once for all values: a fifth of the time otherwise
        return _read_instance(dataset)


def _read_instance(dataset: Dataset) -> Instance:
    meta = getattr(dataset, "file_meta", Dataset())
    frames = _frames(dataset)
    inherited = read_inherited(dataset)
    plain: dict[str, Any] = {f: _text(dataset, keyword) for f, keyword in _TEXTS.items()}
    plain |= {f: _words(dataset, keyword) for f, keyword in _WORDS.items()}
    return Instance(
        **plain,
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        transfer_syntax_uid=_text(meta, "TransferSyntaxUID"),
        series_instance_uid=_uid(dataset, "SeriesInstanceUID"),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=_uid(dataset, "FrameOfReferenceUID"),
        body_part=_body_part(dataset),
        series_number=_value(dataset, "SeriesNumber", int),
        instance_number=_value(dataset, "InstanceNumber", int),
        sequence_name=_text(dataset, "SequenceName") or _text(dataset, "PulseSequenceName"),
        repetition_time_ms=_value(dataset, "RepetitionTime", _finite),
        field_strength_t=_value(dataset, "MagneticFieldStrength", _finite),
        contrast_agent=_contrast(dataset),
        lossy=_lossy(dataset, _text(meta, "TransferSyntaxUID")),
        rows=_value(dataset, "Rows", int) or 0,
        columns=_value(dataset, "Columns", int) or 0,
        samples_per_pixel=_value(dataset, "SamplesPerPixel", int) or 0,
        bits_allocated=_value(dataset, "BitsAllocated", int) or 0,
        bits_stored=_value(dataset, "BitsStored", int) or 0,
        number_of_frames=len(frames),
        has_pixels="PixelData" in dataset,
        pixel_bytes=_pixel_bytes(dataset, meta),
        frames=frames,
        declared_frames=_value(dataset, "NumberOfFrames", int),
        high_bit=_value(dataset, "HighBit", int),
        pixel_representation=_value(dataset, "PixelRepresentation", int),
        readings=inherited.readings,
        patient_birth_date=inherited.text("PatientBirthDate"),
        patient_age=inherited.text("PatientAge") or _text(dataset, "PatientAge"),
        study_date=inherited.text("StudyDate"),
        images_in_acquisition=_value(dataset, "ImagesInAcquisition", int),
        philips_slices=_private(dataset, 0x2001, "Philips Imaging DD 001", 0x18, int),
        reconstruction_diameter_mm=_value(dataset, "ReconstructionDiameter", _finite),
        burned_in=_text(dataset, "BurnedInAnnotation").upper() == "YES",
        anatomical_orientation=_text(dataset, "AnatomicalOrientationType").upper(),
        implants=coded_implants(dataset),
        implant_mentions=mentioned_implants(dataset),
    )


def _frames(dataset: Dataset) -> tuple[Frame, ...]:
    per_frame = _value(dataset, "PerFrameFunctionalGroupsSequence", list)
    if per_frame:
        shared = _item(dataset, "SharedFunctionalGroupsSequence")
        return tuple(_enhanced(dataset, shared, g, n) for n, g in enumerate(per_frame))
    return (_classic(dataset),)


def _classic(dataset: Dataset) -> Frame:
    image_type = _words(dataset, "ImageType")
    return Frame(
        number=0,
        position_mm=_vector3(dataset),
        orientation=_cosines(dataset),
        pixel_spacing_mm=_spacing(dataset),
        slice_thickness_mm=_value(dataset, "SliceThickness", _finite),
        image_type=image_type,
        complex_component=_component(dataset, image_type),
        echo_time_ms=_value(dataset, "EchoTime", _finite),
        echo_number=_value(dataset, "EchoNumbers", _first_int),
        acquisition_number=_value(dataset, "AcquisitionNumber", int),
        temporal_position=_value(dataset, "TemporalPositionIdentifier", int),
        b_value=_value(dataset, "DiffusionBValue", _finite),
        stack_id="",
        rescale_slope=_scale(dataset, "RescaleSlope", 1.0),
        rescale_intercept=_scale(dataset, "RescaleIntercept", 0.0),
        rescale_stated=_stated(dataset, "RescaleSlope"),
        philips_scale=philips_scale(dataset),
        spacing_between_slices_mm=_value(dataset, "SpacingBetweenSlices", _finite),
        slice_location_mm=_value(dataset, "SliceLocation", _finite),
        inversion_time_ms=_value(dataset, "InversionTime", _finite),
        trigger_time_ms=_value(dataset, "TriggerTime", _finite),
        repetition_time_ms=_value(dataset, "RepetitionTime", _finite),
        flip_angle_deg=_value(dataset, "FlipAngle", _finite),
    )


def _enhanced(dataset: Dataset, shared: Dataset, own: Dataset, number: int) -> Frame:
    """One frame from its functional groups, the shared ones where it has none of its own."""

    def group(keyword: str) -> Dataset:
        return _item(own, keyword) or _item(shared, keyword)

    kind, content = group("MRImageFrameTypeSequence"), _item(own, "FrameContentSequence")
    image_type = _words(kind, "FrameType") or _words(dataset, "ImageType")
    measures, transform = group("PixelMeasuresSequence"), group("PixelValueTransformationSequence")
    component = _component(kind, image_type) or _component(dataset, image_type)
    timing = group("MRTimingAndRelatedParametersSequence")
    return Frame(
        number=number,
        position_mm=_vector3(group("PlanePositionSequence")),
        orientation=_cosines(group("PlaneOrientationSequence")),
        pixel_spacing_mm=_spacing(measures),
        slice_thickness_mm=_value(measures, "SliceThickness", _finite),
        image_type=image_type,
        complex_component=component,
        echo_time_ms=_or(
            _value(group("MREchoSequence"), "EffectiveEchoTime", _finite),
            _value(dataset, "EchoTime", _finite),  # GDCM leaves it at the top when it converts
        ),
        echo_number=None,
        acquisition_number=_value(content, "FrameAcquisitionNumber", int),
        temporal_position=_value(content, "TemporalPositionIndex", int),
        b_value=_value(group("MRDiffusionSequence"), "DiffusionBValue", _finite),
        stack_id=_text(content, "StackID"),
        in_stack_position=_value(content, "InStackPositionNumber", int),
        rescale_slope=_scale(transform, "RescaleSlope", 1.0),
        rescale_intercept=_scale(transform, "RescaleIntercept", 0.0),
        rescale_stated=_stated(transform, "RescaleSlope"),
        philips_scale=philips_scale(_item(own, PHILIPS_FRAME)),
        spacing_between_slices_mm=_value(measures, "SpacingBetweenSlices", _finite),
        inversion_time_ms=_value(group("MRModifierSequence"), "InversionTimes", _first_number),
        trigger_time_ms=_value(
            group("CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime", _finite
        ),
        repetition_time_ms=_value(timing, "RepetitionTime", _finite),
        flip_angle_deg=_value(timing, "FlipAngle", _finite),
        volumetric=_text(kind, "VolumetricProperties").upper(),
    )


def _component(dataset: Dataset, image_type: Sequence[str]) -> str:
    """ComplexImageComponent; else what a vendor's ImageType says beyond doubt."""
    said = _text(dataset, "ComplexImageComponent").upper()
    if said:
        return said
    later = set(image_type[2:])
    if later & {"P", "PHASE", "PHASE MAP"}:
        return "PHASE"
    if later & {"M", "M_FFE", "M_SE", "M_IR", "MAGNITUDE"}:
        return "MAGNITUDE"
    return ""


def _vector3(dataset: Dataset) -> Vector3 | None:
    return cast("Vector3 | None", _numbers(dataset, "ImagePositionPatient", 3))


def _cosines(dataset: Dataset) -> Cosines | None:
    return cast("Cosines | None", _numbers(dataset, "ImageOrientationPatient", 6))


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    return cast("tuple[float, float] | None", _numbers(dataset, "PixelSpacing", 2))


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    values = _value(dataset, keyword, lambda v: tuple(_finite(x) for x in v))
    return values if values is not None and len(values) == count else None


def _words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = _value(dataset, keyword, lambda v: [v] if isinstance(v, str) else list(v))
    return tuple(str(word).strip().upper() for word in value or ())


def _text(dataset: Dataset, keyword: str) -> str:
    return (_value(dataset, keyword, str) or "").strip(" \0")


def _uid(dataset: Dataset, keyword: str) -> str:
    """The UID as it stands; empty when another value representation gives a number or bytes."""
    return (_value(dataset, keyword, _string) or "").strip(" \0")


def _string(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    raise TypeError(type(value).__name__)


def _item(dataset: Dataset, keyword: str | int) -> Dataset:
    items = _value(dataset, keyword, list)
    return items[0] if items else Dataset()


def _contrast(dataset: Dataset) -> str:
    """ContrastBolusAgent; else the code meaning of Enhanced MR's agent sequence."""
    said = _text(dataset, "ContrastBolusAgent")
    if said:
        return said
    coded = _value(dataset, "ContrastBolusAgentSequence", list)
    return (_text(coded[0], "CodeMeaning") or "agent not named") if coded else ""


def _body_part(dataset: Dataset) -> str:
    """BodyPartExamined; else the code meaning of AnatomicRegionSequence (Enhanced MR)."""
    said = _text(dataset, "BodyPartExamined")
    return (said or _text(_item(dataset, "AnatomicRegionSequence"), "CodeMeaning")).upper()


def _lossy(dataset: Dataset, transfer_syntax_uid: str) -> str:
    """How the pixels lost detail: by the header's word, else by how they are encoded now.

    PS3.3 C.7.6.1.1.5: once lossy always lossy. Some writers compress and do not say so; an encoding
    that may lose is believed when the header says that nothing was lost.
    """
    said = _text(dataset, "LossyImageCompression")
    if said == "01":
        return "\\".join(_words(dataset, "LossyImageCompressionMethod")) or "method not stated"
    if said == "00" and transfer_syntax_uid not in _ALWAYS_LOSSY:
        return ""
    return _LOSSY.get(transfer_syntax_uid, "")


def _pixel_bytes(dataset: Dataset, meta: Dataset) -> int | None:
    """Length of native pixel data; None where it is encapsulated or absent (PS3.5 A.4)."""
    if "PixelData" not in dataset:
        return None
    if _text(meta, "TransferSyntaxUID") not in _NATIVE:
        return None
    return len(_raw(dataset, "PixelData") or b"")


def _value(dataset: Dataset, keyword: str | int, convert: Callable[[Any], T]) -> T | None:
    """The attribute through ``convert``; None when absent, empty or unreadable."""
    try:
        value = dataset.get(keyword)
        value = value.value if isinstance(value, DataElement) else value
        return None if value is None or value == "" else convert(value)
    except _UNREADABLE:
        return None


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _first_int(value: Any) -> int:
    return int(value if isinstance(value, int | str) else value[0])


def _or(value: float | None, other: float | None) -> float | None:
    return other if value is None else value


def _first_number(value: Any) -> float:
    return _finite(value if isinstance(value, int | float | str) else value[0])


def _stated(dataset: Dataset, keyword: str) -> bool:
    """Whether the element is there with a value, readable or not."""
    raw = _raw(dataset, keyword)
    return raw is not None and str(raw).strip(" b'\"\0") != ""


def _raw(dataset: Dataset, keyword: str) -> Any:
    """The value as it stands in the file; None when absent or of no known representation."""
    try:
        return getattr(dataset.get_item(keyword), "value", None)
    except _UNREADABLE:
        return None


def _scale(dataset: Dataset, keyword: str, default: float) -> float:
    """The number; ``default`` when the element is absent or empty, NaN when it is unreadable."""
    number = _value(dataset, keyword, _finite)
    if number is not None:
        return number
    return math.nan if _stated(dataset, keyword) else default


def philips_scale(dataset: Dataset) -> tuple[float, float] | None:
    """Philips' scale intercept (2005,100D) and slope (2005,100E): FP = (stored - SI) / SS."""
    intercept, slope = (
        _private(dataset, 0x2005, "Philips MR Imaging DD 001", offset, _number_of)
        for offset in (0x0D, 0x0E)
    )
    return (intercept, slope) if intercept is not None and slope else None


def _private(
    dataset: Dataset, group: int, creator: str, offset: int, convert: Callable[[Any], T]
) -> T | None:
    """A private element through ``convert``; None when absent, empty or unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = dataset.private_block(group, creator)[offset].value
            return None if value is None or value == "" else convert(value)
    except _UNREADABLE:
        return None


def _number_of(value: Any) -> float:
    """A float, also where an implicit data set has lost the VR of a private element."""
    if isinstance(value, bytes):
        return _finite(struct.unpack("<f", value)[0])
    return _finite(value)
