"""Series to send: a scanner's header, noise for pixels, and a new identity for each time."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from node.archive.files import part10_header
from tests.phantoms.headers import classic_header, common_header


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One object as it goes over the wire."""

    sop_class_uid: str
    sop_instance_uid: str
    data_set: bytes
    """Explicit VR Little Endian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a series is made of."""

    name: str
    sop_class_uid: str
    instances: int
    side: int
    """Rows and columns of 16 bits."""


MR = Kind(name="MR", sop_class_uid=MRImageStorage, instances=192, side=256)
CT = Kind(name="CT", sop_class_uid=CTImageStorage, instances=200, side=512)
SMALL = Kind(name="small", sop_class_uid=MRImageStorage, instances=1000, side=16)


def new_series(kind: Kind) -> list[Instance]:
    """A series of ``kind`` that nobody has seen before."""
    series = generate_uid()
    return [_instance(kind, series, number) for number in range(1, kind.instances + 1)]


def _instance(kind: Kind, series: str, number: int) -> Instance:
    uid = f"{series[:56]}.{number}"
    dataset = Dataset()
    common_header(dataset, lambda *parts: series if parts == ("series",) else f"{series[:50]}.0.1")
    classic_header(dataset, number, (1.0, 1.0, 1.0))
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind.sop_class_uid, uid
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = ["-128", "-128", str(number)]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = kind.side
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = _noise(kind.side)
    dataset["PixelData"].VR = "OW"
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return Instance(
        sop_class_uid=kind.sop_class_uid, sop_instance_uid=uid, data_set=buffer.getvalue()
    )


@cache
def _noise(side: int) -> bytes:
    return np.random.default_rng(7).integers(0, 4096, (side, side), "<u2").tobytes()


def write_files(instances: list[Instance], folder: Path) -> None:
    """Write Part 10 files for a stock client."""
    folder.mkdir(parents=True)
    for number, instance in enumerate(instances):
        header = part10_header(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            source_ae="",
        )
        (folder / f"{number:04}.dcm").write_bytes(header + instance.data_set)
