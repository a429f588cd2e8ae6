"""Service by peer: every query, retrieve and commitment service with every client that has it.

DCMTK's findscu, movescu and getscu, pynetdicom's own applications, and Orthanc as SCU. What is not
here stands in the tests of its service: storage (test_receive, test_send), DICOMweb with Orthanc
and dicomweb-client (tests/web/test_dicomweb), commitment (test_commitment), pulling (test_pull).
dcmqrscp and DCMTK's clients have no storage commitment; Debian's Orthanc has no C-GET client.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.interop.receiving import Node, start_node
from tests.interop.scp_process import PACS
from tests.peers.dcmqrscp import run_findscu, run_getscu, run_movescu
from tests.peers.dcmtk import run_echoscu
from tests.peers.fixtures import StartOrthanc, StartStorescp
from tests.peers.orthanc import Modality
from tests.peers.waiting import free_port, wait_until
from tests.phantoms.archived import ROOT, receive_all, write_archive
from tests.phantoms.small_mr import data_set_of

pytestmark = pytest.mark.interop
STUDY, SERIES = f"{ROOT}.3", f"{ROOT}.3.1"
KEYS = {
    "SERIES": ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDY}",
               f"SeriesInstanceUID={SERIES}"],
    "STUDY": ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}"],
    "IMAGE": ["QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={STUDY}",
              f"SeriesInstanceUID={SERIES}", f"SOPInstanceUID={SERIES}.2"],
    "PATIENT": ["QueryRetrieveLevel=PATIENT", "PatientID=P2"],
}  # fmt: skip
COUNT = {"PATIENT": 5, "STUDY": 5, "SERIES": 3, "IMAGE": 1}
"""Instances each retrieve brings."""


@pytest.fixture(scope="module")
def tps_port() -> int:
    """Give the port of the peer that series are moved to."""
    return free_port()


@pytest.fixture(scope="module")
def orthanc_port() -> int:
    """Give Orthanc's DICOM port."""
    return free_port()


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, tps_port: int, orthanc_port: int
) -> Iterator[Node]:
    """Run a node that holds the archive's content and knows its peers."""
    folder = tmp_path_factory.mktemp("matrix")
    receive_all(folder / "node", write_archive(folder / "files"))
    peers = [
        PACS,
        _peer("tps", "TPS", tps_port),
        _peer("orthanc", "ORTHANC", orthanc_port, may=["query", "send"]),
    ]
    running = start_node(folder / "node", "--peers", json.dumps(peers))
    yield running
    running.stop()


def _peer(name: str, title: str, port: int, **more: object) -> dict[str, object]:
    return {"name": name, "ae_title": title, "host": "127.0.0.1", "port": port, **more}


def run_app(app: str, port: int, *words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run one of pynetdicom's applications; it writes what it receives into ``cwd``."""
    command = [sys.executable, "-m", "pynetdicom", app, "127.0.0.1", str(port)]
    command += ["-aet", "PACS", "-aec", "PCTNODE", *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def keyed(keys: Sequence[str]) -> list[str]:
    """Keys as the applications take them."""
    return [word for key in keys for word in ("-k", key)]


@pytest.mark.parametrize("level", list(KEYS))
def test_findscu(node: Node, tmp_path: Path, level: str) -> None:
    """DCMTK queries every level, in the model that has it."""
    model = "-P" if level == "PATIENT" else "-S"

    (found,) = run_findscu(node.port, KEYS[level], tmp_path / "found", model=model)

    assert found.QueryRetrieveLevel == level
    assert found.RetrieveAETitle == "PCTNODE"


@pytest.mark.parametrize("level", list(KEYS))
def test_getscu(node: Node, tmp_path: Path, level: str) -> None:
    """DCMTK gets what any level names."""
    model = "-P" if level == "PATIENT" else "-S"

    got = run_getscu(node.port, KEYS[level], tmp_path / "got", model=model)

    assert got.returncode == 0, got.stderr
    assert len(list((tmp_path / "got").iterdir())) == COUNT[level]


@pytest.mark.parametrize("level", list(KEYS))
def test_movescu(
    node: Node, tmp_path: Path, level: str, start_storescp: StartStorescp, tps_port: int
) -> None:
    """DCMTK has what any level names moved to another peer, a storescp."""
    server = start_storescp(port=tps_port)
    model = "-P" if level == "PATIENT" else "-S"

    moved = run_movescu(node.port, KEYS[level], "TPS", model=model)

    assert moved.returncode == 0, moved.stderr
    assert len(server.files()) == COUNT[level]


def test_pynetdicom_apps(
    node: Node, tmp_path: Path, start_storescp: StartStorescp, tps_port: int
) -> None:
    """The applications echo, find, get and move."""
    server = start_storescp(port=tps_port)
    echo = run_app("echoscu", node.port, cwd=tmp_path)
    find = run_app("findscu", node.port, "-S", "-w", *keyed(KEYS["STUDY"]), cwd=tmp_path)
    get = run_app("getscu", node.port, "-S", *keyed(KEYS["SERIES"]), cwd=tmp_path)
    move = run_app("movescu", node.port, "-S", "-aem", "TPS", *keyed(KEYS["SERIES"]), cwd=tmp_path)

    for done in (echo, find, get, move):
        assert done.returncode == 0, done.stderr
    received = [p for p in tmp_path.iterdir() if p.is_file() and SERIES in p.name]
    assert len(received) == 3, [p.name for p in tmp_path.iterdir()]
    assert sorted(dcmread(p, force=True).SOPInstanceUID for p in received) == [
        f"{SERIES}.{n}" for n in (1, 2, 3)
    ]
    assert len(server.files()) == 3


def test_dcmtk_echo(node: Node) -> None:
    """DCMTK verifies."""
    assert run_echoscu(node.port).returncode == 0


@pytest.mark.orthanc
def test_orthanc_queries_and_retrieves(
    node: Node, start_orthanc: StartOrthanc, orthanc_port: int
) -> None:
    """Orthanc echoes, finds a study by name, and has it moved to itself."""
    modality = Modality(ae_title="PCTNODE", port=node.port)
    orthanc = start_orthanc({"node": modality}, dicom_port=orthanc_port)

    orthanc.post("/modalities/node/echo", {})
    query = orthanc.post(
        "/modalities/node/query", {"Level": "Study", "Query": {"PatientName": "SMITH^*"}}
    )
    answers = orthanc.get(f"{query['Path']}/answers?expand&simplify")
    orthanc.post(f"{query['Path']}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})

    assert [a["StudyInstanceUID"] for a in answers] == [STUDY]
    wait_until(
        lambda: len(orthanc.find("Instance", {"StudyInstanceUID": STUDY})) == 5, "five instances"
    )


def test_a_peer_without_the_right_is_told(node: Node, tmp_path: Path) -> None:
    """TPS may not query: its contexts are refused, and the record says why."""
    with pytest.raises(AssertionError):
        run_findscu(node.port, KEYS["STUDY"], tmp_path / "found", calling="TPS")


def test_what_getscu_gets_is_what_was_stored(node: Node, tmp_path: Path) -> None:
    """Byte for byte."""
    run_getscu(node.port, KEYS["IMAGE"], tmp_path / "got")

    ((path,),) = node.rows(f"select path from instances where sop_instance_uid = '{SERIES}.2'")  # noqa: S608
    (got,) = (tmp_path / "got").iterdir()
    assert data_set_of(got) == data_set_of(node.data_dir / path)
