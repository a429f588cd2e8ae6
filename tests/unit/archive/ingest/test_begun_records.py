"""A record is written before it is known whether it is kept: what is not kept does no harm."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from node.archive.evidence import conflicts
from node.archive.ingest.journal import Journal, _sync
from node.archive.ingest.journal_format import BEGIN
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome
from node.archive.ingest.recovery import recover
from node.domain.errors import Retryable
from tests.phantoms.sent_series import Instance, new_series
from tests.unit.archive.ingest.test_journal_writer import (
    FEW,
    SEGMENT,
    Store,
    _paths,
    _read,
    _record,
    filer,
    receive,
    store,
    wait_until,
)

__all__ = ["filer", "store"]


def other(instance: Instance) -> Instance:
    """Another object of its UID."""
    return Instance(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        data_set=instance.data_set[:-1] + bytes([instance.data_set[-1] ^ 1]),
    )


def unfiled(filer: Filer) -> int:
    """Records that hold a segment."""
    return sum(segment.unfiled for segment in filer._journal._segments)


def test_a_duplicate_and_a_conflict_hold_no_segment(store: Store, filer: Filer) -> None:
    """Once the index knows the first, a repeat is written, found known and dropped."""
    receiver, sent = store.receiver(filer), new_series(FEW)
    for instance in sent:
        receive(receiver, instance)
    receiver.wait_filed()

    assert receive(receiver, sent[0]) is Outcome.DUPLICATE
    assert receive(receiver, other(sent[1])) is Outcome.CONFLICT

    assert unfiled(filer) == 0
    assert not any(segment.begun for segment in filer._journal._segments)
    wait_until(lambda: all(segment.end == BEGIN for segment in filer._journal._segments))
    store.assert_holds(sent)


def test_an_index_that_fails_leaves_nothing_begun(
    store: Store, filer: Filer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender hears a failure, and what was begun holds no segment; the repeat is stored."""
    receiver, sent = store.receiver(filer), new_series(FEW)
    monkeypatch.setattr(store.index, "find_instance", _fails)
    with pytest.raises(Retryable):
        receive(receiver, sent[0])
    assert unfiled(filer) == 0

    monkeypatch.undo()
    assert receive(receiver, sent[0]) is Outcome.STORED
    receiver.wait_filed()
    store.assert_holds(sent[:1])


def test_what_was_refused_does_not_come_back_before_what_was_acknowledged(store: Store) -> None:
    """Another object of its UID was acknowledged since: that one stands after a crash."""
    first = new_series(FEW)[0]
    child = os.fork()
    if child == 0:
        _refuse_one_take_the_other_and_die(store.root, first)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    assert recover(store.folder, store.index)

    store.assert_holds([other(first)])
    assert not list((store.root / "conflicts").rglob("*.dcm"))


def _refuse_one_take_the_other_and_die(root: Path, first: Instance) -> None:
    store = Store(root)
    filer = Filer(store.folder, store.index, segment_bytes=SEGMENT, latest_s=30.0)
    filer.start()
    wait_until(lambda: filer._journal._segments)
    receiver = store.receiver(filer)
    working = store.index.find_instance
    store.index.find_instance = _fails  # type: ignore[method-assign,assignment]
    with filer._change:
        with suppress(Retryable):
            receive(receiver, first)
        store.index.find_instance = working  # type: ignore[method-assign]
        assert receive(receiver, other(first)) is Outcome.STORED
        os._exit(9)


def _fails(_uid: str) -> Any:
    raise OperationalError("select", None, ValueError("not now"))


def _receive_twice_and_die(root: Path, sent: list[Instance]) -> None:
    store = Store(root)
    filer = Filer(store.folder, store.index, segment_bytes=SEGMENT)
    filer.start()
    wait_until(lambda: filer._journal._segments)
    receiver = store.receiver(filer)
    for instance in sent:
        receive(receiver, instance)
    receiver.wait_filed()
    filer._journal.rewind = lambda: None  # type: ignore[method-assign]
    receive(receiver, sent[0])
    receive(receiver, other(sent[1]))
    os._exit(9)


def test_what_was_dropped_and_is_found_after_a_crash_changes_nothing(store: Store) -> None:
    """The duplicate stays one, and the conflict is not told twice."""
    sent = new_series(FEW)
    child = os.fork()
    if child == 0:
        _receive_twice_and_die(store.root, sent)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    aside = sorted((store.root / "conflicts").rglob("*.dcm"))
    assert len(aside) == 1

    assert recover(store.folder, store.index)

    store.assert_holds(sent)
    assert sorted((store.root / "conflicts").rglob("*.dcm")) == aside
    with store.engine.connect() as connection:
        number = connection.exec_driver_sql("select count(*) from conflicts").scalar_one()
    assert number == 1
    assert conflicts.unfiled(store.engine) == []


def test_a_sync_that_failed_is_not_believed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two were written before one sync failed: the other is not acknowledged by the next."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    places = [log.write(_record(bytes([n]) * 100)) for n in range(2)]
    first, second = places
    assert first is not None
    assert second is not None

    with monkeypatch.context() as patch:
        patch.setattr("node.archive.ingest.journal.os.fdatasync", _fails_to_sync)
        with pytest.raises(OSError, match="Input/output error"):
            log.sync(first)
    with pytest.raises(OSError, match="could not be written"):
        log.sync(second)


def test_a_segment_that_failed_goes_once_all_of_it_is_filed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its series would for ever look as if it waited for a row; another takes its place."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    stored, lost = log.write(_record(b"x" * 100)), log.write(_record(b"y" * 100))
    assert stored is not None
    assert lost is not None
    log.sync(stored)
    with monkeypatch.context() as patch:
        patch.setattr("node.archive.ingest.journal.os.fdatasync", _fails_to_sync)
        with pytest.raises(OSError, match="Input/output error"):
            log.sync(lost)
    before = _paths(tmp_path)
    assert not log.renew()
    assert _paths(tmp_path) == before

    log.drop(lost)
    log.filed([stored])
    assert not log.renew()
    assert [data for path in _paths(tmp_path) for data in _read(path)] == []
    assert len(_paths(tmp_path)) == 1

    monkeypatch.setattr(
        "node.archive.ingest.journal._clock", lambda: time.clock_gettime(time.CLOCK_BOOTTIME) + 3600
    )
    assert log.renew()
    assert len(_paths(tmp_path)) == 2
    for number in range(2):
        place = log.write(_record(bytes([number]) * 600_000))
        assert place is not None
        log.sync(place)


def test_a_sync_that_the_filer_makes_may_have_the_senders_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells of a failed write once: who hears of it must not leave it at that."""
    monkeypatch.setattr("node.archive.ingest.journal._FIRST_BYTES", 1 << 16)
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    place = log.write(_record(b"x" * 100))
    assert place is not None
    with monkeypatch.context() as patch:
        patch.setattr("node.archive.ingest.journal.os.fdatasync", _fails_to_sync)
        with pytest.raises(OSError, match="Input/output error"):
            log.extend()

    with pytest.raises(OSError, match="could not be written"):
        log.sync(place)


def _fails_to_sync(_descriptor: int) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("short", [False, True])
def test_a_head_that_cannot_be_written_ends_its_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, short: bool
) -> None:
    """Records of an epoch that the disk does not know would be nothing after a crash."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    place = log.write(_record(b"x" * 100))
    assert place is not None
    log.sync(place)
    log.filed([place])

    def pwrite(_descriptor: int, _data: bytes, _offset: int) -> int:
        if short:
            return 1
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("node.archive.ingest.journal.os.pwrite", pwrite)
        with pytest.raises(OSError, match=r"Input/output error|only a part"):
            log.rewind()
    place = log.write(_record(b"y" * 100))
    assert place is not None
    log.sync(place)

    assert b"y" * 100 in [data for path in _paths(tmp_path) for data in _read(path)]


def test_a_journal_that_closes_under_a_begun_record_is_the_senders_failure(
    tmp_path: Path,
) -> None:
    """Its descriptor's number must not be another file's when the sync comes."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    place = log.write(_record(b"x" * 100))
    assert place is not None
    assert place.segment is not None

    log.close()

    assert os.fstat(place.segment.descriptor).st_size == SEGMENT
    with pytest.raises(OSError, match="could not be written"):
        log.sync(place)
    log.drop(place)
    assert [data for path in _paths(tmp_path) for data in _read(path)] == []
    os.close(place.segment.descriptor)


def test_one_segment_that_fails_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two senders in one group, each with a segment of its own."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    first = log.write(_record(b"x" * 700_000))
    second = log.write(_record(b"y" * 700_000))
    assert first is not None
    assert second is not None
    assert first.segment is not None
    assert first.segment is not second.segment
    bad, real = first.segment.descriptor, os.fdatasync

    def fdatasync(descriptor: int) -> None:
        if descriptor == bad:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr("node.archive.ingest.journal.os.fdatasync", fdatasync)
    assert second.segment is not None
    told = _sync([first.segment, second.segment, first.segment])

    assert [error is None for error in told] == [False, True, False]


def test_an_acknowledged_record_is_read_whatever_was_begun_beside_it(tmp_path: Path) -> None:
    """Several threads write and sync at once: each synced record is there, in one sequence."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT << 2)
    log.open()
    synced: list[bytes] = []

    def work(number: int) -> None:
        for turn in range(20):
            data = bytes([number, turn]) * 50
            place = log.write(_record(data))
            assert place is not None
            if turn % 3:
                log.sync(place)
                synced.append(data)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    found = [data for path in _paths(tmp_path) for data in _read(path)]
    assert set(synced) <= set(found)
    assert len(found) == 8 * 20
