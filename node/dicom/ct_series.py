"""`SctResult` -> CT Image Storage, one Part 10 file a slice (PS3.3 A.3).

The header is built and encoded once; a slice adds its place, its UID and its pixels.
"""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from node.dicom import codes, uids
from node.dicom.inheritance import SCANNER, Inherited, element, inherit
from node.dicom.slice_template import Pattern, Place
from node.dicom.text import encodings_of, fitting
from node.domain.errors import Defect
from node.domain.plan import Plan, SctResult
from node.domain.stack import Stack

IMPLEMENTATION_CLASS_UID = "2.25.180287915043217563829417301940726011357"
IMPLEMENTATION_VERSION = "PCTNODE_0"
HU_LOWEST, HU_HIGHEST = -1024, 3071
MANUFACTURER = "pctnode"
_WORDED = (
    "SeriesDescription", "ManufacturerModelName", "SoftwareVersions", "DerivationDescription",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedInstance:
    """One object ready to be stored and sent."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    instance_number: int
    data: bytes
    """Part 10 file."""


def encode_ct(
    result: SctResult, plan: Plan, stack: Stack, source: Dataset, *, mark_synthetic: bool = True
) -> Iterator[EncodedInstance]:
    """Yield the CT images of ``result``, foot to head.

    ``source`` is the data set of one MR instance of ``stack``: patient and study come from there.
    """
    series = uids.series_uid(plan, stack.sop_instance_uids)
    common = _common(plan, stack, source, series)
    if mark_synthetic:
        common.SyntheticData = "YES"
    stored = stored_values(result.sct.values)
    pattern = Pattern(part10(_with_place(common, _place(plan, series, 0), stored[0])))
    for n in range(stored.shape[0]):
        place = _place(plan, series, n)
        yield EncodedInstance(
            sop_instance_uid=place.sop_instance_uid,
            sop_class_uid=str(CTImageStorage),
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            series_instance_uid=series,
            instance_number=place.number,
            data=pattern.filled(place, _pixels(stored[n])),
        )


def stored_values(hu: NDArray[np.int16]) -> NDArray[np.uint16]:
    """HU in [-1024, 3071] as 12 bits, stored = HU + 1024; raise `Defect` outside."""
    if hu.min() < HU_LOWEST or hu.max() > HU_HIGHEST:
        raise Defect(f"HU reach from {hu.min()} to {hu.max()}; 12 bits hold -1024 to 3071.")
    return (hu.astype(np.int32) - HU_LOWEST).astype(np.uint16)


def _place(plan: Plan, series: str, n: int) -> Place:
    position = plan.grid.affine[:3, 3] + n * plan.grid.affine[:3, 0]
    return Place(
        sop_instance_uid=uids.instance_uid(series, n + 1),
        number=n + 1,
        position=tuple(decimal(v) for v in position),
        location=decimal(position[2]),
    )


def _with_place(common: Dataset, place: Place, stored: NDArray[np.uint16]) -> Dataset:
    """The whole data set of one image."""
    dataset = Dataset(dict(common.items()))  # shallow: the constant elements are shared
    dataset.SOPInstanceUID = place.sop_instance_uid
    dataset.InstanceNumber = place.number
    dataset.ImagePositionPatient = list(place.position)
    dataset.SliceLocation = place.location
    dataset.PixelData = _pixels(stored)
    dataset["PixelData"].VR = "OW"
    return dataset


def _pixels(stored: NDArray[np.uint16]) -> bytes:
    return np.ascontiguousarray(stored, dtype="<u2").tobytes()


def part10(dataset: Dataset) -> bytes:
    """``dataset`` as a Part 10 file in Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def decimal(value: float) -> str:
    """A DS of at most 16 characters (PS3.5 6.2); our grids are multiples of 0.001 mm."""
    text = f"{round(float(value), 3):.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _common(plan: Plan, stack: Stack, source: Dataset, series: str) -> Dataset:
    dataset = Dataset()
    inherited = inherit(source, dataset)
    _general(dataset, plan, stack, series)
    _equipment(dataset, plan, inherited)
    _derivation(dataset, plan, stack)
    _image(dataset, plan)
    return _readable(dataset)


def _readable(dataset: Dataset) -> Dataset:
    """Bring the texts a site may word (its label, names of models) into the character set."""
    encodings = encodings_of(dataset)
    for keyword in _WORDED:
        dataset[keyword].value = fitting(str(dataset[keyword].value), encodings)
    for item in dataset.ContributingEquipmentSequence:
        for keyword in ("Manufacturer", "ManufacturerModelName", "ContributionDescription"):
            if keyword in item:
                item[keyword].value = fitting(str(item[keyword].value), encodings)
    return dataset


def local(moment: datetime, dataset: Dataset) -> datetime:
    """``moment`` as the clock stood where the study was made.

    PS3.3 C.12.1: TimezoneOffsetFromUTC holds for every date and time of an object; without one they
    are local, as ``moment`` is taken to be.
    """
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(dataset.get("TimezoneOffsetFromUTC") or ""))
    if match is None:
        return moment
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return moment.astimezone(timezone(-offset if match[1] == "-" else offset))


def _general(dataset: Dataset, plan: Plan, stack: Stack, series: str) -> None:
    header = stack.header
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.SeriesInstanceUID = series
    dataset.SeriesNumber = (header.series_number or 0) % 100_000 + 900_000
    dataset.SeriesDescription = series_description(plan, stack)
    dataset.PatientPosition = plan.patient_position
    if not dataset.get("BodyPartExamined"):
        dataset.BodyPartExamined = plan.model.body_part
    dataset.AcquisitionNumber = None
    dataset.KVP = None
    if plan.created_at is not None:
        at = local(plan.created_at, dataset)
        date, time = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
        dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = date
        dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time


def series_description(plan: Plan, stack: Stack) -> str:
    """``RESEARCH sCT HEAD head-t1 v1.3.0 (MR s4)``, at most 64 characters (VR LO)."""
    number = stack.header.series_number
    words = (
        plan.status_label,
        "sCT",
        plan.model.body_part,
        plan.model.name,
        f"v{plan.model.version}",
        f"(MR s{number})" if number is not None else "",
    )
    return " ".join(word for word in words if word)[:64]


def _equipment(dataset: Dataset, plan: Plan, inherited: Inherited) -> None:
    """Our own identity, never the scanner's: sites bind a density table to it (PS3.3 C.7.5.1)."""
    model = plan.model
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = f"{model.name} {model.version}"[:64]
    dataset.SoftwareVersions = plan.software_version[:64]
    dataset.DeviceSerialNumber = model.sha256[:16]
    dataset.StationName = "PCTNODE"
    made = Dataset()
    made.PurposeOfReferenceCodeSequence = [codes.SYNTHESIZING_EQUIPMENT.item()]
    made.Manufacturer = MANUFACTURER
    made.ManufacturerModelName = dataset.ManufacturerModelName
    made.SoftwareVersions = dataset.SoftwareVersions
    made.ContributionDescription = f"{model.name} {model.version}, ONNX sha256 {model.sha256}"
    if plan.created_at is not None:
        made.ContributionDateTime = local(plan.created_at, dataset).strftime("%Y%m%d%H%M%S%z")
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = [codes.ACQUISITION_EQUIPMENT.item()]
    scanner.Manufacturer = "unknown"
    for keyword in SCANNER:
        if keyword in inherited.values:
            scanner.add(element(keyword, inherited.values[keyword]))
    dataset.ContributingEquipmentSequence = [made, scanner]


def _derivation(dataset: Dataset, plan: Plan, stack: Stack) -> None:
    model, spacing = plan.model, plan.grid.spacing_mm[0]
    text = (
        f"Synthetic CT from MR by neural network {model.name} {model.version}; "
        f"resampled to {decimal(spacing)} mm axial"
    )
    if plan.predecessor_series_uid:
        text += f"; replaces series {plan.predecessor_series_uid}"
    dataset.DerivationDescription = text
    dataset.DerivationCodeSequence = [codes.SPATIAL_RESAMPLING.item(), codes.MR_TO_SCT.item()]
    references = _references(stack)
    dataset.SourceImageSequence = [_source_item(*pair) for pair in references]
    series = Dataset()
    series.SeriesInstanceUID = stack.header.series_instance_uid
    series.ReferencedInstanceSequence = [_sop_item(*pair) for pair in references]
    dataset.ReferencedSeriesSequence = [series]  # Common Instance Reference, PS3.3 C.12.2
    lossy = sorted({s.instance.lossy for s in stack.slices if s.instance.lossy})
    dataset.LossyImageCompression = "01" if lossy else "00"


def _references(stack: Stack) -> Sequence[tuple[str, str]]:
    pairs = ((s.instance.sop_class_uid, s.instance.sop_instance_uid) for s in stack.slices)
    return list(dict.fromkeys(pairs))


def _sop_item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _source_item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = _sop_item(sop_class_uid, sop_instance_uid)
    item.PurposeOfReferenceCodeSequence = [codes.SOURCE_IMAGE.item()]
    item.SpatialLocationsPreserved = "NO"
    return item


def _image(dataset: Dataset, plan: Plan) -> None:
    """Image Plane, Image Pixel, CT Image and VOI LUT modules (PS3.3 C.7.6.2, C.7.6.3, C.8.2.1)."""
    grid = plan.grid
    spacing = decimal(grid.spacing_mm[0])
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.PixelSpacing = [spacing, spacing]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = spacing
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = grid.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = str(HU_LOWEST), "1"
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    dataset.BurnedInAnnotation = "NO"
