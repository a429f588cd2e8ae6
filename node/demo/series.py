"""The phantom as a classic MR series, sagittal as a scanner would make it."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.demo.phantom import Head

_MR_IMAGE_STORAGE = UID("1.2.840.10008.5.1.4.1.1.4")
_DAY, _TIME = "20260401", "101500"
SERIES_DESCRIPTION = "T1 3D sagittal, phantom"


def write_series(head: Head, folder: Path) -> list[Path]:
    """Write one MR Image file for each sagittal slice, from left to right, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    count = head.signal.shape[2]
    highest = float(np.ceil(head.signal.max()))
    paths = []
    for number in range(count):
        dataset = _slice(head, number, highest)
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        path = folder / f"{number + 1:04d}.dcm"
        path.write_bytes(buffer.getvalue())
        paths.append(path)
    return paths


def _slice(head: Head, number: int, highest: float) -> FileDataset:
    depth, _rows, width = head.signal.shape
    column = width - 1 - number
    dataset = _file(number)
    _patient_and_study(dataset)
    _equipment_and_acquisition(dataset, number, head.spacing_mm)
    # PS3.3 C.7.6.2.1.1: along a row to posterior, along a column to inferior; the first voxel is
    # the most anterior and superior one.
    left, anterior, inferior = head.first_mm
    superior = inferior + (depth - 1) * head.spacing_mm
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.ImagePositionPatient = [left + column * head.spacing_mm, anterior, superior]
    dataset.SliceLocation = dataset.ImagePositionPatient[0]
    stored = np.clip(np.round(head.signal[::-1, :, column]), 0, 4095).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = f"{highest / 3:.0f}", f"{highest / 1.5:.0f}"
    dataset["PixelData"] = DataElement("PixelData", "OW", stored.tobytes())
    return dataset


def _file(number: int) -> FileDataset:
    instance = _uid(f"instance {number}")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _MR_IMAGE_STORAGE
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = _MR_IMAGE_STORAGE
    dataset.SOPInstanceUID = instance
    dataset.InstanceNumber = number + 1
    return dataset


def _patient_and_study(dataset: FileDataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Phantom^Head"
    dataset.PatientID = "PHANTOM-HEAD"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = _uid("study")
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = _DAY
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = _TIME
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.StudyDescription = "Generated head"
    dataset.SeriesInstanceUID = _uid("series")
    dataset.SeriesNumber = 3
    dataset.SeriesDescription = SERIES_DESCRIPTION
    dataset.ProtocolName = SERIES_DESCRIPTION
    dataset.Modality = "MR"
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = _uid("frame of reference")
    dataset.PositionReferenceIndicator = ""


def _equipment_and_acquisition(dataset: FileDataset, number: int, spacing_mm: float) -> None:
    dataset.Manufacturer = "pctnode"
    dataset.ManufacturerModelName = "Generated head"
    dataset.DeviceSerialNumber = "0"
    dataset.SoftwareVersions = "1"
    dataset.StationName = "PHANTOM"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D"]
    dataset.AcquisitionNumber = 1
    dataset.ScanningSequence = ["GR", "IR"]
    dataset.SequenceVariant = ["SP", "MP"]
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "3D"
    dataset.RepetitionTime = "2300"
    dataset.EchoTime = "2.9"
    dataset.InversionTime = "900"
    dataset.EchoTrainLength = 1
    dataset.FlipAngle = "9"
    dataset.MagneticFieldStrength = "3"
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{spacing_mm:g}"
    dataset.PixelSpacing = [f"{spacing_mm:g}"] * 2


def _uid(part: str) -> UID:
    # PS3.5 B.2: a UID under 2.25 from 128 bits, here of a hash, so that each run pushes the same.
    digest = hashlib.sha256(f"pctnode head phantom 1 {part}".encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:15], 'big')}")
