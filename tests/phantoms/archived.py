"""A small archive with everything a query can tell apart: patients, studies, series, images."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

ROOT = "1.2.826.0.1.3680043.8.498.77"


def images() -> Iterator[Dataset]:
    """Three patients, four studies, six series, fourteen images."""
    yield from _series("P1", "Müller^Jörg", "19610203", "M", study=1, series=1, count=3)
    yield from _series(
        "P1", "Müller^Jörg", "19610203", "M", study=1, series=2, count=2, description="T2 FLAIR"
    )
    yield from _series("P1", "Müller^Jörg", "19610203", "M", study=2, series=1, count=2)
    yield from _series("P2", "SMITH^ANNA^MARIA", "19800229", "F", study=3, series=1, count=3)
    yield from _series(
        "P2", "SMITH^ANNA^MARIA", "19800229", "F", study=3, series=2, count=2, modality="CT"
    )
    yield from _series("P10", "SMITHSON^BOB", "", "", study=4, series=1, count=2)


_WHEN = {
    1: ("20240105", "081500"),
    2: ("20240610", "143022.5"),
    3: ("20250228", "235959"),
    4: ("20250301", "0000"),
}


def _series(
    patient: str,
    name: str,
    born: str,
    sex: str,
    *,
    study: int,
    series: int,
    count: int,
    description: str = "T1 MPRAGE",
    modality: str = "MR",
) -> Iterator[Dataset]:
    uid = f"{ROOT}.{study}.{series}"
    for number in range(1, count + 1):
        image = mr_image(number, series=uid)
        image.SOPClassUID = MRImageStorage if modality == "MR" else CTImageStorage
        image.PatientID, image.PatientName = patient, name
        image.PatientBirthDate, image.PatientSex = born, sex
        image.StudyInstanceUID = f"{ROOT}.{study}"
        image.StudyDate, image.StudyTime = _WHEN[study]
        image.StudyID, image.AccessionNumber = str(study), f"ACC{study:03d}"
        image.StudyDescription = "Head for planning" if study != 4 else "Hüfte"
        image.ReferringPhysicianName = "Weiß^Eva" if study == 1 else "House^Gregory"
        image.Modality, image.SeriesDescription = modality, description
        image.SeriesNumber = series
        image.SeriesDate, image.SeriesTime = _WHEN[study]
        image.ProtocolName = description.lower()
        image.RequestAttributesSequence = [_request(study, series)]
        yield image


def _request(study: int, series: int) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = f"SPS{study}{series}"
    item.RequestedProcedureID = f"RP{study}"
    return item


def write_archive(folder: Path) -> list[Path]:
    """Write every image as a Part 10 file."""
    return [
        write_image(folder / f"{number}.dcm", image) for number, image in enumerate(images(), 1)
    ]


def receive_all(data_dir: Path, files: list[Path], *, peer: str = "pacs") -> None:
    """Put files into the archive of a node that is not running, as its receiver would."""
    folder = Folder(data_dir)
    engine = tables.open_engine(tables.sqlite_url(data_dir / "node.db"))
    tables.metadata.create_all(engine)
    receiver = Receiver(folder, Index(engine), now=lambda: datetime(2025, 1, 1, tzinfo=UTC))
    context = ReceiveContext(
        transfer_syntax_uid=ExplicitVRLittleEndian, calling_ae="PACS", called_ae="", peer=peer
    )
    for file in files:
        receiver.receive(data_set_of(file), context)
    engine.dispose()
