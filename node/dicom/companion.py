"""What every object beside an sCT has in common: patient, study, maker and names.

A companion is built from the CT *as it was written*, never from the MR: it can be made again from
the archive, and it refers to what a receiver has.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from node.dicom.ct_series import EncodedInstance, decimal, part10
from node.dicom.inheritance import inherit
from node.dicom.text import encodings_of, fitting
from node.dicom.uids import derived_uid
from node.domain.findings import Finding
from node.domain.geometry import Grid, affine_from_dicom

# Beside the 900,000s of the CT, so that a list of series shows each kind together.
SERIES_NUMBERS = {
    "rtstruct": 1_000_000,
    "uncertainty": 1_100_000,
    "report": 1_200_000,
    "page": 1_300_000,
    "pdf": 1_400_000,
}
_DATES = (
    "ContentDate", "ContentTime", "InstanceCreationDate", "InstanceCreationTime",
)  # fmt: skip
_OF_ONE_IMAGE = frozenset(
    map(Tag, ("SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "SliceLocation"))
)
_NO_DATE, _NO_TIME = "19000101", "000000"  # type 1 where not even the study has a date
_EQUIPMENT = (
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber",
    "StationName",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenCt:
    """A CT series as it stands in its files."""

    header: Dataset
    """Of its first image, without pixels."""
    sop_instance_uids: tuple[str, ...]
    """Foot to head."""
    grid: Grid

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID."""
        return str(self.header.SeriesInstanceUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """An object beside an sCT, or none where it could not be made, and what to say of it."""

    instance: EncodedInstance | None
    findings: tuple[Finding, ...] = ()


def written_ct(encoded: Sequence[EncodedInstance]) -> WrittenCt:
    """Read of ``encoded``, in the order of its slices, what companions refer to."""
    header = pydicom.dcmread(io.BytesIO(encoded[0].data), stop_before_pixels=True)
    affine = affine_from_dicom(
        position_mm=[float(v) for v in header.ImagePositionPatient],
        orientation=[float(v) for v in header.ImageOrientationPatient],
        pixel_spacing_mm=[float(v) for v in header.PixelSpacing],
        slice_step_mm=np.array([0.0, 0.0, float(header.SpacingBetweenSlices)]),
    )
    return WrittenCt(
        header=header,
        sop_instance_uids=tuple(e.sop_instance_uid for e in encoded),
        grid=Grid(shape=(len(encoded), header.Rows, header.Columns), affine=affine),
    )


def uids_of(ct: WrittenCt, role: str, identity: Mapping[str, object]) -> tuple[str, str]:
    """Series and SOP Instance UID of the companion ``role``.

    They change with the CT and with what else decides the bytes (``identity``), with nothing more.
    """
    words = json.dumps(dict(identity), sort_keys=True)
    series = derived_uid("companion series", role, ct.series_instance_uid, words)
    return series, derived_uid("companion", series)


def begin(
    ct: WrittenCt,
    role: str,
    *,
    sop_class_uid: str,
    description: str,
    identity: Mapping[str, object],
) -> Dataset:
    """Build a data set with patient, study, series, equipment and SOP Common of a companion."""
    dataset, header = Dataset(), ct.header
    inherit(header, dataset)
    _without_image(dataset)
    _copied(dataset, header)
    series, instance = uids_of(ct, role, identity)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, instance
    dataset.SeriesInstanceUID = series
    dataset.SeriesNumber = series_number(ct, role)
    dataset.SeriesDescription = worded(ct, description)[:64]
    dataset.InstanceNumber = 1
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in header:
            dataset[keyword] = header[keyword]
    return dataset


def series_number(ct: WrittenCt, role: str) -> int:
    """Series number of a companion, beside that of its CT."""
    return int(ct.header.SeriesNumber) % 100_000 + SERIES_NUMBERS[role]


def worded(ct: WrittenCt, text: str) -> str:
    """``text`` in the character set of the series."""
    return fitting(text, encodings_of(ct.header))


def finished(dataset: Dataset, spliced: tuple[int, bytes] | None = None) -> EncodedInstance:
    """Encode a whole companion; ``spliced`` is the tag and the bytes of an element made by hand."""
    return EncodedInstance(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        instance_number=int(dataset.InstanceNumber),
        data=part10(dataset) if spliced is None else _spliced(dataset, *spliced),
    )


def _spliced(dataset: Dataset, tag: int, data: bytes) -> bytes:
    """Encode with ``data`` where ``tag`` stands: elements are in order of tags (PS3.5 7.1)."""
    head, tail = Dataset(), Dataset()
    for element in dataset:
        (head if element.tag < tag else tail).add(element)
    rest = DicomBytesIO()
    rest.is_little_endian, rest.is_implicit_VR = True, False
    write_dataset(rest, tail, dataset.get("SpecificCharacterSet", "ISO_IR 6"))
    return part10(head) + data + rest.getvalue()


def evidence(ct: WrittenCt) -> list[Dataset]:
    """Give a header for each image of ``ct``, as `highdicom` wants them of its sources."""
    images = []
    step = ct.grid.affine[:3, 0]
    for n, uid in enumerate(ct.sop_instance_uids):
        # Shallow: the constant elements are shared; those of one image are taken out, not changed.
        image = Dataset({t: e for t, e in ct.header.items() if t not in _OF_ONE_IMAGE})
        image.file_meta = ct.header.file_meta
        image.SOPInstanceUID, image.InstanceNumber = uid, n + 1
        position = ct.grid.affine[:3, 3] + n * step
        image.ImagePositionPatient = [decimal(v) for v in position]
        images.append(image)
    return images


def restamped(dataset: Dataset, ct: WrittenCt, *, is_image: bool) -> None:
    """Put what derives from the CT where `highdicom` put the clock, chance, or nothing at all.

    ``pctnode convert`` writes no clock into a CT: there the dates of its study stand.
    """
    header = ct.header
    inherit(header, dataset)
    if not is_image:
        _without_image(dataset)
    date = header.get("SeriesDate") or header.get("StudyDate") or _NO_DATE
    time = header.get("SeriesTime") or header.get("StudyTime") or _NO_TIME
    for keyword in _DATES:
        if keyword in dataset:
            setattr(dataset, keyword, date if keyword.endswith("Date") else time)
    _copied(dataset, header)
    dataset.ContributingEquipmentSequence = header.ContributingEquipmentSequence
    own = str(dataset.SOPInstanceUID)
    for element in dataset.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = derived_uid("dimensions", own)


def _without_image(dataset: Dataset) -> None:
    for keyword in ("BodyPartExamined", "Laterality"):
        if keyword in dataset:
            delattr(dataset, keyword)


def _copied(dataset: Dataset, header: Dataset) -> None:
    for keyword in ("SyntheticData", "SeriesDate", "SeriesTime", *_EQUIPMENT):
        if keyword in header:
            dataset[keyword] = header[keyword]
