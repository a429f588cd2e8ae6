"""Small MR objects with the attributes that receiving looks at."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.dsutils import split_dataset


def mr_image(number: int = 1, *, series: str = "1.2.3.4", fill: int = 7, side: int = 32) -> Dataset:
    """A small MR image with the attributes that receiving looks at."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = f"{series}.{number}"
    image.Modality = "MR"
    image.SeriesDescription = "T1 phantom"
    image.PatientName = "Müller^Jörg"
    image.PatientID = "P1"
    image.BodyPartExamined = "HEAD"
    image.StudyInstanceUID = "1.2.3"
    image.SeriesInstanceUID = series
    image.InstanceNumber = number
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = side
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.PixelData = np.full((side, side), fill, "<u2").tobytes()
    return image


def write_image(path: Path, image: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write ``image`` as a Part 10 file."""
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, image, enforce_file_format=True)
    return path


def data_set_of(path: Path) -> bytes:
    """The data set's bytes of a Part 10 file, as they are."""
    _, offset = split_dataset(path)
    return path.read_bytes()[offset:]
