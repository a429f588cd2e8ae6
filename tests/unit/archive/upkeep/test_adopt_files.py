"""A database older than its files gets its rows back; nothing received is called rubbish."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.archive.schema import tables
from node.archive.upkeep.adopt_files import Adopter
from node.archive.upkeep.verify import orphans
from node.flow.housekeeping import Housekeeper, KeepRules
from tests.phantoms.sent_series import Instance, new_series
from tests.unit.archive.ingest.test_journal_writer import FEW, Store, receive, store

__all__ = ["store"]


@pytest.fixture
def restored(store: Store) -> tuple[Store, Sequence[Instance]]:
    """Twelve instances received, and the database put back to what it was after the fourth."""
    sent = new_series(FEW)
    receiver, backup = store.receiver(None), store.root / "backup.db"  # type: ignore[arg-type]
    for number, instance in enumerate(sent):
        receive(receiver, instance)
        if number == 3:
            _copy(store.root / "node.db", backup)
    store.engine.dispose()
    _copy(backup, store.root / "node.db")
    return Store(store.root), sent


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()


def _adopter(store: Store) -> Adopter:
    return Adopter(store.folder, store.index, peer_of={"PACS": "pacs"}.get)


def _lost(store: Store) -> list[str]:
    return list(orphans(store.engine, store.folder, older_than_s=-60.0))


def test_files_without_a_row_are_taken_up(restored: tuple[Store, Sequence[Instance]]) -> None:
    """All are found again with their bytes, by the peer that sent them; twice changes nothing."""
    store, sent = restored
    lost = _lost(store)
    assert len(lost) == 8

    told = _adopter(store).adopt_all(lost)
    again = _adopter(store).adopt_all(lost)

    assert (sorted(told.adopted), told.left) == (sorted(lost), [])
    assert again.left == []
    store.assert_holds(sent)
    assert _lost(store) == []
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(tables.series)).mappings().one()
    assert (row["instances"], row["peer"], row["calling_ae"]) == (12, "pacs", "PACS")


def test_a_file_that_does_not_prove_itself_stays(
    restored: tuple[Store, Sequence[Instance]],
) -> None:
    """Damaged, foreign, or made here: it is named, and neither filed nor removed."""
    store, _ = restored
    (first, *_rest) = _lost(store)
    path = store.root / first
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    foreign = path.with_name("1.2.3.0000000000000000.dcm")
    foreign.write_bytes(b"left by a crash")
    made = store.root / "outputs" / "1.2" / "1.2.1.dcm"
    made.parent.mkdir(parents=True)
    made.write_bytes(data)

    told = _adopter(store).adopt_all(_lost(store))

    strange = {first, str(foreign.relative_to(store.root)), str(made.relative_to(store.root))}
    assert set(told.left) == strange
    assert len(told.adopted) == 7
    assert all((store.root / name).exists() for name in strange)


def test_what_lay_aside_lies_aside_again(store: Store) -> None:
    """A second version whose row was lost is a conflict as before, not an image of its series."""
    (first, *_) = new_series(FEW)
    last = bytes([first.data_set[-1] ^ 1])
    other = Instance(
        sop_class_uid=first.sop_class_uid,
        sop_instance_uid=first.sop_instance_uid,
        data_set=first.data_set[:-1] + last,
    )
    receiver = store.receiver(None)  # type: ignore[arg-type]
    receive(receiver, first)
    receive(receiver, other)
    with store.engine.begin() as connection:
        connection.execute(sa.delete(tables.conflicts))

    told = _adopter(store).adopt_all(_lost(store))

    assert [path.split("/")[0] for path in told.adopted] == ["conflicts"]
    store.assert_holds([first])
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.conflicts.c.path)).scalars().all()
    assert rows == told.adopted


def test_a_worker_takes_them_up_after_its_start(
    restored: tuple[Store, Sequence[Instance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anybody asking for it, once they are an hour old."""
    store, sent = restored
    monkeypatch.setattr("node.flow.housekeeping.engine.forget_ended", lambda **_: None)
    _young(monkeypatch)
    Housekeeper(store.engine, store.folder, KeepRules(), peer_of={"PACS": "pacs"}.get).look()

    store.assert_holds(sent)


def _young(monkeypatch: pytest.MonkeyPatch) -> None:
    def old(*arguments: Any) -> Any:
        return orphans(*arguments, older_than_s=-60.0)

    monkeypatch.setattr("node.flow.housekeeping.orphans", old)
