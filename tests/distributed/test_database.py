"""What must be the same on PostgreSQL as on SQLite."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.records import ReceivedHeader, StoredInstance
from node.archive.work.runs import Runs

pytestmark = pytest.mark.postgres

_HEADER = ReceivedHeader(
    study_instance_uid="1.2",
    patient_id="",
    patient_name="",
    accession_number="",
    series_description="",
    body_part="",
    modality="MR",
    calling_ae="PACS",
    called_ae="PCTNODE",
)
_STORED = StoredInstance(
    sop_instance_uid="1.2.3.1",
    sop_class_uid="1.2",
    transfer_syntax_uid="1.2",
    series_instance_uid="1.2.3",
    path="a",
    size=1,
    sha256="0",
    received_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """The node's tables in an empty database."""
    engine = sa.create_engine(database_url.replace("://", "+psycopg://"), poolclass=sa.NullPool)
    t.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_a_new_instance_counts_and_a_late_one_begins_a_revision(engine: sa.Engine) -> None:
    """Each new instance is counted; one that comes after the series was taken up raises it."""
    index = Index(engine)
    for number in (1, 1, 2):
        index.add_instance(replace(_STORED, sop_instance_uid=f"1.2.3.{number}"), _HEADER)
    (item,) = Queries(engine).series_items()
    assert (item["instances"], item["revision"]) == (2, 1)

    assert Runs(engine).settle_quiet(0.0) == 1
    index.add_instance(replace(_STORED, sop_instance_uid="1.2.3.3"), _HEADER)
    (item,) = Queries(engine).series_items()
    assert (item["instances"], item["revision"], item["state"]) == (3, 2, "receiving")
