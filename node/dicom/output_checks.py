"""The output gate: our own bytes, read back and compared before anything leaves.

It looks at what was written, not at what was meant: every property a planning system relies on,
element by element. Whatever it finds is our `Defect`.
"""

import io
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import PersonName

from node.dicom.ct_series import HU_HIGHEST, HU_LOWEST, EncodedInstance
from node.dicom.text import encodings_of, is_written_in
from node.dicom.values import fault
from node.domain.errors import Defect
from node.domain.names import is_valid_uid
from node.domain.volume import Volume

POSITION_TOLERANCE_MM = 1e-3
DS_LENGTH = 16  # PS3.5 6.2
_MOST_PIXELS = 512
# PS3.3 A.3: type 1 and type 2 attributes of the modules of a CT Image, and what planning systems
# ask for beyond them (RescaleType, SpacingBetweenSlices, FrameOfReferenceUID).
_TYPE_1 = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "FrameOfReferenceUID", "ImageType", "PatientName", "PatientID", "PatientPosition",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness",
    "SpacingBetweenSlices", "RescaleIntercept", "RescaleSlope", "RescaleType", "Manufacturer",
    "InstanceNumber", "SeriesNumber", "SeriesDescription", "DerivationDescription",
    "SourceImageSequence", "ContributingEquipmentSequence", "WindowCenter", "WindowWidth",
)  # fmt: skip
_TYPE_2 = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "PositionReferenceIndicator", "AcquisitionNumber", "KVP",
)  # fmt: skip
# What every CT image we write says, word for word.
_FIXED = {
    "SOPClassUID": str(CTImageStorage), "Modality": "CT",
    "ImageType": "DERIVED\\SECONDARY\\AXIAL", "SamplesPerPixel": "1",
    "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": "16", "BitsStored": "12",
    "HighBit": "11", "PixelRepresentation": "0", "RescaleSlope": "1",
    "RescaleIntercept": str(HU_LOWEST), "RescaleType": "HU", "BurnedInAnnotation": "NO",
    "ImageOrientationPatient": "1\\0\\0\\0\\1\\0",
}  # fmt: skip
_VARYING = frozenset(
    {"SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation", "PixelData"}
)
_POSITIONS = {"HFS", "FFS", "HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL"}  # PS3.3 C.7.3.1.1.2
_DECIMAL = re.compile(r" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *")
_TEXT = {"LO", "SH", "ST", "LT", "PN", "UT", "UC"}
_FORMED = {"LO", "SH", "PN", "CS", "UI", "DA", "TM", "DT", "AE", "AS", "DS", "IS"}


def verify(encoded: Sequence[EncodedInstance], sct: Volume) -> None:
    """Raise `Defect` unless the files say what ``sct`` (int16 HU) says, where it says it."""
    datasets = [pydicom.dcmread(io.BytesIO(instance.data)) for instance in encoded]
    if len(datasets) != sct.values.shape[0]:
        raise Defect(f"{len(datasets)} images were written for {sct.values.shape[0]} slices.")
    for instance, dataset in zip(encoded, datasets, strict=True):
        _announced(instance, dataset)
    for check in _SERIES_CHECKS:
        check(datasets)
    _verify_first(datasets[0], sct)
    for n, dataset in enumerate(datasets):
        _verify_slice(n, dataset, sct)


def _announced(instance: EncodedInstance, dataset: FileDataset) -> None:
    """What index and network say of a file is what stands in it (PS3.10 7.1)."""
    meta = dataset.file_meta
    for keyword, said in (
        ("SOPInstanceUID", instance.sop_instance_uid),
        ("SOPClassUID", instance.sop_class_uid),
        ("SeriesInstanceUID", instance.series_instance_uid),
        ("InstanceNumber", str(instance.instance_number)),
    ):
        if str(dataset.get(keyword)) != said:
            raise Defect(f"{keyword} is {dataset.get(keyword)} in the file and {said} outside.")
    if meta.TransferSyntaxUID != ExplicitVRLittleEndian:
        raise Defect(f"Transfer syntax is {meta.TransferSyntaxUID}, not Explicit VR Little Endian.")
    if (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) != (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    ):
        raise Defect(f"The file meta information of {instance.sop_instance_uid} names another.")


def _verify_first(first: Dataset, sct: Volume) -> None:
    """What `_constant` has found to be the same in every image."""
    if str(first.FrameOfReferenceUID) != sct.frame_of_reference_uid:
        raise Defect("The images left the frame of reference of their MR.")
    if (first.Rows, first.Columns) != sct.values.shape[1:]:
        raise Defect(f"The images are {first.Rows} by {first.Columns}.")


def _verify_slice(n: int, dataset: Dataset, sct: Volume) -> None:
    expected = sct.affine[:3, 3] + n * sct.affine[:3, 0]
    position = np.array(dataset.ImagePositionPatient, float)
    if np.abs(position - expected).max() > POSITION_TOLERANCE_MM:
        raise Defect(f"Image {n + 1} was written at {position}, not at {expected} mm.")
    if abs(float(dataset.SliceLocation) - position[2]) > POSITION_TOLERANCE_MM:
        raise Defect(f"SliceLocation of image {n + 1} is {dataset.SliceLocation}.")
    _, rows, columns = sct.values.shape
    if len(dataset.PixelData) != 2 * rows * columns:
        raise Defect(f"Image {n + 1} has {len(dataset.PixelData)} bytes of pixels.")
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(rows, columns)
    if int(stored.max()) > HU_HIGHEST - HU_LOWEST:
        raise Defect(f"Image {n + 1} holds {stored.max()}, which 12 bits cannot.")
    # `_attributes` has proved slope and intercept of the first, `_constant` of all.
    hu = stored.astype(np.int32) + HU_LOWEST
    if not np.array_equal(hu, sct.values[n]):
        raise Defect(f"Image {n + 1} does not hold the HU that were computed.")


def _attributes(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    for keyword in _TYPE_1:
        if keyword not in first or first[keyword].is_empty:
            raise Defect(f"{keyword} is empty; a CT image needs it.")
    for keyword in _TYPE_2:
        if keyword not in first:
            raise Defect(f"{keyword} is missing; a CT image needs it, empty or not.")
    for keyword, value in _FIXED.items():
        if _joined(first, keyword) != value:
            raise Defect(f"{keyword} is {_joined(first, keyword)!r}, not {value!r}.")
    if first.PatientPosition not in _POSITIONS:
        raise Defect(f"PatientPosition is {first.PatientPosition!r}, no term of the standard.")
    if first.LossyImageCompression not in ("00", "01"):
        raise Defect(f"LossyImageCompression is {first.LossyImageCompression!r}.")
    for keyword in ("PixelPaddingValue", "GantryDetectorTilt"):
        if keyword in first:
            raise Defect(f"{keyword} is written; planning systems treat it in different ways.")


def _constant(datasets: Sequence[Dataset]) -> None:
    """Byte for byte: only place, number, name and pixels differ between images of one series."""
    tags = list(datasets[0].keys())
    first = {tag: datasets[0].get_item(tag).value for tag in tags}
    for dataset in datasets[1:]:
        if list(dataset.keys()) != tags:
            raise Defect("The images of one series do not have the same attributes.")
        for tag in tags:
            if dataset.get_item(tag).value != first[tag]:
                keyword = pydicom.datadict.keyword_for_tag(tag) or str(tag)
                if keyword not in _VARYING:
                    raise Defect(f"{keyword} differs between the images of one series.")


def _elements(dataset: Dataset) -> Iterator[pydicom.DataElement]:
    """Every element, those in sequences included."""
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)


def _texts(element: pydicom.DataElement) -> list[str]:
    """Its values as they are written."""
    values = element.value if element.VM > 1 else [element.value]
    return [
        str(value if isinstance(value, PersonName) else getattr(value, "original_string", value))
        for value in values
    ]


def _form(datasets: Sequence[Dataset]) -> None:
    """Whatever its source, a value has the form its value representation asks for (PS3.5 6.2)."""
    for dataset in (datasets[0], datasets[-1]):
        for element in _elements(dataset):
            if element.VR not in _FORMED or element.is_empty:
                continue
            for text in _texts(element):
                if element.VR in {"DS", "IS"} and not _DECIMAL.fullmatch(text):
                    raise Defect(f"{element.keyword} is {text!r}, no number.")
                if element.VR == "DS" and len(text) > DS_LENGTH:
                    raise Defect(f"{element.keyword} is longer than {DS_LENGTH} characters.")
                if wrong := fault(element.VR, text):
                    raise Defect(f"{element.keyword} cannot be written so: {wrong}.")


def _characters(datasets: Sequence[Dataset]) -> None:
    """Text can be read in the character set the series names."""
    encodings = encodings_of(datasets[0])
    for element in _elements(datasets[0]):
        if element.VR not in _TEXT or element.is_empty:
            continue
        if not all(is_written_in(text, encodings) for text in _texts(element)):
            raise Defect(f"{element.keyword} does not fit the character set of its series.")


def _uids(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    own = [str(d.SOPInstanceUID) for d in datasets]
    if len(set(own)) != len(own):
        raise Defect("Two images share one SOP Instance UID.")
    sources = {str(item.ReferencedSOPInstanceUID) for item in first.SourceImageSequence}
    referred = {str(item.SeriesInstanceUID) for item in first.ReferencedSeriesSequence}
    series = str(first.SeriesInstanceUID)
    if sources & set(own) or series in referred or series == str(first.StudyInstanceUID):
        raise Defect("The synthetic CT bears a UID of its source.")
    for value in (*own, *sources, *referred, series, str(first.FrameOfReferenceUID)):
        if not is_valid_uid(value):
            raise Defect(f"{value} is not a UID.")


def _regular(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    spacing = {float(v) for v in first.PixelSpacing}
    if len(spacing) != 1:
        raise Defect(f"PixelSpacing {first.PixelSpacing} is not square.")
    if max(first.Rows, first.Columns) > _MOST_PIXELS:
        raise Defect(f"The matrix is {first.Rows} by {first.Columns}.")
    if float(first.SliceThickness) != float(first.SpacingBetweenSlices):
        raise Defect("SliceThickness and SpacingBetweenSlices differ.")
    positions = np.array([d.ImagePositionPatient for d in datasets], float)
    steps = np.diff(positions, axis=0)
    expected = np.array([0.0, 0.0, float(first.SpacingBetweenSlices)])
    if len(steps) and np.abs(steps - expected).max() > POSITION_TOLERANCE_MM:
        raise Defect("Slices are not evenly spaced along +z.")
    if [int(d.InstanceNumber) for d in datasets] != list(range(1, len(datasets) + 1)):
        raise Defect("InstanceNumber does not count the slices from 1.")


def _joined(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    many = isinstance(value, pydicom.multival.MultiValue)
    return "\\".join(f"{v}" for v in value) if many else str(value)


_SERIES_CHECKS: tuple[Callable[[Sequence[Dataset]], None], ...] = (
    _constant,
    _attributes,
    _form,
    _characters,
    _uids,
    _regular,
)
