"""The output gate: our own bytes, read back and compared before anything leaves.

It looks at what was written, not at what was meant. Whatever it finds is our `Defect`.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from node.dicom.ct_series import EncodedInstance
from node.domain.errors import Defect
from node.domain.names import is_uid
from node.domain.volume import Volume

POSITION_TOLERANCE_MM = 1e-3
DS_LENGTH = 16  # PS3.5 6.2
_TYPE_1 = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality",
    "FrameOfReferenceUID", "ImageType", "PatientName", "PatientID", "PatientPosition",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "Manufacturer", "InstanceNumber",
)  # fmt: skip
_TYPE_2 = (
    "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "PositionReferenceIndicator", "AcquisitionNumber", "KVP",
)  # fmt: skip
_EQUAL = (
    "PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "PatientPosition",
)  # fmt: skip


def verify(encoded: Sequence[EncodedInstance], sct: Volume) -> None:
    """Raise `Defect` unless the files say what ``sct`` (int16 HU) says, where it says it."""
    datasets = [pydicom.dcmread(io.BytesIO(instance.data)) for instance in encoded]
    if len(datasets) != sct.values.shape[0]:
        raise Defect(f"{len(datasets)} images were written for {sct.values.shape[0]} slices.")
    for check in _SERIES_CHECKS:
        check(datasets)
    for n, dataset in enumerate(datasets):
        _verify_slice(n, dataset, sct)


def _verify_slice(n: int, dataset: Dataset, sct: Volume) -> None:
    expected = sct.affine[:3, 3] + n * sct.affine[:3, 0]
    position = np.array(dataset.ImagePositionPatient, float)
    if np.abs(position - expected).max() > POSITION_TOLERANCE_MM:
        raise Defect(f"Image {n + 1} was written at {position}, not at {expected} mm.")
    if str(dataset.FrameOfReferenceUID) != sct.frame_of_reference_uid:
        raise Defect(f"Image {n + 1} left the frame of reference of its MR.")
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    hu = stored.astype(np.int32) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
    if not np.array_equal(hu, sct.values[n]):
        raise Defect(f"Image {n + 1} does not hold the HU that were computed.")


def _attributes(datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        for keyword in _TYPE_1:
            if dataset.get(keyword) in (None, ""):
                raise Defect(f"{keyword} is empty; a CT image needs it.")
        for keyword in _TYPE_2:
            if keyword not in dataset:
                raise Defect(f"{keyword} is missing; a CT image needs it, empty or not.")


def _decimal_strings(datasets: Sequence[Dataset]) -> None:
    for element in datasets[0]:
        if element.VR == "DS" and element.value is not None:
            values = element.value if element.VM > 1 else [element.value]
            if any(len(str(v)) > DS_LENGTH for v in values):
                raise Defect(f"{element.keyword} is longer than {DS_LENGTH} characters.")


def _uids(datasets: Sequence[Dataset]) -> None:
    own = [str(d.SOPInstanceUID) for d in datasets]
    if len(set(own)) != len(own):
        raise Defect("Two images share one SOP Instance UID.")
    for value in (*own, str(datasets[0].SeriesInstanceUID)):
        if not is_uid(value):
            raise Defect(f"{value} is not a UID.")


def _constant(datasets: Sequence[Dataset]) -> None:
    for keyword in _EQUAL:
        if len({str(d.get(keyword)) for d in datasets}) != 1:
            raise Defect(f"{keyword} differs between the images of one series.")


def _regular(datasets: Sequence[Dataset]) -> None:
    first = datasets[0]
    if [float(v) for v in first.ImageOrientationPatient] != [1, 0, 0, 0, 1, 0]:
        raise Defect(f"ImageOrientationPatient is {first.ImageOrientationPatient}, not axial.")
    spacing = {float(v) for v in first.PixelSpacing}
    if len(spacing) != 1:
        raise Defect(f"PixelSpacing {first.PixelSpacing} is not square.")
    positions = np.array([d.ImagePositionPatient for d in datasets], float)
    steps = np.diff(positions, axis=0)
    expected = np.array([0.0, 0.0, float(first.SpacingBetweenSlices)])
    if len(steps) and np.abs(steps - expected).max() > POSITION_TOLERANCE_MM:
        raise Defect("Slices are not evenly spaced along +z.")
    if [int(d.InstanceNumber) for d in datasets] != list(range(1, len(datasets) + 1)):
        raise Defect("InstanceNumber does not count the slices from 1.")


_SERIES_CHECKS: tuple[Callable[[Sequence[Dataset]], None], ...] = (
    _attributes,
    _decimal_strings,
    _uids,
    _constant,
    _regular,
)
