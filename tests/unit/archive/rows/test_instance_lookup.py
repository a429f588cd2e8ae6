"""What every instance asks costs no connection, and is never answered No without a look."""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.archive.headers.arrival import identify
from node.archive.rows.index import Index
from node.archive.rows.instance_lookup import KnownInstances
from node.archive.schema import tables
from tests.phantoms.sent_series import SMALL, Instance, new_series
from tests.unit.archive.ingest.test_journal_writer import context


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """An empty one."""
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.db"))
    tables.metadata.create_all(engine)
    return Index(engine)


def add(index: Index, instance: Instance) -> None:
    """Index an instance whose file is not asked for here."""
    arrival = identify(instance.data_set, context(instance), datetime.now(UTC))
    index.add_instance(arrival.stored("nowhere", 1), arrival.header)


@pytest.mark.long
def test_what_another_connection_adds_is_known_at_once(index: Index) -> None:
    """The connection that stays sees every commit."""
    known, sent = KnownInstances(index.engine), new_series(SMALL)[:3]
    for instance in sent:
        assert not known.may_have(instance.sop_instance_uid)
        add(index, instance)
        assert known.may_have(instance.sop_instance_uid)


@pytest.mark.long
def test_asking_keeps_no_view_of_the_database(index: Index, tmp_path: Path) -> None:
    """SQLite can empty its write-ahead log between two questions."""
    known, (first, second, *_) = KnownInstances(index.engine), new_series(SMALL)
    add(index, first)
    assert known.may_have(first.sop_instance_uid)
    add(index, second)

    with sqlite3.connect(tmp_path / "node.db") as connection:
        busy, pages, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, pages) == (0, 0)


@pytest.mark.long
def test_a_question_that_fails_is_not_a_no(index: Index, tmp_path: Path) -> None:
    """Without its table it may be there; once that is back the answer is right again."""
    known, (first, *_) = KnownInstances(index.engine), new_series(SMALL)
    assert not known.may_have(first.sop_instance_uid)
    with sqlite3.connect(tmp_path / "node.db") as connection:
        connection.execute("ALTER TABLE instances RENAME TO elsewhere")
        assert known.may_have(first.sop_instance_uid)
        connection.execute("ALTER TABLE elsewhere RENAME TO instances")

    assert not known.may_have(first.sop_instance_uid)


@pytest.mark.long
def test_many_ask_at_once(index: Index) -> None:
    """Each gets the answer to its own question."""
    known, sent = KnownInstances(index.engine), new_series(SMALL)[:40]
    for instance in sent[::2]:
        add(index, instance)
    right: list[bool] = []

    def ask(number: int) -> None:
        for n, instance in enumerate(sent):
            uid = instance.sop_instance_uid
            right.append(known.may_have(uid) == (n % 2 == 0))
            right.append(not known.may_have(f"{uid}.{number}"))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert right == [True] * (8 * 40 * 2)
