"""Rot: one bit of each archived file turned: no reader gives it, scrub finds it, a resend heals.

The bits are turned past the file system's back as far as a test can: size and times stay.
"""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from pydicom.uid import MRImageStorage

from node.archive.evidence import damage
from node.archive.evidence.damage import Guard
from node.archive.files import Folder
from node.archive.ingest.receive import Receiver
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import judge
from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.archive.upkeep.scrub import Scrub, ScrubRules
from node.dicom.commitment import NO_SUCH_INSTANCE
from node.web.app import create_app
from node.web.dicomweb.router import DicomWeb
from tests.interop.receiving import Node, start_node
from tests.interop.scp_process import PACS
from tests.peers.dcmqrscp import run_getscu, run_movescu
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import free_port
from tests.phantoms.archived import receive_all
from tests.phantoms.evidence import offerings_of
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.web.serving import served

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning:pynetdicom.transport"),
]
FILES, SEED = 50, 20261201
SERIES, STUDY = "1.2.826.0.1.3680043.8.498.90", "1.2.826.0.1.3680043.8.498.91"


@dataclass
class Rotten:
    """An archive with one series, each file of which has one bit turned."""

    root: Path
    sent: list[Path]
    engine: sa.Engine
    node: Node
    tps_port: int

    @property
    def uids(self) -> list[str]:
        """SOP Instance UIDs."""
        return [f"{SERIES}.{n}" for n in range(1, FILES + 1)]

    def findings(self) -> set[str]:
        """SOP Instance UIDs whose series says that they are damaged."""
        with self.engine.connect() as connection:
            told = connection.execute(sa.select(tables.series.c.findings)).scalar_one()
        return {uid for found in told if found["code"] == "FILE_DAMAGED" for uid in found["uids"]}


@pytest.fixture
def rotten(tmp_path: Path) -> Iterator[Rotten]:
    """Made anew for each test."""
    sent = []
    for number in range(1, FILES + 1):
        image = mr_image(number, series=SERIES)
        image.StudyInstanceUID = STUDY
        sent.append(write_image(tmp_path / "sent" / f"{number}.dcm", image))
    root, tps_port = tmp_path / "node", free_port()
    receive_all(root, sent)
    engine = tables.open_engine(tables.sqlite_url(root / "node.db"))
    chance = random.Random(SEED)  # noqa: S311 - a test's chance
    archived = sorted((root / "instances").rglob("*.dcm"))
    assert len(archived) == FILES
    for path in archived:
        _turn(path, chance)
    tps = {"name": "tps", "ae_title": "TPS", "host": "127.0.0.1", "port": tps_port}
    node = start_node(root, "--peers", json.dumps([PACS, tps]))
    yield Rotten(root, sent, engine, node, tps_port)
    node.stop()
    engine.dispose()


def _turn(path: Path, chance: random.Random) -> None:
    """Turn a bit of the data set, or of one of its three UIDs in the File Meta Information."""
    state, data = path.stat(), bytearray(path.read_bytes())
    length = int.from_bytes(data[140:144], "little")
    meta = data.index(b"UI", 158) + 5
    at = meta if chance.random() < 0.1 else chance.randrange(144 + length, len(data))
    data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


_KEYS = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={SERIES}"]


def test_c_get_gives_none_of_them(rotten: Rotten, tmp_path: Path) -> None:
    """Every sub-operation fails, and the series says why."""
    run_getscu(rotten.node.port, _KEYS, tmp_path / "got")

    assert list((tmp_path / "got").iterdir()) == []
    ((_, sentence, *_),) = rotten.node.associations(1)
    assert f"C-GET: 0 of {FILES} sent" in sentence
    assert rotten.findings() == set(rotten.uids)


def test_c_move_gives_none_of_them(rotten: Rotten, start_storescp: StartStorescp) -> None:
    """Nothing reaches the destination."""
    tps = start_storescp(port=rotten.tps_port)

    run_movescu(rotten.node.port, _KEYS, "TPS")

    assert tps.files() == []
    assert rotten.findings() == set(rotten.uids)


@pytest.mark.parametrize(
    "what", ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"]
)
def test_wado_gives_none_of_them(rotten: Rotten, what: str) -> None:
    """Instances, metadata, frames and pictures are answered with 500 and a sentence."""
    folder = Folder(rotten.root)
    receiver = Receiver(folder, Index(rotten.engine))
    services = DicomWeb(
        catalogue=Catalogue(rotten.engine),
        folder=folder,
        receiver=receiver,
        offerings=offerings_of(rotten.engine, folder),
    )
    app = create_app(queries=Queries(rotten.engine), dicomweb=services)
    with served(app) as url:
        for uid in rotten.uids[:8]:
            place = f"{url}/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{uid}{what}"
            answer = httpx.get(place, headers={"Accept": "*/*"})
            assert answer.status_code == 500, answer.text[:300]
            assert "not what was stored" in answer.json()["detail"]
    assert rotten.findings() == set(rotten.uids[:8])


def test_no_commitment_is_given_to_them(rotten: Rotten) -> None:
    """Their size is right, and their row; nobody may delete the original for that."""
    pairs = [(MRImageStorage, uid) for uid in rotten.uids]

    result = judge(Catalogue(rotten.engine), Folder(rotten.root), pairs)

    assert result.stored == ()
    assert result.failed == dict.fromkeys(rotten.uids, NO_SUCH_INSTANCE)


def test_the_scrub_finds_all_and_a_resend_heals_all(rotten: Rotten, tmp_path: Path) -> None:
    """Afterwards every reader has them again, and the series says that they came back."""
    folder = Folder(rotten.root)
    scrub = Scrub(rotten.engine, folder, ScrubRules(), wait=lambda _s: False)

    assert scrub.once() == FILES
    assert len(damage.damaged(rotten.engine)) == FILES
    assert rotten.findings() == set(rotten.uids)

    assert run_storescu(rotten.node.port, rotten.sent).returncode == 0
    assert rotten.findings() == set()
    assert damage.damaged(rotten.engine) == []
    assert scrub.once() == 0
    run_getscu(rotten.node.port, _KEYS, tmp_path / "got")
    got = sorted(data_set_of(p) for p in (tmp_path / "got").iterdir())
    assert got == sorted(map(data_set_of, rotten.sent))
    pairs = [(MRImageStorage, uid) for uid in rotten.uids]
    assert len(judge(Catalogue(rotten.engine), folder, pairs).stored) == FILES
    with rotten.engine.connect() as connection:
        e = tables.events.c
        healed = connection.execute(sa.select(e.sentence).where(e.kind == "healed")).scalars().all()
    assert len(healed) == FILES


def test_a_file_that_is_gone_comes_back(rotten: Rotten) -> None:
    """Removed by hand: refused, told, and written again when it is sent again."""
    path = next((rotten.root / "instances").rglob("*.dcm"))
    path.unlink()

    assert run_storescu(rotten.node.port, rotten.sent).returncode == 0

    assert path.exists()
    assert rotten.findings() == set()


def test_what_was_verified_is_not_read_again_until_it_is_touched(tmp_path: Path) -> None:
    """A commitment to a large series stays fast; whoever writes to a file ends its credit."""
    sent = [
        write_image(tmp_path / "sent" / f"{n}.dcm", mr_image(n, series=SERIES)) for n in (1, 2, 3)
    ]
    receive_all(tmp_path / "node", sent)
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node" / "node.db"))
    folder = Folder(tmp_path / "node")
    read: list[str] = []

    class Counting(Guard):
        def is_intact(self, file: damage.Held) -> bool:
            read.append(file.digest.sop_instance_uid)
            return super().is_intact(file)

    uids = [f"{SERIES}.{n}" for n in (1, 2, 3)]
    files = [one.held for one in Catalogue(engine).stored(uids).values()]
    guard = Counting(engine, folder)
    assert len(guard.vouched(files, within_s=60.0)) == 3
    assert len(read) == 3
    assert len(guard.vouched(files, within_s=60.0)) == 3
    assert len(read) == 3
    assert guard.vouched(files, within_s=-1.0) == {f.digest.sop_instance_uid for f in files}
    assert len(read) == 6
    touched = tmp_path / "node" / files[1].path
    data = touched.read_bytes()
    touched.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    good = guard.vouched(files, within_s=60.0)

    assert good == {files[0].digest.sop_instance_uid, files[2].digest.sop_instance_uid}
    assert len(read) == 7
    engine.dispose()
