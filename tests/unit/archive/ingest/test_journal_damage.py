"""What the disk does to a journal is noticed before anything of it becomes a file."""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.archive.evidence import conflicts
from node.archive.headers.arrival import identify
from node.archive.ingest.journal import crc
from node.archive.ingest.journal_entry import meta_of
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome
from node.archive.ingest.recovery import recover, refused, waiting_series
from tests.phantoms.sent_series import Instance, new_series
from tests.unit.archive.ingest.test_journal_writer import (
    FEW,
    SEGMENT,
    Store,
    context,
    receive,
    wait_until,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty archive."""
    return Store(tmp_path / "data")


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


@pytest.mark.long
def test_a_record_changed_before_it_was_filed_is_told_and_holds_up_nobody(store: Store) -> None:
    """No file is made of it, its series knows, the segment is kept, the others are filed."""
    sent = new_series(FEW)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT, latest_s=30.0) as filer:
        wait_until(lambda: filer._journal._segments)
        receiver = store.receiver(filer)
        # Nothing is filed before the record is spoilt: the filer's thread waits for this.
        with filer._change:
            for instance in sent:
                assert receive(receiver, instance) is Outcome.STORED
            entry = filer._pending[sent[3].sop_instance_uid]
            segment = entry.place.segment
            assert segment is not None
            _flip(segment.path, entry.place.offset + entry.place.size - 1)
        assert filer.wait(30)
        store.assert_holds([*sent[:3], *sent[4:]])
        with store.engine.connect() as connection:
            (lost,) = conflicts.of_series(connection, entry.arrival.series_instance_uid)
        assert lost.as_finding().code == "INSTANCE_UNFILED"
        assert lost.sop_instance_uid == sent[3].sop_instance_uid
        wait_until(lambda: refused(store.folder) == [lost.path])
        assert waiting_series(store.folder) == set()
        more = new_series(FEW)
        assert {receive(receiver, i) for i in more} == {Outcome.STORED}
        receiver.wait_filed()
        assert receive(receiver, sent[3]) is Outcome.STORED  # its sender may send it again

    assert [p.suffix for p in store.segments()] == [".refused"]
    assert recover(store.folder, store.index)
    store.assert_holds([*sent, *more])


@pytest.mark.long
def test_a_last_record_that_was_changed_is_kept_though_the_process_ends_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovery would take it for one that was cut off, and it was acknowledged."""
    monkeypatch.setattr("node.archive.ingest.journal_writer._REWIND_S", 3600.0)
    sent = new_series(FEW)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT, latest_s=30.0) as filer:
        wait_until(lambda: filer._journal._segments)
        receive(store.receiver(filer), sent[0])
        assert filer.wait(30)  # after a first batch the segments were begun anew
        with filer._change:
            for instance in sent[1:]:
                receive(store.receiver(filer), instance)
            last = filer._pending[sent[-1].sop_instance_uid].place
            assert last.segment is not None
            _flip(last.segment.path, last.offset)
        assert filer.wait(30)

    assert [p.suffix for p in store.segments()] == [".refused"]
    assert recover(store.folder, store.index)
    assert len(refused(store.folder)) == 1
    store.assert_holds(sent[:-1])


def test_the_same_bytes_while_they_wait_are_a_duplicate_and_others_are_not(store: Store) -> None:
    """What lies in the journal is compared byte by byte; a check of 32 bits would not do."""
    (first, *_) = new_series(FEW)
    other = type(first)(
        sop_class_uid=first.sop_class_uid,
        sop_instance_uid=first.sop_instance_uid,
        data_set=_same_crc(first.data_set),
    )
    assert crc(other.data_set) == crc(first.data_set)
    with Filer(store.folder, store.index, segment_bytes=SEGMENT, latest_s=30.0) as filer:
        wait_until(lambda: filer._journal._segments)
        receiver = store.receiver(filer)
        with filer._change:
            assert receive(receiver, first) is Outcome.STORED
            assert receive(receiver, first) is Outcome.DUPLICATE
            assert filer._pending
        assert receive(receiver, other) is Outcome.CONFLICT
    store.assert_holds([first])


def _same_crc(data: bytes) -> bytes:
    """Other bytes with the same CRC: they differ by its generator polynomial."""
    generator = int(f"{0x104C11DB7:033b}"[::-1], 2).to_bytes(5, "little")
    return data[:-5] + bytes(a ^ b for a, b in zip(data[-5:], generator, strict=True))


def test_what_an_earlier_release_left_in_its_journal_is_filed(store: Store) -> None:
    """Its records carry SHA-256 where ours carry a CRC; one that was changed is told as well."""
    sent = new_series(FEW)
    _earlier_segment(store, sent, spoilt=4)

    assert recover(store.folder, store.index)

    store.assert_holds([*sent[:4], *sent[5:]])
    assert len(refused(store.folder)) == 1


def _earlier_segment(store: Store, sent: Sequence[Instance], spoilt: int) -> None:
    folder = store.root / "journal"
    folder.mkdir()
    with (folder / "1-abc.segment").open("wb") as file:
        file.write(struct.pack("<8sQ", b"PCTNSEG1", 7).ljust(4096, b"\0"))
        for number, instance in enumerate(sent):
            data = instance.data_set
            meta = meta_of(identify(data, context(instance), datetime.now(UTC)))
            digest = hashlib.sha256(data).digest()
            head = struct.pack("<8sQIQ32s", b"PCTNREC1", 7, len(meta), len(data), digest)
            if number == spoilt:
                data = data[:-1] + bytes([data[-1] ^ 1])
            file.write(head + struct.pack("<I", zlib.crc32(meta, zlib.crc32(head))) + meta + data)
        file.write(bytes(4096))
