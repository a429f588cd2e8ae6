"""A node that receives, and small MR objects to send it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.dsutils import split_dataset

from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger
from node.archive.evidence.offering import Offerings
from node.archive.files import Folder
from tests.peers.processes import start, stop
from tests.peers.waiting import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running SCP and what it has stored."""

    data_dir: Path
    port: int
    tls_port: int
    """0 without TLS."""
    process: "subprocess.Popen[bytes]"
    log: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with closing(sqlite3.connect(self.data_dir / "node.db")) as connection:
            return connection.execute(query).fetchall()

    def associations(self, count: int) -> list[tuple[Any, ...]]:
        """Accepted, sentence and counts of each, once there are ``count``."""
        columns = "accepted, sentence, stored, duplicates, conflicts, failures"
        query = f"select {columns} from associations order by id"  # noqa: S608 - our own words
        wait_until(lambda: len(self.rows(query)) >= count, f"{count} association records")
        return self.rows(query)

    def files(self, folder: str = "instances") -> list[Path]:
        """Files below a folder of the data folder."""
        return sorted(p for p in (self.data_dir / folder).rglob("*") if p.is_file())

    def threads(self) -> int:
        """Threads of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def stop(self) -> int:
        """End it in order and return its exit status."""
        return stop(self.process, timeout_s=30)


def offerings_of(engine: sa.Engine, folder: Folder) -> Offerings:
    """What a receiving process writes into the ledger of the door."""
    return Offerings(Ledger(engine), Holder(folder))


def start_node(data_dir: Path, *options: str) -> Node:
    """Start an SCP over ``data_dir`` and wait until it answers."""
    data_dir.mkdir(parents=True, exist_ok=True)
    said = data_dir / "port.json"
    said.unlink(missing_ok=True)
    log = data_dir.parent / f"{data_dir.name}.log"
    command = [sys.executable, "-m", "tests.interop.scp_process", str(data_dir), *options]
    process = start(command, log)
    wait_until(lambda: said.exists() or process.poll() is not None, "the SCP", timeout_s=60)
    assert process.poll() is None, log.read_text()
    ports = json.loads(said.read_text())
    return Node(
        data_dir=data_dir,
        port=ports["port"],
        tls_port=ports.get("tls_port", 0),
        process=process,
        log=log,
    )


def running_node(data_dir: Path, *options: str) -> Iterator[Node]:
    """A node for a fixture: started, given, ended."""
    node = start_node(data_dir, *options)
    yield node
    node.stop()


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
