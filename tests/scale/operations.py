"""What is done every second, for each series or at each look at the page."""

from collections.abc import Callable, Mapping
from pathlib import Path

import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.headers.indexed_attributes import Level
from node.archive.headers.matching import Key
from node.archive.ingest.receive import Receiver
from node.archive.query.catalogue import Catalogue
from node.archive.query.queries import Queries
from node.archive.query.queue_queries import Wanted
from node.archive.rows.index import Index
from node.archive.schema.migrate import upgrade
from node.archive.upkeep.retention import Retention
from node.archive.work.deliveries import Deliveries
from node.archive.work.runs import Runs
from tests.phantoms.mr import uid
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

_CONTEXT = ReceiveContext(
    transfer_syntax_uid="1.2.840.10008.1.2.1", calling_ae="PACS", called_ae="PCTNODE", peer="pacs"
)


def operations(engine: sa.Engine, folder: Path) -> Mapping[str, Callable[[], object]]:
    """Each by name; called again and again it does the same work."""
    queries, runs, deliveries = Queries(engine), Runs(engine), Deliveries(engine)
    catalogue, archive = Catalogue(engine), Folder(folder)
    receiver, retention = Receiver(archive, Index(engine)), Retention(engine, archive)
    image = mr_image()
    sent: list[int] = []

    def receive() -> object:
        sent.append(1)
        image.SeriesInstanceUID = uid("scale", len(sent))
        image.SOPInstanceUID = uid("scale", "instance", len(sent))
        data = data_set_of(write_image(folder / "sent.dcm", image))
        return receiver.receive(data, _CONTEXT)

    def intake() -> object:
        settled = runs.settle_quiet(3600.0), runs.is_near(3600.0, 11.0)
        return settled, runs.unqueued(), deliveries.due(), runs.unfinished(), deliveries.enqueued()

    def start() -> object:
        upgrade(engine, lock_file=folder / "migrate.lock")
        return intake(), queries.workers(), archive.remove_orphans()

    wanted = Wanted(states=("delivered",), limit=50)
    return {
        "C-FIND, patient ID": lambda: list(
            catalogue.find(Level.STUDY, [Key("PatientID", "LO", "P1")])
        ),
        "C-FIND, series UID": lambda: list(
            catalogue.find(Level.SERIES, [Key("SeriesInstanceUID", "UI", "1.2.7")])
        ),
        "queue page": lambda: queries.queue_rows(wanted),
        "list of the API": lambda: queries.series_items(limit=50),
        "one series": lambda: queries.series_detail(7),
        "intake, a look": intake,
        "receive an instance": receive,
        "retention, a look": lambda: retention.removable(older_than_s=1e12, limit=20),
        "start": start,
    }
