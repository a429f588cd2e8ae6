"""Whatever bit of a segment the disk turns: each acknowledged instance is filed, or told by name.

``--fuzz`` turns a bit of every byte; without it a sample of them is turned.
"""

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import MRImageStorage

from node.archive.evidence import conflicts
from node.archive.files import Folder
from node.archive.headers.arrival import identify
from node.archive.ingest.journal import Journal, Place, Record, crc
from node.archive.ingest.journal_entry import meta_of, name_of
from node.archive.ingest.journal_format import BEGIN, HEADS_AT, PAGE
from node.archive.ingest.recovery import recover, refused
from node.archive.rows.index import Index
from node.archive.schema import tables
from tests.phantoms.sent_series import Instance
from tests.unit.archive.ingest.test_journal_writer import context

RECORDS = 42
SERIES = "1.2.826.0.1.3680043.8.498.7"
SEED = 20261201
PAIRS = 1000


def _instance(number: int) -> Instance:
    """As small as an instance can be."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, f"{SERIES}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{SERIES}.0", SERIES
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return Instance(
        sop_class_uid=MRImageStorage,
        sop_instance_uid=dataset.SOPInstanceUID,
        data_set=buffer.getvalue(),
    )


@dataclass
class Dead:
    """A segment whose process has ended, and what it had acknowledged."""

    segment: bytes
    sent: list[Instance]
    used: int
    """Bytes of it that hold anything."""


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Dead:
    """A segment on its third pass, with records of earlier ones behind its end."""
    journal = Journal(tmp_path_factory.mktemp("written") / "journal", segment_bytes=1 << 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.archive.ingest.journal._SEGMENTS", 1)
        journal.open()
    (segment,) = journal._segments
    for count in (60, 50):
        places = [_write(journal, _instance(100 + n)) for n in range(count)]
        journal.filed(places)
        journal.rewind()
    sent = [_instance(n) for n in range(RECORDS)]
    for instance in sent:
        _write(journal, instance)
    data = segment.path.read_bytes()
    return Dead(data, sent, segment.end + 1024)


def _write(journal: Journal, instance: Instance) -> Place:
    arrival = identify(instance.data_set, context(instance), datetime.now(UTC))
    data = instance.data_set
    record = Record(meta=meta_of(arrival), data=data, crc=crc(data), name=name_of(arrival))
    place = journal.write(record)
    assert place is not None
    journal.sync(place)
    return place


class Archive:
    """One archive for many recoveries; emptied between them."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.engine = tables.open_engine("sqlite://")
        tables.metadata.create_all(self.engine)
        (root / "journal").mkdir()

    def recover(self, segment: bytes) -> None:
        """File what is in ``segment``."""
        root = self.folder.root
        (root / "journal" / "1-abc.segment").write_bytes(segment)
        assert recover(self.folder, Index(self.engine))

    def clear(self) -> None:
        """Forget everything."""
        with self.engine.begin() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        for name in ("journal", "instances", "conflicts"):
            for path in (self.folder.root / name).rglob("*.*"):
                if path.is_file():
                    path.unlink()

    def untold(self, sent: Sequence[Instance]) -> list[str]:
        """Instances that have no file with their bytes and that nobody is told of by name."""
        with self.engine.connect() as connection:
            i = tables.instances.c
            rows = dict(connection.execute(sa.select(i.sop_instance_uid, i.path)).all())
            told = {a.sop_instance_uid for a in conflicts.of_series(connection, SERIES)}
        return [
            one.sop_instance_uid
            for one in sent
            if one.sop_instance_uid not in told and not self._holds(rows, one)
        ]

    def _holds(self, rows: dict[str, str], one: Instance) -> bool:
        path = rows.get(one.sop_instance_uid)
        return path is not None and (self.folder.root / path).read_bytes().endswith(one.data_set)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """On a memory file system where there is one: tens of thousands of recoveries are made."""
    memory = Path("/dev/shm")  # noqa: S108 - the test's own folder in it
    root = memory / f"pctnode-flips-{tmp_path.name}" if memory.is_dir() else tmp_path / "data"
    shutil.rmtree(root, ignore_errors=True)
    yield Archive(root)
    shutil.rmtree(root, ignore_errors=True)


def _flipped(segment: bytes, *bits: int) -> bytes:
    changed = bytearray(segment)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_an_undamaged_segment_is_filed_and_gone(dead: Dead, archive: Archive) -> None:
    """Without a flip nobody is told anything, and earlier passes are nothing."""
    archive.recover(dead.segment)

    assert archive.untold(dead.sent) == []
    assert refused(archive.folder) == []
    assert list((archive.folder.root / "journal").iterdir()) == []
    assert len(list((archive.folder.root / "instances").rglob("*.dcm"))) == RECORDS


@pytest.mark.long
def test_each_flipped_bit_is_mended_or_told(dead: Dead, archive: Archive, whole_fuzz: bool) -> None:
    """Every byte, one at a time: filed with its bytes, or told by its name; 0 untold."""
    every = [*range(512), *range(PAGE, PAGE + 512), *range(BEGIN, dead.used)]
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    offsets = every if whole_fuzz else chance.sample(every, 150)
    lost = 0
    for offset in offsets:
        archive.clear()
        bit = offset * 8 + chance.randrange(8)
        archive.recover(_flipped(dead.segment, bit))
        assert archive.untold(dead.sent) == [], f"bit {bit}"
        lost += bool(refused(archive.folder))
    # Most of a segment is marks, which are there twice; only data cannot be mended.
    assert 0 < lost < len(offsets) / 2


@pytest.mark.long
def test_each_two_flipped_bits_are_mended_or_told(
    dead: Dead, archive: Archive, whole_fuzz: bool
) -> None:
    """Pairs at random, half of them near each other, where they may hit both marks of a record."""
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    pairs = PAIRS if whole_fuzz else PAIRS // 20
    for turn in range(pairs):
        first = chance.randrange(BEGIN * 8, dead.used * 8)
        near = min(dead.used * 8 - 1, first + chance.randrange(1, 12_000))
        second = near if turn % 2 else chance.randrange(dead.used * 8)
        archive.clear()
        archive.recover(_flipped(dead.segment, first, second))
        assert archive.untold(dead.sent) == [], f"bits {first} and {second}, seed {SEED}"


@pytest.mark.parametrize("page", [0, 1, 2, 3, 5])
def test_a_lost_page_is_told(dead: Dead, archive: Archive, page: int) -> None:
    """A sector that reads as zeros takes marks and data with it; whose it was is told."""
    start = page * PAGE
    archive.recover(dead.segment[:start] + bytes(PAGE) + dead.segment[start + PAGE :])

    assert archive.untold(dead.sent) == [] or _series_is_told(archive)
    assert bool(refused(archive.folder)) == (page >= 2)


def test_without_both_heads_the_records_say_whose_they_are(dead: Dead, archive: Archive) -> None:
    """Nothing is lost, so that nothing is told."""
    heads = [at * 8 + 80 for at in HEADS_AT]
    archive.recover(_flipped(dead.segment, *heads))

    assert archive.untold(dead.sent) == []
    assert refused(archive.folder) == []


def test_a_segment_of_nothing_is_told(dead: Dead, archive: Archive) -> None:
    """A file of zeros holds no record and no end: every series that is being received is told."""
    archive.recover(dead.segment)
    archive.recover(bytes(len(dead.segment)))

    assert _series_is_told(archive)
    assert refused(archive.folder) == ["journal/1-abc.refused"]


def _series_is_told(archive: Archive) -> bool:
    with archive.engine.connect() as connection:
        found = [a.as_finding().code for a in conflicts.of_series(connection, SERIES)]
    return "JOURNAL_DAMAGED" in found
