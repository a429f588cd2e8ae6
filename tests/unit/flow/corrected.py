"""A series, and the same images as an archive sends them again once it has corrected something."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.flow.step_context import Bench
from tests.phantoms.mr import mr_series
from tests.phantoms.small_mr import data_set_of

Change = Callable[[Dataset], None]
CONTEXT = ReceiveContext(
    transfer_syntax_uid=ExplicitVRLittleEndian, calling_ae="PACS", called_ae="PCTNODE", peer="pacs"
)
OTHER_STUDY, OTHER_SERIES = "2.25.77", "2.25.78"


def phantom(folder: Path) -> list[Path]:
    """The images that the bench has received, in small."""
    return mr_series((24, 20, 18), (4.0, 4.0, 4.0), name="phantom").write(folder)


def patient(dataset: Dataset) -> None:
    """The archive has found that it is another patient's."""
    dataset.PatientID, dataset.PatientName = "RIGHT", "Right^Rita"


def moved(dataset: Dataset) -> None:
    """The archive has moved it to another study and series, of another patient."""
    patient(dataset)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = OTHER_STUDY, OTHER_SERIES


def encoded(path: Path, change: Change) -> bytes:
    """The data set of an image after ``change``."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    part = path.with_suffix(".changed")
    part.write_bytes(file.getvalue())
    return data_set_of(part)


def resend(
    folder: Folder, engine: sa.Engine, paths: Sequence[Path], change: Change, **more: Any
) -> list[Outcome]:
    """Receive the images again after ``change``; what became of each."""
    receiver = Receiver(folder, Index(engine), **more)
    return [receiver.receive(encoded(path, change), CONTEXT).outcome for path in paths]


def rows(bench: Bench, table: sa.Table) -> list[sa.RowMapping]:
    """Every row of a table, oldest first."""
    with bench.runs.engine.connect() as connection:
        query = sa.select(table).order_by(*table.primary_key.columns)
        return list(connection.execute(query).mappings())


def all_series(bench: Bench) -> list[sa.RowMapping]:
    """The rows of the series, oldest first."""
    return rows(bench, tables.series)
