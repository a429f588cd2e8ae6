"""A disk that fills up while a data set arrives."""

from pathlib import Path

import pytest

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.domain.errors import Retryable
from node.net.command_set import StoreRequest
from node.scp.association_recorder import Visits
from node.scp.store import StoreHandler
from node.scp.store_receiver import MEMORY_BYTES, _Arriving
from tests.phantoms.evidence import offerings_of

_DISK, _KEPT = 64 << 20, 32 << 20
_MR = "1.2.840.10008.5.1.4.1.1.4"


class SmallDisk(Folder):
    """A folder on a disk of its own, of 64 MiB."""

    def free_bytes(self) -> int:
        """What is left."""
        return _DISK - sum(p.stat().st_size for p in self.root.rglob("*") if p.is_file())


def test_an_endless_data_set_stops_at_the_space_that_is_kept(tmp_path: Path) -> None:
    """Its file goes as soon as the disk has no more than the node keeps; others then have room."""
    folder = SmallDisk(tmp_path)
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.db"))
    t.metadata.create_all(engine)
    index = Index(engine)
    receiver = Receiver(folder, index, min_free_bytes=_KEPT)
    context = ReceiveContext(
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae="PACS",
        called_ae="PCTNODE",
        sop_class_uid=_MR,
        sop_instance_uid="1.2.3",
    )
    before, least = folder.free_bytes(), _DISK
    arriving = _Arriving(
        1,
        StoreRequest(1, _MR, "1.2.3"),
        context,
        memoryview(bytearray(MEMORY_BYTES)),
        StoreHandler(receiver, Visits(index, offerings_of(engine, folder))),
    )
    for _ in range(1024):
        arriving.append(memoryview(bytes(1 << 16)))
        least = min(least, folder.free_bytes())

    assert least >= _KEPT - MEMORY_BYTES
    assert folder.free_bytes() == before
    with pytest.raises(Retryable, match="the node keeps"):
        arriving.data_set()
    engine.dispose()
