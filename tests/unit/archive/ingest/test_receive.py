import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.domain.errors import Rejected, Retryable
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Store:
    """A receiver over a fresh archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Folder(root)
        engine = tables.open_engine(tables.sqlite_url(root / "node.db"))
        tables.metadata.create_all(engine)
        self.index = Index(engine)
        self.receiver = Receiver(self.folder, self.index, now=lambda: NOON)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database past the index."""
        with closing(sqlite3.connect(self.root / "node.db")) as connection:
            return connection.execute(query).fetchall()

    def files(self) -> list[Path]:
        """Every file but the database's."""
        found = (p for p in self.root.rglob("*") if p.is_file() and "node.db" not in p.name)
        return sorted(found)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty archive."""
    return Store(tmp_path / "var")


def encoded(tmp_path: Path, image: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The bytes of ``image``."""
    return data_set_of(write_image(tmp_path / "encoded.dcm", image, syntax))


def context(
    uid: str | None = "1.2.3.4.1",
    *,
    sop_class: str | None = MRImageStorage,
    syntax: str = ExplicitVRLittleEndian,
) -> ReceiveContext:
    """How an instance comes, unless a test says otherwise."""
    return ReceiveContext(
        transfer_syntax_uid=syntax,
        calling_ae="PACS",
        called_ae="PCTNODE",
        sop_class_uid=sop_class,
        sop_instance_uid=uid,
        peer="pacs",
    )


def test_a_stored_instance_is_a_part_10_file_with_a_row(store: Store, tmp_path: Path) -> None:
    """The data set lies in the archive as it came, and the index says where and from whom."""
    data = encoded(tmp_path, mr_image())

    receipt = store.receiver.receive(data, context())

    path = store.root / receipt.path
    assert receipt.outcome is Outcome.STORED
    assert data_set_of(path) == data
    assert pydicom.dcmread(path).file_meta.SourceApplicationEntityTitle == "PACS"
    stored = store.index.find_instance("1.2.3.4.1")
    assert stored is not None
    assert (stored.path, stored.size) == (receipt.path, path.stat().st_size)
    assert stored.received_at == NOON
    assert store.rows(
        "select series_instance_uid, study_instance_uid, patient_id, patient_name, description,"
        " body_part, modality, calling_ae, called_ae, peer, instances from series"
    ) == [
        (
            "1.2.3.4", "1.2.3", "P1", "Müller^Jörg", "T1 phantom",
            "HEAD", "MR", "PACS", "PCTNODE", "pacs", 1,
        )
    ]  # fmt: skip


def test_the_same_instance_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    """A repeat is a success; no file and no row changes."""
    data = encoded(tmp_path, mr_image())
    first = store.receiver.receive(data, context())
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in store.files()}

    second = store.receiver.receive(data, context())

    assert second.outcome is Outcome.DUPLICATE
    assert second.path == first.path
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in store.files()} == before
    assert store.rows("select instances, revision from series") == [(1, 1)]


@pytest.mark.long
def test_other_bytes_of_the_same_uid_are_kept_aside(store: Store, tmp_path: Path) -> None:
    """The first object stays as it is; the second lies under conflicts and is indexed there."""
    first = encoded(tmp_path, mr_image(fill=1))
    second = encoded(tmp_path, mr_image(fill=2))
    kept = store.receiver.receive(first, context())

    receipts = [store.receiver.receive(second, context()) for _ in range(2)]

    assert [r.outcome for r in receipts] == [Outcome.CONFLICT] * 2
    assert data_set_of(store.root / kept.path) == first
    assert data_set_of(store.root / receipts[0].path) == second
    assert receipts[0].path.startswith("conflicts/")
    assert store.rows("select sop_instance_uid, path from conflicts") == [
        ("1.2.3.4.1", receipts[0].path)
    ]
    assert len(store.files()) == 2


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_same_object_in_another_encoding_is_no_conflict(
    store: Store, tmp_path: Path, syntax: UID
) -> None:
    """A sender that negotiates another uncompressed syntax the next time sends a duplicate."""
    store.receiver.receive(encoded(tmp_path, mr_image()), context())
    again = encoded(tmp_path, mr_image(), syntax)
    other = encoded(tmp_path, mr_image(fill=9), syntax)

    same = store.receiver.receive(again, context(syntax=syntax))
    different = store.receiver.receive(other, context(syntax=syntax))

    assert same.outcome is Outcome.DUPLICATE
    assert different.outcome is Outcome.CONFLICT


def test_a_file_removed_by_hand_is_written_again(store: Store, tmp_path: Path) -> None:
    """A repeat is not acknowledged on the strength of a row whose file is gone."""
    data = encoded(tmp_path, mr_image())
    path = store.root / store.receiver.receive(data, context()).path
    path.unlink()

    store.receiver.receive(data, context())

    assert data_set_of(path) == data


@pytest.mark.parametrize(
    ("change", "asked", "code"),
    [
        (lambda d: None, context("../evil"), "UID_INVALID"),
        (lambda d: None, context("1.2.3.4.2"), "SOP_INSTANCE_MISMATCH"),
        (lambda d: None, context(sop_class="1.2.840.10008.5.1.4.1.1.4.1"), "SOP_CLASS_MISMATCH"),
        (lambda d: d.__setattr__("SeriesInstanceUID", "../../x"), context(), "UID_INVALID"),
        (lambda d: d.__delattr__("SeriesInstanceUID"), context(), "UID_MISSING"),
        (lambda d: d.__delattr__("StudyInstanceUID"), context(), "UID_MISSING"),
        (lambda d: d.__setattr__("SOPInstanceUID", "../evil"), context(None), "UID_INVALID"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_cannot_be_filed_is_rejected(
    store: Store,
    tmp_path: Path,
    change: Callable[[Dataset], None],
    asked: ReceiveContext,
    code: str,
) -> None:
    """A wrong or missing identity is refused with its code and leaves nothing behind."""
    path = write_image(tmp_path / "good.dcm", mr_image())
    image = pydicom.dcmread(path)
    change(image)
    image.save_as(path)
    data = data_set_of(path)

    with pytest.raises(Rejected) as caught:
        store.receiver.receive(data, asked)

    assert caught.value.code == code
    assert caught.value.remedy
    assert store.files() == []
    assert store.rows("select * from series") == []


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_data_set_is_rejected(store: Store, tmp_path: Path, kept: int) -> None:
    """A data set that stops in an element, or is empty, is refused and leaves nothing behind."""
    data = encoded(tmp_path, mr_image())[:kept]

    with pytest.raises(Rejected) as caught:
        store.receiver.receive(data, context())

    assert caught.value.code in {"DATA_TRUNCATED", "UID_MISSING"}
    assert store.files() == []


def test_below_the_watermark_nothing_is_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too little space an instance is put off before its first byte is written."""
    receiver = Receiver(store.folder, store.index, min_free_bytes=1 << 60)
    made: list[str] = []

    def noted(_count: int) -> str:
        made.append("x")
        return "x"

    monkeypatch.setattr("node.archive.files.secrets.token_hex", noted)

    with pytest.raises(Retryable, match="GB free"):
        receiver.receive(encoded(tmp_path, mr_image()), context())

    assert made == []
    assert store.files() == []


def test_a_duplicate_needs_no_space(store: Store, tmp_path: Path) -> None:
    """What is there already is acknowledged even when the disk is full."""
    data = encoded(tmp_path, mr_image())
    store.receiver.receive(data, context())

    full = Receiver(store.folder, store.index, min_free_bytes=1 << 60)

    assert full.receive(data, context()).outcome is Outcome.DUPLICATE


def test_a_full_disk_is_retryable_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fills up in the middle of a write, nothing half-written stays."""
    data = encoded(tmp_path, mr_image())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("node.archive.files.os.fsync", full)
    with pytest.raises(Retryable, match="No space left"):
        store.receiver.receive(data, context())

    assert store.files() == []
    assert store.rows("select * from instances") == []


def test_a_database_that_is_gone_is_retryable(store: Store, tmp_path: Path) -> None:
    """Without a row nothing is acknowledged, and the sentence carries no patient data."""
    with closing(sqlite3.connect(store.root / "node.db")) as connection:
        connection.execute("drop table instances")
    data = encoded(tmp_path, mr_image())

    with pytest.raises(Retryable) as caught:
        store.receiver.receive(data, context())

    assert "ller" not in str(caught.value)


def _outcome(receiver: Receiver, data: bytes) -> Outcome:
    return receiver.receive(data, context()).outcome


@pytest.mark.long
def test_many_at_once_store_one(store: Store, tmp_path: Path) -> None:
    """Two associations, in threads and as if in two processes, may bring one instance at once."""
    data = encoded(tmp_path, mr_image())
    receivers = [Receiver(Folder(store.root), store.index) for _ in range(2)]

    outcomes = _at_once([partial(_outcome, r, data) for r in receivers * 4])

    assert set(outcomes) <= {Outcome.STORED, Outcome.DUPLICATE}
    assert Outcome.STORED in outcomes
    assert store.rows("select instances from series") == [(1,)]
    assert len(store.files()) == 1


def test_two_objects_of_one_uid_at_once_are_both_kept(store: Store, tmp_path: Path) -> None:
    """Of two objects of one UID that arrive at once, one is stored and the other kept aside."""
    data = [encoded(tmp_path, mr_image(fill=f)) for f in (1, 2)]
    receivers = [Receiver(Folder(store.root), store.index) for _ in data]

    outcomes = _at_once([partial(_outcome, r, d) for r, d in zip(receivers, data, strict=True)])

    assert sorted(outcomes) == [Outcome.CONFLICT, Outcome.STORED]
    stored = store.index.find_instance("1.2.3.4.1")
    assert stored is not None
    winner = data[outcomes.index(Outcome.STORED)]
    assert data_set_of(store.root / stored.path) == winner
    assert sorted(map(data_set_of, store.files())) == sorted(data)


@pytest.mark.long
def test_a_lost_race_is_seen_after_the_row(store: Store, tmp_path: Path) -> None:
    """When another process indexes other bytes between our look and our row, ours is kept aside."""
    first, second = (encoded(tmp_path, mr_image(fill=f)) for f in (1, 2))

    class Late(Index):
        """Shows nothing at the first look, as if the other came just after it."""

        looks = 0

        def find_instance(self, sop_instance_uid: str) -> Any:
            self.looks += 1
            return None if self.looks == 1 else super().find_instance(sop_instance_uid)

    store.receiver.receive(first, context())
    receipt = Receiver(store.folder, Late(store.index.engine)).receive(second, context())

    assert receipt.outcome is Outcome.CONFLICT
    assert sorted(map(data_set_of, store.files())) == sorted([first, second])


def test_names_are_made_of_uids_and_a_digest(store: Store, tmp_path: Path) -> None:
    """A path holds the checked UIDs and nothing else from the wire."""
    receipt = store.receiver.receive(encoded(tmp_path, mr_image()), context())

    name = PurePosixPath(receipt.path)

    assert name.parts[:2] == ("instances", "1.2.3.4")
    assert name.name.startswith("1.2.3.4.1.")
    assert name.suffix == ".dcm"


def _at_once(work: list[Callable[[], Outcome]]) -> list[Outcome]:
    """Run every piece in a thread of its own, all released at one moment."""
    gate = threading.Barrier(len(work))
    outcomes: list[Outcome | None] = [None] * len(work)

    def run(number: int) -> None:
        gate.wait()
        outcomes[number] = work[number]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for outcome in outcomes if outcome is not None]
