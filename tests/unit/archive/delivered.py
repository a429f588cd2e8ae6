"""An archive with a series that was received, made and delivered, without any network."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.work.deliveries import Deliveries
from node.archive.work.runs import Runs
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

CONTEXT = ReceiveContext(
    transfer_syntax_uid="1.2.840.10008.1.2.1", calling_ae="PACS", called_ae="PCTNODE", peer="pacs"
)


@dataclass(slots=True)
class Archive:
    """Database and folder below ``root``."""

    root: Path
    engine: sa.Engine
    folder: Folder

    def receive(self) -> str:
        """Receive one instance; its path, relative to the folder."""
        image = write_image(self.root / "sent.dcm", mr_image())
        receiver = Receiver(self.folder, Index(self.engine))
        return receiver.receive(data_set_of(image), CONTEXT).path

    def make(self, *destinations: str, objects: int = 1) -> tuple[int, str]:
        """Make an sCT of what was received and release it; run id and the last object's path."""
        runs = Runs(self.engine)
        runs.settle_quiet(-1)
        (run,) = runs.unqueued()
        runs.begin_step(run.id, "encode", "Writing.")
        uid, data = f"1.2.826.0.1.{run.id}", b"sct" * run.id
        files = []
        for number in range(1, objects + 1):
            path = PurePosixPath("outputs", uid, f"{uid}.{number}.dcm")
            self.folder.write(path, data)
            files.append(
                OutputFile(
                    sop_instance_uid=f"{uid}.{number}",
                    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    series_instance_uid=uid,
                    number=number,
                    kind="ct",
                    stack=0,
                    path=str(path),
                    size=len(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
        runs.record_plan(run.id, {"destinations": list(destinations), "status_label": "RESEARCH"})
        runs.record_outputs(run.id, files)
        runs.mark_enqueued(run.id)
        runs.release(run.id, destinations, "Released.", who="policy")
        return run.id, str(path)

    def deliver(self, destination: str) -> None:
        """Say that the destination has everything."""
        deliveries = Deliveries(self.engine)
        (due,) = [d for d in deliveries.due() if d.destination == destination]
        assert deliveries.begin(due.delivery_id, due.number) is not None
        assert deliveries.leaving(due.delivery_id, due.number, due.destination, "127.0.0.1")
        deliveries.sent(due.delivery_id, due.number, "Stored.")

    def item(self) -> sa.RowMapping:
        """The row of its only series."""
        with t.reading(self.engine).begin() as connection:
            return connection.execute(sa.select(t.series)).mappings().one()


def make_archive(root: Path) -> Archive:
    """An empty archive below ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    engine = t.open_engine(t.sqlite_url(root / "node.sqlite"))
    t.metadata.create_all(engine)
    return Archive(root, engine, Folder(root))
