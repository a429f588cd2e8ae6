"""What the database is asked before the node compares: it must be quick, whatever the key is."""

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from node.archive.headers.indexed_attributes import Level
from node.archive.headers.matching import Key
from node.archive.query.catalogue import Catalogue
from node.archive.schema import tables as t
from node.domain.errors import Rejected
from node.domain.states import State
from tests.unit.archive.headers.test_matching import HOSTILE

_NAME = "a" * 64


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[sa.Engine]:
    """A database with 500 series of patients whose name is 64 times the same letter."""
    url = t.sqlite_url(tmp_path / "node.db")  # type: ignore[operator]
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url").replace("://", "+psycopg://")
    made = t.open_engine(url)
    t.metadata.create_all(made)
    with made.begin() as connection:
        for number in range(500):
            uid = f"1.2.{number}"
            of = {"series_instance_uid": uid, "study_instance_uid": uid}
            row = of | dict.fromkeys(("created_at", "last_received_at", "state_at"), 0.0)
            values = row | {"state": State.RECEIVING.value, "findings": []}
            series = connection.execute(sa.insert(t.series).values(**values)).inserted_primary_key
            assert series is not None
            connection.execute(
                sa.insert(t.catalogue).values(
                    **of, series_id=series[0], folded_name=_NAME, header={"PatientName": _NAME}
                )
            )
    yield made
    made.dispose()


@pytest.mark.long
@pytest.mark.parametrize("wild", [wild for wild, _ in HOSTILE])
def test_no_name_takes_the_database_long(engine: sa.Engine, wild: str) -> None:
    """A hostile name among 500 series: less than a second, where one took half a minute."""
    began = time.monotonic()
    assert not list(Catalogue(engine).find(Level.SERIES, [Key("PatientName", "PN", wild)]))
    assert time.monotonic() - began < 1.0


@pytest.mark.long
@pytest.mark.parametrize(("wild", "found"), [("a*a?", 500), ("*aa*", 500), ("a_%a", 0), ("b*", 0)])
def test_narrowing_loses_nothing(engine: sa.Engine, wild: str, found: int) -> None:
    """What matches is still found, and ``%`` and ``_`` are letters."""
    keys = [Key("PatientName", "PN", wild)]
    assert len(list(Catalogue(engine).find(Level.SERIES, keys))) == found


def test_a_key_out_of_all_proportion_never_reaches_the_database(engine: sa.Engine) -> None:
    """It is refused before any row is read."""
    with pytest.raises(Rejected):
        list(Catalogue(engine).find(Level.SERIES, [Key("PatientName", "PN", "*a" * 1000)]))
