"""The journal: what it acknowledged is never lost, whatever ends the process or fails later."""

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError, OperationalError

from node.archive.evidence import conflicts
from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.journal import Journal, Record, crc, records
from node.archive.ingest.journal_claim import claimed
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.ingest.recovery import recover, waiting_series
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.archive.upkeep.backup import copy_archive
from node.archive.work.runs import Runs
from node.domain.errors import Retryable
from tests.phantoms.sent_series import SMALL, Instance, Kind, new_series

FEW = Kind(name="few", sop_class_uid=SMALL.sop_class_uid, instances=12, side=16)
SEGMENT = 1 << 20


class Store:
    """An archive with a journal; `open` again after an end of whatever kind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Folder(root)
        self.engine = tables.open_engine(tables.sqlite_url(root / "node.db"))
        tables.metadata.create_all(self.engine)
        self.index = Index(self.engine)

    def receiver(self, filer: Filer) -> Receiver:
        """As an acceptor has it."""
        return Receiver(self.folder, self.index, filer=filer)

    def rows(self) -> dict[str, str]:
        """SOP Instance UID to path of what is indexed."""
        t = tables.instances.c
        with self.engine.connect() as connection:
            query = sa.select(t.sop_instance_uid, t.path)
            return {row[0]: row[1] for row in connection.execute(query)}

    def segments(self) -> list[Path]:
        """What lies in the journal's folder."""
        return sorted((self.root / "journal").glob("*"))

    def assert_holds(self, sent: Sequence[Instance]) -> None:
        """Every instance has its row, and its file the bytes that were sent."""
        rows = self.rows()
        for instance in sent:
            data = (self.root / rows[instance.sop_instance_uid]).read_bytes()
            assert data.endswith(instance.data_set)
            assert pydicom.dcmread(self.root / rows[instance.sop_instance_uid])
        assert len(rows) == len(sent)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty archive."""
    return Store(tmp_path / "data")


@pytest.fixture
def filer(store: Store) -> Iterator[Filer]:
    """A filer whose journal is ready."""
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as running:
        wait_until(lambda: len(store.segments()) == 2)
        wait_until(lambda: running._journal._segments)
        yield running


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, at most half a minute."""
    for _ in range(30_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came about")


def context(instance: Instance) -> ReceiveContext:
    """How it arrives."""
    return ReceiveContext(
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae="PACS",
        called_ae="PCTNODE",
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        peer="pacs",
    )


def receive(receiver: Receiver, instance: Instance) -> Outcome:
    """Receive one instance."""
    return receiver.receive(instance.data_set, context(instance)).outcome


def test_what_is_acknowledged_is_filed(store: Store, filer: Filer) -> None:
    """After the wait each has file and row; the same again is a duplicate, before and after."""
    receiver, sent = store.receiver(filer), new_series(FEW)

    assert {receive(receiver, i) for i in sent} == {Outcome.STORED}
    assert receive(receiver, sent[-1]) is Outcome.DUPLICATE
    receiver.wait_filed()

    store.assert_holds(sent)
    assert receive(receiver, sent[0]) is Outcome.DUPLICATE


def test_another_object_of_a_pending_uid_is_kept_aside(store: Store, filer: Filer) -> None:
    """The first stands, whether it has its row yet or not."""
    receiver, first = store.receiver(filer), new_series(FEW)[0]
    last = first.data_set[-1] ^ 1
    other = Instance(
        sop_class_uid=first.sop_class_uid,
        sop_instance_uid=first.sop_instance_uid,
        data_set=first.data_set[:-1] + bytes([last]),
    )

    assert receive(receiver, first) is Outcome.STORED
    assert receive(receiver, other) is Outcome.CONFLICT

    store.assert_holds([first])
    assert len(list((store.root / "conflicts").rglob("*.dcm"))) == 1


@pytest.mark.long
def test_segments_are_used_again_and_gone_at_the_end(store: Store) -> None:
    """Many times the journal's length goes through it; an orderly end leaves nothing behind."""
    sent = [instance for _ in range(20) for instance in new_series(FEW)]
    kind = Kind(name="big", sop_class_uid=SMALL.sop_class_uid, instances=12, side=256)
    big = [instance for _ in range(3) for instance in new_series(kind)]
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as filer:
        wait_until(lambda: filer._journal._segments)
        receiver = store.receiver(filer)
        for instance in [*sent, *big]:
            assert receive(receiver, instance) is Outcome.STORED

    store.assert_holds([*sent, *big])
    assert sum(len(i.data_set) for i in big) > 4 * SEGMENT
    assert store.segments() == []


def _receive_and_die(root: Path, sent: Sequence[Instance], acknowledged: Any) -> None:
    store = Store(root)
    filer = Filer(store.folder, store.index, segment_bytes=SEGMENT)
    filer.start()
    wait_until(lambda: filer._journal._segments)
    receiver = store.receiver(filer)
    store.index.add_instances = _never  # type: ignore[assignment,method-assign]
    for instance in sent:
        receive(receiver, instance)
        acknowledged.value += 1
    os.kill(os.getpid(), signal.SIGKILL)


def _never(*_: object) -> list[Any]:
    raise OperationalError("insert", None, ValueError("not now"))


def killed(root: Path, sent: Sequence[Instance]) -> int:
    """Receive in a process that is killed before anything has a row; how much it acknowledged."""
    spawn = multiprocessing.get_context("spawn")
    acknowledged = spawn.Value("i", 0)
    process = spawn.Process(target=_receive_and_die, args=(root, sent, acknowledged))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    return int(acknowledged.value)


@pytest.mark.long
def test_another_process_files_what_a_dead_one_acknowledged(store: Store) -> None:
    """Killed with everything acknowledged and nothing indexed: all of it is found, once."""
    sent = new_series(FEW)
    assert killed(store.root, sent) == len(sent)
    assert store.rows() == {}

    assert recover(store.folder, store.index)

    store.assert_holds(sent)
    assert store.segments() == []
    with store.engine.connect() as connection:
        assert connection.execute(sa.select(tables.series.c.instances)).scalar_one() == 12
        assert connection.execute(sa.select(tables.series.c.peer)).scalar_one() == "pacs"


@pytest.mark.long
def test_a_record_that_the_disk_has_changed_is_told_and_hides_no_other(store: Store) -> None:
    """All others are filed; its series is held, and the segment is kept."""
    sent = new_series(FEW)
    assert killed(store.root, sent) == len(sent)
    (segment,) = (p for p in store.segments() if sent[4].data_set in p.read_bytes())
    at = segment.read_bytes().index(sent[4].data_set) + 1000
    with segment.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0xFF]))

    assert recover(store.folder, store.index)

    store.assert_holds([*sent[:4], *sent[5:]])
    (kept,) = store.segments()
    assert kept.suffix == ".refused"
    assert conflicts.unfiled(store.engine) == [f"journal/{kept.name}"]
    with store.engine.connect() as connection:
        series = connection.execute(sa.select(tables.series.c.series_instance_uid)).scalar_one()
        (aside,) = conflicts.of_series(connection, series)
    assert aside.as_finding().code == "INSTANCE_UNFILED"


@pytest.mark.long
def test_recovering_twice_changes_nothing(store: Store) -> None:
    """A second one may end in the middle, and a third begin anew."""
    sent = new_series(FEW)
    killed(store.root, sent)
    kept = {path: path.read_bytes() for path in store.segments()}
    recover(store.folder, store.index)
    before = store.rows()
    for path, data in kept.items():
        path.write_bytes(data)

    assert recover(store.folder, store.index)

    assert store.rows() == before
    store.assert_holds(sent)


@pytest.mark.long
def test_a_database_that_fails_while_recovering_loses_nothing(store: Store) -> None:
    """The segment stays, and the next attempt files it."""
    sent = new_series(FEW)
    killed(store.root, sent)
    broken = Index(store.engine)
    broken.add_instances = _never  # type: ignore[assignment,method-assign]

    with pytest.raises(OperationalError):
        recover(store.folder, broken)

    assert recover(store.folder, store.index)
    store.assert_holds(sent)


def test_a_living_process_keeps_its_journal(store: Store, filer: Filer) -> None:
    """Nobody takes the segments of an acceptor that runs."""
    before = store.segments()

    assert recover(store.folder, store.index)

    assert store.segments() == before
    assert receive(store.receiver(filer), new_series(FEW)[0]) is Outcome.STORED


@pytest.mark.long
def test_no_settling_while_somebody_recovers(store: Store) -> None:
    """A segment under recovery says that its series are not whole yet."""
    killed(store.root, new_series(FEW))
    path = store.segments()[0]
    taken = path.rename(path.with_suffix(".taken"))

    with claimed(taken) as descriptor:
        assert descriptor is not None
        assert not recover(store.folder, store.index)

    assert recover(store.folder, store.index)


@pytest.mark.long
def test_a_database_that_comes_back_gets_every_row(store: Store, filer: Filer) -> None:
    """What was acknowledged before it went waits for it; what comes meanwhile is refused."""
    receiver, sent = store.receiver(filer), new_series(FEW)
    working = store.index.add_instances
    store.index.add_instances = _never  # type: ignore[assignment,method-assign]
    for instance in sent:
        assert receive(receiver, instance) is Outcome.STORED
    assert not filer.wait(0.3)

    store.index.add_instances = working  # type: ignore[method-assign]

    assert filer.wait(30)
    store.assert_holds(sent)


@pytest.mark.long
@pytest.mark.parametrize("dies", [False, True], ids=["lives", "dies"])
@pytest.mark.parametrize(
    "error",
    [DataError("insert", None, ValueError("a bad row")), OverflowError("a number too long")],
    ids=["database", "driver"],
)
def test_a_row_that_cannot_be_written_holds_up_nobody(
    store: Store, dies: bool, error: Exception
) -> None:
    """Its file is kept aside for a person; the others are filed, and the journal goes on."""
    sent = new_series(FEW)
    working, bad = store.index.add_instances, sent[3].sop_instance_uid

    def add(rows: Sequence[Any]) -> Any:
        if any(stored.sop_instance_uid == bad for stored, _ in rows):
            raise error
        return working(rows)

    if dies:
        killed(store.root, sent)
    store.index.add_instances = add  # type: ignore[assignment,method-assign]
    if dies:
        assert recover(store.folder, store.index)
    else:
        with Filer(store.folder, store.index, segment_bytes=SEGMENT) as filer:
            wait_until(lambda: filer._journal._segments)
            for instance in sent:
                assert receive(store.receiver(filer), instance) is Outcome.STORED
            assert filer.wait(30)

    assert set(store.rows()) == {i.sop_instance_uid for i in sent} - {bad}
    (aside,) = (store.root / "conflicts").rglob("*.dcm")
    name = str(aside.relative_to(store.root))
    assert conflicts.unfiled(store.engine) == [name]
    with store.engine.connect() as connection:
        series = connection.execute(sa.select(tables.series)).mappings().one()
        (found,) = conflicts.of_series(connection, series["series_instance_uid"])
        told = connection.execute(sa.select(tables.events.c.sentence)).scalars().all()
    assert (found.sop_instance_uid, found.path) == (bad, name)
    assert found.as_finding().code == "INSTANCE_UNFILED"
    assert any(name in sentence for sentence in told)
    assert aside.read_bytes().endswith(sent[3].data_set)
    assert store.segments() == []


def test_a_disk_that_fails_under_the_journal_is_the_senders_failure(
    store: Store, filer: Filer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged; the segment is not used again, and the other one serves."""
    receiver, sent = store.receiver(filer), new_series(FEW)
    real, failing = os.fdatasync, [True]

    def fdatasync(descriptor: int) -> None:
        if failing:
            failing.pop()
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr("node.archive.ingest.journal.os.fdatasync", fdatasync)
    with pytest.raises(Retryable, match="Input/output error"):
        receive(receiver, sent[0])

    assert receive(receiver, sent[0]) is Outcome.STORED
    receiver.wait_filed()
    store.assert_holds(sent[:1])


def _record(data: bytes) -> Record:
    return Record(meta=b"meta", data=data, crc=crc(data))


def test_a_record_that_was_cut_off_ends_the_segment(tmp_path: Path) -> None:
    """Whatever byte of the last record did not reach the disk, the earlier ones are read."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    places = [log.write(_record(bytes([n]) * 100)) for n in range(3)]
    assert all(places)
    segment = log._segments[0] if log._segments[0].unfiled else log._segments[1]
    whole = segment.path.read_bytes()
    last = places[2]
    assert last is not None
    for at in range(last.offset - 64, last.offset + 100, 7):
        damaged = tmp_path / "damaged"
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert len(_read(damaged)) == 2, at
    assert _read(segment.path) == [bytes([n]) * 100 for n in range(3)]


def test_an_earlier_pass_is_forgotten(tmp_path: Path) -> None:
    """After a rewind only what came since is read, though the old bytes are still there."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    places = [log.write(_record(bytes([n]) * 100)) for n in range(5)]
    log.filed([place for place in places if place is not None])
    log.rewind()
    assert [data for path in _paths(tmp_path) for data in _read(path)] == []

    log.write(_record(b"x" * 100))

    assert [data for path in _paths(tmp_path) for data in _read(path)] == [b"x" * 100]


def test_no_room_is_said_and_nothing_written(tmp_path: Path) -> None:
    """With both segments full of what is not filed, the caller has to see to it itself."""
    log = Journal(tmp_path / "journal", segment_bytes=SEGMENT)
    log.open()
    big = _record(b"x" * 400_000)

    places = [log.write(big) for _ in range(6)]

    assert [place is not None for place in places] == [True] * 4 + [False] * 2
    log.filed([place for place in places[:2] if place is not None])
    assert log.write(big) is not None


def test_a_journal_grows_while_records_lie_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins short, takes more with each step, and what it holds stays readable."""
    monkeypatch.setattr("node.archive.ingest.journal._FIRST_BYTES", 3 << 13)
    monkeypatch.setattr("node.archive.ingest.journal._STEP_BYTES", 1 << 15)
    log = Journal(tmp_path / "journal", segment_bytes=1 << 17)
    log.open()
    data = [bytes([n]) * 10_000 for n in range(8)]
    taken = [log.write(_record(part)) is not None for part in data[:3]]
    assert taken == [True, True, False]  # one in each segment
    while log.extend():
        pass
    assert log.segment_bytes == 1 << 17
    assert all(log.write(_record(part)) for part in data[2:])
    assert {p.stat().st_size for p in _paths(tmp_path)} == {1 << 17}
    held = [part for path in _paths(tmp_path) for part in _read(path)]
    assert sorted(held) == data


def test_a_disk_that_cannot_take_the_whole_journal_keeps_a_short_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Growing fails, receiving goes on."""
    monkeypatch.setattr("node.archive.ingest.journal._FIRST_BYTES", 1 << 16)
    tried = threading.Event()

    def extend(_journal: Journal) -> bool:
        tried.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "extend", extend)
    sent = new_series(FEW)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as running:
        assert tried.wait(20)
        for instance in sent:
            assert receive(store.receiver(running), instance) is Outcome.STORED
    store.assert_holds(sent)


@pytest.mark.long
def test_a_disk_without_place_for_the_journal_keeps_none_of_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first segment goes when the second does not fit; instances are stored the long way."""
    real, left = os.pwrite, [SEGMENT + (SEGMENT >> 1)]

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr("node.archive.ingest.journal.os.pwrite", pwrite)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as filer:
        wait_until(lambda: left[0] < 0 and not store.segments())
        sent = new_series(FEW)
        assert {receive(store.receiver(filer), i) for i in sent} == {Outcome.STORED}
        store.assert_holds(sent)


@pytest.mark.long
def test_a_series_with_instances_in_the_journal_does_not_settle(store: Store, filer: Filer) -> None:
    """Its row says that it was quiet for long; what was acknowledged since has no row yet."""
    receiver, sent = store.receiver(filer), new_series(FEW)
    receive(receiver, sent[0])
    receiver.wait_filed()
    wait_until(lambda: not waiting_series(store.folder))
    working = store.index.add_instances
    store.index.add_instances = _never  # type: ignore[assignment,method-assign]
    for instance in sent[1:]:
        receive(receiver, instance)
    runs = Runs(store.engine)

    assert runs.settle_quiet(-1.0, waiting=lambda: waiting_series(store.folder)) == 0

    store.index.add_instances = working  # type: ignore[method-assign]
    receiver.wait_filed()
    wait_until(lambda: not waiting_series(store.folder))
    assert runs.settle_quiet(-1.0, waiting=lambda: waiting_series(store.folder)) == 1
    store.assert_holds(sent)


def _paths(folder: Path) -> list[Path]:
    return sorted((folder / "journal").glob("*.segment"))


def _read(path: Path) -> list[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = [place.read(descriptor) for _, place in records(descriptor)]
        return [data for data in found if data is not None]
    finally:
        with suppress(OSError):
            os.close(descriptor)


@pytest.mark.long
def test_the_moment_of_arrival_survives(store: Store) -> None:
    """A recovered instance was received when it was, not when it was found."""
    sent = new_series(FEW)
    begun = datetime.now(UTC)
    killed(store.root, sent)
    ended = datetime.now(UTC)
    recover(store.folder, store.index)

    with store.engine.connect() as connection:
        times = connection.execute(sa.select(tables.instances.c.received_at)).scalars().all()

    assert all(begun.timestamp() <= at <= ended.timestamp() for at in times)


def test_a_backup_has_what_was_acknowledged_and_not_filed(store: Store, tmp_path: Path) -> None:
    """The database is away: rows are late, the backup is not; a later one has no old segments."""
    sent = new_series(FEW)
    copy, again = tmp_path / "copy", Store(tmp_path / "restored")
    with Filer(store.folder, store.index, segment_bytes=SEGMENT) as filer:
        wait_until(lambda: filer._journal._segments)
        with store.engine.connect() as other:
            other.exec_driver_sql("SELECT 1")  # begins to write: nobody else can meanwhile
            taken = [receive(store.receiver(filer), instance) for instance in sent]
            copy_archive(store.root, [store.root / "node.db"], copy)
            other.rollback()
    copied = sorted(path.name for path in (copy / "journal").iterdir())
    again.engine.dispose()
    shutil.copytree(copy, again.root, dirs_exist_ok=True)
    rows_then = again.rows()
    recover(again.folder, again.index)
    copy_archive(store.root, [store.root / "node.db"], copy)

    assert taken == [Outcome.STORED] * len(sent)
    assert rows_then == {}
    assert len(copied) == 2
    again.assert_holds(sent)
    assert not (copy / "journal").exists()  # nothing is in it any more
