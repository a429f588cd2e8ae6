"""What PostgreSQL refuses to take a row of is kept, told, and holds up nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.evidence import conflicts
from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from tests.peers.waiting import wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = [pytest.mark.interop, pytest.mark.postgres]
CONTEXT = ReceiveContext(
    transfer_syntax_uid="1.2.840.10008.1.2.1", calling_ae="PACS", called_ae="PCTNODE", peer="pacs"
)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """The node's tables in a PostgreSQL of the test's own."""
    made = tables.open_engine(database_url)
    tables.metadata.create_all(made)
    yield made
    made.dispose()


def test_a_name_with_a_zero_in_it_is_kept_aside_and_told(engine: sa.Engine, tmp_path: Path) -> None:
    """PostgreSQL takes no NUL in a text, so that the series gets no row; another one does."""
    folder = Folder(tmp_path / "var")
    bad = [mr_image(number) for number in (1, 2, 3)]
    for image in bad:
        image.PatientName = "A\0B"
    good = mr_image(4, series="1.2.3.4.5")
    with Filer(folder, Index(engine), segment_bytes=1 << 20) as filer:
        wait_until(lambda: filer._journal._segments, "the journal")
        receiver = Receiver(folder, Index(engine), filer=filer)
        for number, image in enumerate([*bad, good]):
            data = data_set_of(write_image(tmp_path / f"{number}.dcm", image))
            assert receiver.receive(data, CONTEXT).outcome is Outcome.STORED
        assert filer.wait(60)

    paths = conflicts.unfiled(engine)
    assert len(paths) == 3
    assert all((folder.root / path).exists() for path in paths)
    uid = str(bad[0].SeriesInstanceUID)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(tables.series.c.series_instance_uid)).scalars().all()
        found = [aside.as_finding().code for aside in conflicts.of_series(connection, uid)]
    assert rows == ["1.2.3.4.5"]
    assert found == ["INSTANCE_UNFILED"] * 3
