from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.schema import tables as t
from node.archive.work.deliveries import Deliveries
from node.archive.work.runs import Runs
from tests.unit.archive.delivered import make_archive

Arrive = Callable[[str], None]


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    """An empty archive."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.sqlite"))
    t.metadata.create_all(engine)
    return engine


@pytest.fixture
def arrive(engine: sa.Engine) -> Arrive:
    """Index a series of a peer; it is quiet at once."""

    def add(peer: str) -> None:
        with engine.begin() as connection:
            number = connection.execute(sa.select(sa.func.count()).select_from(t.series)).scalar()
            values = {
                "series_instance_uid": f"{peer}.{number}",
                "study_instance_uid": "1",
                "peer": peer,
                "created_at": 0.0,
                "last_received_at": 0.0,
                "state_at": 0.0,
                "state": "receiving",
                "findings": [],
            }
            connection.execute(sa.insert(t.series).values(values))

    return add


def _order(engine: sa.Engine) -> list[str]:
    """Peers of the waiting series, in the order in which they will be taken."""
    query = (
        sa.select(t.series.c.peer)
        .join(t.runs, t.runs.c.series_id == t.series.c.id)
        .where(t.series.c.state == "queued")
        .order_by(t.runs.c.turn, t.runs.c.id)
    )
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def test_one_series_does_not_wait_for_all_of_another_sender(
    engine: sa.Engine, arrive: Arrive
) -> None:
    """A burst of one sender leaves room for the others; each sender's own order stays."""
    runs = Runs(engine)
    for _ in range(4):
        arrive("busy")
    runs.settle_quiet(1.0)
    arrive("calm")
    arrive("calm")
    runs.settle_quiet(1.0)

    assert _order(engine) == ["busy", "calm", "busy", "calm", "busy", "busy"]


def test_who_comes_later_does_not_overtake_what_waits(engine: sa.Engine, arrive: Arrive) -> None:
    """The queue's head moves on: a new sender begins there, not before everything."""
    runs = Runs(engine)
    for _ in range(4):
        arrive("busy")
    runs.settle_quiet(1.0)
    with engine.begin() as connection:  # two of them have begun
        begun = t.series.c.id.in_([1, 2])
        connection.execute(sa.update(t.series).where(begun).values(state="running"))
    arrive("calm")
    arrive("busy")
    runs.settle_quiet(1.0)

    assert _order(engine) == ["busy", "calm", "busy", "busy"]


@pytest.mark.long
def test_an_urgent_peer_comes_first(engine: sa.Engine, arrive: Arrive) -> None:
    """What an urgent peer sends passes everything that waits."""
    runs = Runs(engine)
    arrive("busy")
    arrive("busy")
    runs.settle_quiet(1.0)
    arrive("planning")
    runs.settle_quiet(1.0, {"planning"})

    assert _order(engine) == ["planning", "busy", "busy"]


def test_a_clock_that_was_set_back_keeps_no_series_waiting(
    engine: sa.Engine, arrive: Arrive
) -> None:
    """A series whose last instance came at a time yet to come is taken up all the same."""
    arrive("busy")
    with engine.begin() as connection:
        later = sa.update(t.series).values(last_received_at=t.db_clock() + 3600)
        connection.execute(later)

    assert Runs(engine).settle_quiet(20.0) == 1


def test_a_clock_that_was_set_back_keeps_no_delivery_waiting(tmp_path: Path) -> None:
    """A next try a day ahead was written under another clock: it is due now."""
    archive = make_archive(tmp_path / "var")
    archive.receive()
    archive.make("tps")
    deliveries = Deliveries(archive.engine)
    (due,) = deliveries.due()
    deliveries.later(due.delivery_id, due.number, "Away.", 300.0)
    assert deliveries.due() == []
    with archive.engine.begin() as connection:
        change = sa.update(t.deliveries).values(next_try_at=t.deliveries.c.next_try_at + 86400)
        connection.execute(change)
    assert len(deliveries.due()) == 1
