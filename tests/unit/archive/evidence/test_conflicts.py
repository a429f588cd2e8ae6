"""What contradicts comes out the same by every way in: directly, by a journal, spooled, by two."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from node.archive.evidence.corrections import open_corrections
from node.archive.headers.arrival import ReceiveContext, identify
from node.archive.ingest.journal import Journal, Record, crc
from node.archive.ingest.journal_entry import meta_of
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.ingest.recovery import recover
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.unit.archive.ingest.test_journal_writer import SEGMENT, Store, store, wait_until

__all__ = ["store"]
Change = Callable[[Dataset], None]


def patient(dataset: Dataset) -> None:
    """Another patient."""
    dataset.PatientID = "P2"


def coerced(dataset: Dataset) -> None:
    """What an archive adds."""
    dataset.RetrieveAETitle = "ARCHIVE"


def nothing(_dataset: Dataset) -> None:
    """The image as it is."""


def encoded(root: Path, change: Change, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The data set of one image after ``change``."""
    image = mr_image()
    change(image)
    if syntax.is_encapsulated:
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.compress(syntax, generate_instance_uid=False)
    return data_set_of(write_image(root / "sent.dcm", image, syntax))


def context(syntax: str = ExplicitVRLittleEndian) -> ReceiveContext:
    """How it comes."""
    return ReceiveContext(
        transfer_syntax_uid=syntax,
        calling_ae="PACS",
        called_ae="PCTNODE",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.2.3.4.1",
        peer="pacs",
    )


def waits(store: Store) -> bool:
    """Whether the only series is told of the correction, once."""
    return open_corrections(store.engine) == [(1, 1)]


@pytest.fixture
def acceptors(store: Store) -> Iterator[list[Filer]]:
    """Two acceptors, each with a journal of its own, that file late."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            filer = Filer(store.folder, store.index, segment_bytes=SEGMENT, latest_s=2.0)
            made.append(stack.enter_context(filer))
            wait_until(lambda filer=filer: filer._journal._segments)  # type: ignore[misc]
        yield made


@pytest.mark.long
def test_beside_one_that_waits_in_the_journal(store: Store, acceptors: list[Filer]) -> None:
    """The first has no row yet when the second comes to the same acceptor."""
    receiver = store.receiver(acceptors[0])
    assert receiver.receive(encoded(store.root, nothing), context()).outcome is Outcome.STORED

    again = receiver.receive(encoded(store.root, coerced), context()).outcome
    other = receiver.receive(encoded(store.root, patient), context()).outcome

    assert (again, other) == (Outcome.DUPLICATE, Outcome.CONFLICT)
    assert waits(store)


@pytest.mark.parametrize(("change", "contradicts"), [(coerced, False), (patient, True)])
def test_two_acceptors_take_two_versions_at_once(
    store: Store, acceptors: list[Filer], change: Change, contradicts: bool
) -> None:
    """Both were answered with Success; what contradicts is found when it is filed."""
    first, second = (store.receiver(filer) for filer in acceptors)
    assert first.receive(encoded(store.root, nothing), context()).outcome is Outcome.STORED
    assert second.receive(encoded(store.root, change), context()).outcome is Outcome.STORED

    first.wait_filed()
    second.wait_filed()

    assert waits(store) is contradicts
    files = [p for n in ("instances", "conflicts") for p in (store.root / n).rglob("*.dcm")]
    assert len(files) == 1 + contradicts


@pytest.mark.parametrize(("change", "contradicts"), [(coerced, False), (patient, True)])
def test_one_that_a_dead_acceptor_had_acknowledged(
    store: Store, change: Change, contradicts: bool
) -> None:
    """What is recovered from its journal is compared as what arrives is."""
    journal = Journal(store.root / "journal", segment_bytes=SEGMENT)
    journal.open()
    arrival = identify(encoded(store.root, change), context(), datetime.now(UTC))
    data = arrival.data_set
    assert isinstance(data, bytes)
    place = journal.write(Record(meta=meta_of(arrival), data=data, crc=crc(data)))
    assert place is not None
    journal.sync(place)
    Receiver(store.folder, store.index).receive(encoded(store.root, nothing), context())
    for segment in journal._segments:  # as when its process dies
        os.close(segment.descriptor)

    assert recover(store.folder, store.index)

    assert waits(store) is contradicts


@pytest.mark.parametrize(
    ("change", "outcome"), [(coerced, Outcome.DUPLICATE), (patient, Outcome.CONFLICT)]
)
def test_one_that_is_too_long_for_memory(store: Store, change: Change, outcome: Outcome) -> None:
    """A spooled one is compared as it lies on the disk."""
    receiver = Receiver(store.folder, store.index)
    receiver.receive(encoded(store.root, nothing), context())
    with receiver.spool(context()) as spool:
        spool.append(memoryview(encoded(store.root, change)))

        assert receiver.receive(spool, context()).outcome is outcome

    assert waits(store) is (outcome is Outcome.CONFLICT)
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "outcome"), [(nothing, Outcome.DUPLICATE), (patient, Outcome.CONFLICT)]
)
def test_one_that_comes_compressed(store: Store, change: Change, outcome: Outcome) -> None:
    """A sender that compresses without loss the next time sends the same image."""
    receiver = Receiver(store.folder, store.index)
    receiver.receive(encoded(store.root, nothing), context())

    data = encoded(store.root, change, JPEGLSLossless)

    assert receiver.receive(data, context(JPEGLSLossless)).outcome is outcome
    assert waits(store) is (outcome is Outcome.CONFLICT)
