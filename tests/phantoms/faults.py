"""Broken series: each fault breaks one thing of a good series and names the code it must get."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from pydicom.dataset import FileDataset

from tests.phantoms.mr import MrSeries, mr_series, override, uid

Datasets: TypeAlias = list[FileDataset]
Break: TypeAlias = Callable[[Datasets], Datasets]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to break a classic series."""

    code: str
    """Code of the finding it must lead to."""
    apply: Break
    """Breaks copies of the data sets and returns those that are left."""
    in_pixels: bool = False
    """Whether only the pixels show it, not the headers."""


def broken(name: str, series: MrSeries | None = None) -> Datasets:
    """Break a copy of ``series`` (a small good one by default) with the fault ``name``."""
    good = series if series is not None else mr_series(name=f"broken {name}")
    return FAULTS[name].apply([deepcopy(dataset) for dataset in good.datasets])


def _all(**tags: Any) -> Break:
    """Set attributes in every instance; None removes one."""

    def apply(datasets: Datasets) -> Datasets:
        for dataset in datasets:
            override(dataset, tags)
        return datasets

    return apply


def _one(**tags: Any) -> Break:
    """Set attributes in the fifth instance alone; None removes one."""

    def apply(datasets: Datasets) -> Datasets:
        override(datasets[4], tags)
        return datasets

    return apply


def _image_type(*values: str) -> Break:
    return _all(ImageType=list(values))


def _missing_slice(datasets: Datasets) -> Datasets:
    del datasets[7]
    return datasets


def _duplicate_position(datasets: Datasets) -> Datasets:
    twin = deepcopy(datasets[6])
    _rename(twin, "twin")
    twin.InstanceNumber = len(datasets) + 1
    return [*datasets, twin]


def _two_volumes(datasets: Datasets) -> Datasets:
    twins = [deepcopy(dataset) for dataset in datasets]
    for number, twin in enumerate(twins):
        _rename(twin, f"volume 2 {number}")
        twin.InstanceNumber = len(datasets) + 1 + number
    return datasets + twins


def _rename(dataset: FileDataset, suffix: str) -> None:
    dataset.SOPInstanceUID = uid(dataset.SOPInstanceUID, suffix)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def _other_orientation(datasets: Datasets) -> Datasets:
    cosine, sine = np.cos(np.deg2rad(3)), np.sin(np.deg2rad(3))
    datasets[4].ImageOrientationPatient = [1, 0, 0, 0, round(cosine, 12), round(sine, 12)]
    return datasets


def _shifted(along: Callable[[int], Sequence[float]]) -> Break:
    """Move each slice by a vector in mm that its number decides."""

    def apply(datasets: Datasets) -> Datasets:
        for number, dataset in enumerate(datasets):
            place = np.asarray(dataset.ImagePositionPatient, float) + np.asarray(along(number))
            dataset.ImagePositionPatient = [round(float(value), 6) for value in place]
        return datasets

    return apply


def _jitter(amount_mm: float) -> Break:
    return _shifted(lambda number: (0, 0, amount_mm * (number % 2)))


def _other_matrix(datasets: Datasets) -> Datasets:
    odd = datasets[4]
    odd.Rows = odd.Rows // 2
    odd.PixelData = odd.PixelData[: len(odd.PixelData) // 2]
    return datasets


def _short_pixels(datasets: Datasets) -> Datasets:
    datasets[4].PixelData = datasets[4].PixelData[:-64]
    return datasets


def _constant_pixels(datasets: Datasets) -> Datasets:
    for dataset in datasets:
        dataset.PixelData = b"\x07\x00" * (dataset.Rows * dataset.Columns)
    return datasets


def _few(count: int) -> Break:
    return lambda datasets: datasets[:count]


def _not_mr(datasets: Datasets) -> Datasets:
    for dataset in datasets:
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.Modality = "CT"
    return datasets


def _thick(datasets: Datasets) -> Datasets:
    for number, dataset in enumerate(datasets):
        place = [float(value) for value in dataset.ImagePositionPatient]
        dataset.ImagePositionPatient = [place[0], place[1], 8.0 * number]
        dataset.SliceThickness = dataset.SpacingBetweenSlices = "8"
    return datasets


_ORIGINAL = ("ORIGINAL", "PRIMARY")

FAULTS: dict[str, Fault] = {
    # -- geometry
    "missing slice": Fault(code="SLICE_GAP", apply=_missing_slice),
    "duplicate position": Fault(code="POSITION_DUPLICATE", apply=_duplicate_position),
    "two volumes": Fault(code="MULTIPLE_VOLUMES", apply=_two_volumes),
    "other orientation": Fault(code="ORIENTATION_MIXED", apply=_other_orientation),
    "other spacing": Fault(code="SPACING_MIXED", apply=_one(PixelSpacing=["1.1", "1.1"])),
    "other matrix": Fault(code="MATRIX_MIXED", apply=_other_matrix),
    "other frame of reference": Fault(
        code="FRAME_OF_REFERENCE_MIXED", apply=_one(FrameOfReferenceUID="2.25.1234567890123")
    ),
    "no frame of reference": Fault(
        code="FRAME_OF_REFERENCE_MISSING", apply=_all(FrameOfReferenceUID=None)
    ),
    "no position": Fault(code="POSITION_MISSING", apply=_one(ImagePositionPatient=None)),
    "no orientation": Fault(code="ORIENTATION_MISSING", apply=_one(ImageOrientationPatient=None)),
    "no spacing": Fault(code="SPACING_MISSING", apply=_one(PixelSpacing=None)),
    "zero spacing": Fault(code="SPACING_INVALID", apply=_all(PixelSpacing=["0", "1"])),
    "not orthonormal": Fault(
        code="ORIENTATION_NOT_ORTHONORMAL", apply=_all(ImageOrientationPatient=[1, 0, 0, 0.1, 1, 0])
    ),
    "irregular": Fault(code="SLICE_SPACING_IRREGULAR", apply=_jitter(0.5)),
    "jitter": Fault(code="SLICE_SPACING_JITTER", apply=_jitter(0.03)),
    "skewed": Fault(code="STACK_SKEWED", apply=_shifted(lambda number: (0.5 * number, 0, 0))),
    "too few slices": Fault(code="TOO_FEW_SLICES", apply=_few(3)),
    "thick slices": Fault(code="SLICES_THICK", apply=_thick),
    # -- pixels
    "no pixel data": Fault(code="PIXELS_MISSING", apply=_one(PixelData=None)),
    "short pixel data": Fault(code="PIXELS_LENGTH", apply=_short_pixels),
    "constant pixels": Fault(code="PIXELS_CONSTANT", apply=_constant_pixels, in_pixels=True),
    "inverted grey": Fault(
        code="PIXELS_FORMAT", apply=_all(PhotometricInterpretation="MONOCHROME1")
    ),
    "lossy": Fault(
        code="LOSSY_SOURCE",
        apply=_all(LossyImageCompression="01", LossyImageCompressionMethod="ISO_10918_1"),
    ),
    # -- what kind of image
    "not mr": Fault(code="NOT_MR", apply=_not_mr),
    "phase": Fault(code="NOT_MAGNITUDE", apply=_image_type(*_ORIGINAL, "P", "NORM")),
    "real part": Fault(code="NOT_MAGNITUDE", apply=_all(ComplexImageComponent="REAL")),
    "localizer": Fault(code="LOCALIZER", apply=_image_type(*_ORIGINAL, "LOCALIZER")),
    "derived": Fault(code="DERIVED", apply=_image_type("DERIVED", "SECONDARY", "M", "DIS3D")),
    "projection": Fault(code="RECONSTRUCTION", apply=_image_type("DERIVED", "SECONDARY", "MIP")),
    "mosaic": Fault(code="MOSAIC", apply=_image_type(*_ORIGINAL, "M", "MOSAIC", "DIS3D")),
    # -- patient
    "no patient id": Fault(code="PATIENT_ID_MISSING", apply=_all(PatientID="")),
    "no patient name": Fault(code="PATIENT_ID_MISSING", apply=_all(PatientName=None)),
    "mixed patients": Fault(code="PATIENT_MIXED", apply=_one(PatientID="PHANTOM-2")),
    "mixed studies": Fault(code="PATIENT_MIXED", apply=_one(StudyInstanceUID="2.25.987654321012")),
    "prone": Fault(code="PATIENT_POSITION", apply=_all(PatientPosition="HFP")),
    "decubitus": Fault(code="PATIENT_POSITION", apply=_all(PatientPosition="HFDR")),
    "no patient position": Fault(code="PATIENT_POSITION_MISSING", apply=_all(PatientPosition=None)),
    # -- acquisition
    "distortion in plane": Fault(
        code="DISTORTION_2D", apply=_image_type(*_ORIGINAL, "M", "NORM", "DIS2D")
    ),
    "no distortion correction": Fault(
        code="DISTORTION_NONE", apply=_image_type(*_ORIGINAL, "M", "ND")
    ),
}
