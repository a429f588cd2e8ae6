"""A segment belongs to one living process: no other machine files it, and no dead one goes on."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.archive.evidence import conflicts
from node.archive.ingest import journal, journal_format
from node.archive.ingest.journal import LEASE_S, Journal
from node.archive.ingest.journal_claim import Watch
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome
from node.archive.ingest.recovery import recover, refused
from node.archive.schema import tables
from node.archive.upkeep.backup import copy_archive
from node.domain.errors import Retryable
from tests.phantoms.sent_series import new_series
from tests.unit.archive.ingest.test_journal_writer import (
    FEW,
    SEGMENT,
    Store,
    _never,
    _paths,
    _read,
    _record,
    killed,
    receive,
    store,
    wait_until,
)

__all__ = ["store"]


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the journals of this process."""
    mine = Clock()
    monkeypatch.setattr(journal, "_clock", mine)
    return mine


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Be another machine for a while, on a mount whose locks do not hold between the two."""

    def enter() -> pytest.MonkeyPatch:
        monkeypatch.setattr(journal_format, "boot_id", lambda: b"another machine.")
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)
        return monkeypatch

    return enter


def test_a_living_acceptor_keeps_its_segment_where_locks_do_not_hold(
    store: Store, clock: Clock, elsewhere: Any
) -> None:
    """As long as it gives signs of life, nobody takes it; once they have stopped, all is filed."""
    sent = new_series(FEW)
    filer = Filer(store.folder, store.index, segment_bytes=SEGMENT, shared=True)
    filer._journal.open()
    receiver, working = store.receiver(filer), store.index.add_instances
    store.index.add_instances = _never  # type: ignore[assignment,method-assign]
    for instance in sent:
        assert receive(receiver, instance) is Outcome.STORED
    store.index.add_instances = working  # type: ignore[method-assign]
    elsewhere()
    watch = Watch(shared=True, clock=clock)

    for _ in range(30):
        clock.now += LEASE_S / 4
        filer._journal.beat()
        assert recover(store.folder, store.index, watch)
        assert len(_paths(store.root)) == 2
    assert store.rows() == {}
    for _ in range(6):
        clock.now += LEASE_S / 4
        recover(store.folder, store.index, watch)

    store.assert_holds(sent)
    assert store.segments() == []
    with pytest.raises(Retryable):  # it had stopped: what it took now would be nobody's
        receive(receiver, new_series(FEW)[0])


def test_after_a_pause_of_its_own_nobody_is_taken_for_dead(
    store: Store, clock: Clock, elsewhere: Any
) -> None:
    """Who slept has seen no sign of life, whoever gave them."""
    filer = Filer(store.folder, store.index, segment_bytes=SEGMENT, shared=True)
    filer._journal.open()
    elsewhere()
    watch = Watch(shared=True, clock=clock)
    recover(store.folder, store.index, watch)

    clock.now += 10 * LEASE_S

    recover(store.folder, store.index, watch)
    assert len(_paths(store.root)) == 2


def test_a_segment_that_was_taken_is_not_acknowledged(tmp_path: Path) -> None:
    """Its name is another's: a record goes to the other segment, or nowhere."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    place = log.write(_record(b"x" * 100))
    assert place is not None
    place.segment.path.rename(place.segment.path.with_suffix(".taken"))

    with pytest.raises(OSError, match="taken the journal"):
        log.sync(place)
    again = log.write(_record(b"y" * 100))
    assert again is not None
    log.sync(again)

    assert again.segment is not place.segment
    assert [d for p in _paths(tmp_path) for d in _read(p)] == [b"y" * 100]
    log.close()
    assert place.segment.path.with_suffix(".taken").exists()


@pytest.mark.long
def test_segments_that_were_taken_are_made_anew(store: Store) -> None:
    """The acceptor goes on with a journal of its own once what it held is filed."""
    sent = new_series(FEW)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as filer:
        wait_until(lambda: filer._journal._segments)
        old = list(filer._journal._segments)
        for segment in old:
            segment.path.unlink()
        for instance in sent[:2]:
            with pytest.raises(Retryable):
                receive(store.receiver(filer), instance)
        wait_until(lambda: not any(s in old for s in filer._journal._segments))
        for instance in sent:
            assert receive(store.receiver(filer), instance) is Outcome.STORED
    store.assert_holds(sent)


@pytest.mark.long
def test_one_unreadable_segment_stops_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO in a data page costs that record; a segment that cannot be opened costs no other one."""
    first, second = new_series(FEW), new_series(FEW)
    killed(store.root, first)
    (bad,) = (p for p in store.segments() if first[3].data_set in p.read_bytes())
    at = bad.read_bytes().index(first[3].data_set)
    killed(store.root, second)
    shut = store.root / "journal" / "0-shut.segment"
    shut.write_bytes(b"")
    real, real_open, inode = os.pread, os.open, bad.stat().st_ino

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino == inode and offset <= at + 600 < offset + size:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, size, offset)

    def opened(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("0-shut.segment"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return real_open(path, *more, **named)

    monkeypatch.setattr("node.archive.ingest.journal_reader.os.pread", pread)
    monkeypatch.setattr("node.archive.ingest.recovery.os.open", opened)

    assert recover(store.folder, store.index)

    rows = set(store.rows())
    lost = {i.sop_instance_uid for i in first} - rows
    assert first[3].sop_instance_uid in lost
    assert len(lost) <= 3  # what lies on that page
    assert {i.sop_instance_uid for i in second} <= rows
    assert refused(store.folder) == [
        "journal/0-shut.refused",
        f"journal/{bad.with_suffix('.refused').name}",
    ]
    with store.engine.connect() as connection:
        told = connection.execute(sa.select(tables.conflicts.c.sop_instance_uid)).scalars().all()
    assert lost <= set(told) or "" in told  # by name, or the series


@pytest.mark.long
def test_a_full_disk_leaves_the_segment_and_the_outbox_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised, nothing settles, and the next look files it."""
    sent = new_series(FEW)
    killed(store.root, sent)

    def place(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.folder, "place_unsynced", place)
        assert not recover(store.folder, store.index)
    assert recover(store.folder, store.index)
    store.assert_holds(sent)


@pytest.mark.long
def test_what_was_lost_and_comes_again_is_missed_no_more(store: Store) -> None:
    """The sender sends it once more: its series has nothing to tell."""
    sent = new_series(FEW)
    killed(store.root, sent)
    (segment,) = (p for p in store.segments() if sent[4].data_set in p.read_bytes())
    data = bytearray(segment.read_bytes())
    data[data.index(sent[4].data_set) + 700] ^= 1
    segment.write_bytes(data)
    recover(store.folder, store.index)
    with store.engine.connect() as connection:
        (series,) = connection.execute(sa.select(tables.series.c.series_instance_uid)).scalars()
        assert len(conflicts.of_series(connection, series)) == 1

    assert store.receiver(None).receive(sent[4].data_set, _context(sent[4]))  # type: ignore[arg-type]

    with store.engine.connect() as connection:
        assert conflicts.of_series(connection, series) == []
    store.assert_holds(sent)


def _context(instance: Any) -> Any:
    from tests.unit.archive.ingest.test_journal_writer import context

    return context(instance)


def test_a_backup_taken_while_records_come_can_be_read_to_its_end(
    store: Store, tmp_path: Path
) -> None:
    """The copy of a segment is copied again until it holds together."""
    log = Journal(store.root / "journal", segment_bytes=SEGMENT)
    log.open()
    for number in range(20):
        place = log.write(_record(bytes([number]) * 1000))
        assert place is not None
        log.sync(place)
    copy_archive(store.root, [], tmp_path / "copy")

    found = [d for p in _paths(tmp_path / "copy") for d in _read(p)]
    assert len(found) == 20


def test_a_file_that_was_healed_is_copied_again(store: Store, tmp_path: Path) -> None:
    """Equal size is not equal bytes."""
    path = store.root / "instances" / "1.2" / "1.2.3.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    copy_archive(store.root, [], tmp_path / "copy")
    path.write_bytes(b"healed!")

    assert copy_archive(store.root, [], tmp_path / "copy") == 1
    assert (tmp_path / "copy" / "instances" / "1.2" / "1.2.3.dcm").read_bytes() == b"healed!"
