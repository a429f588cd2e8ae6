"""The whole node with two acceptors and TLS: peers that come and go, and objects that are kept."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from node.archive.query.queries import Queries
from node.cli import main
from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import run_dcmsend, run_echoscu, start_storescp
from tests.peers.pki import Authority
from tests.peers.waiting import free_port, wait_until
from tests.phantoms.small_mr import mr_image, write_image

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of it lies."""
    return tmp_path_factory.mktemp("running")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    """The hospital's authority."""
    return Authority(folder / "pki")


@pytest.fixture(scope="module")
def tls_port() -> int:
    """Where the node serves TLS."""
    return free_port()


@pytest.fixture(scope="module")
def collector() -> Iterator[socket.socket]:
    """A syslog collector for datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(60)
        yield bound


@pytest.fixture(scope="module")
def node(
    folder: Path, authority: Authority, tls_port: int, collector: socket.socket
) -> Iterator[Node]:
    """Run a planning system, and a node with a port for TLS and a second title."""
    tps = start_storescp(folder / "received")
    made = make_node(folder / "node", tps)
    ours = authority.issue("node")
    tls = f'tls = {{ port = {tls_port}, certificate = "{ours.certificate}", '
    tls += f'key = "{ours.key}", ca = "{ours.ca}" }}\ncalled_ae_titles = ["MRSCT"]'
    text = made.config.read_text().replace("acceptors = 1", f"acceptors = 2\n{tls}")
    audit = (
        f'[audit]\nsyslog = "127.0.0.1"\nprotocol = "udp"\nport = {collector.getsockname()[1]}\n'
    )
    made.config.write_text(text + audit)
    made.start()
    # The ports are open before the acceptors answer: on a busy machine long before.
    wait_until(lambda: made.log.read_text().count("scp_listening") == 2, "both", timeout_s=180)
    yield made
    made.stop()
    tps.stop()


def test_a_peer_comes_and_goes_while_the_node_runs(
    node: Node, authority: Authority, tls_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused, added by command, taken by each acceptor, changed to TLS, removed: no restart."""
    config = ["--config", str(node.config)]
    options = authority.issue("scanner").dcmtk()

    before = run_echoscu(node.dicom_port, calling="NEW")
    assert main(["peers", "add", "new", "NEW", "127.0.0.1", "104", *config]) == 0
    added = [run_echoscu(node.dicom_port, calling="NEW", called="MRSCT") for _ in range(4)]
    assert main(["peers", "change", "new", "tls=true", *config]) == 0
    plain = run_echoscu(node.dicom_port, calling="NEW")
    secure = run_echoscu(tls_port, calling="NEW", options=options)
    assert main(["peers", "remove", "new", *config]) == 0
    removed = run_echoscu(tls_port, calling="NEW", options=options)
    assert main(["peers", "echo", "tps", *config]) == 0
    told = capsys.readouterr().out

    assert before.returncode != 0
    assert [done.returncode for done in added] == [0] * 4, added
    assert plain.returncode != 0
    assert secure.returncode == 0, secure.stderr
    assert removed.returncode != 0
    assert "tps answers as TPS" in told
    engine = node.engine()
    rules = [a["rule"] for a in Queries(engine).associations() if not a["accepted"]]
    engine.dispose()
    assert rules == ["calling AE title", "peer uses TLS", "calling AE title"]


def test_a_refused_association_is_an_audit_message(node: Node, collector: socket.socket) -> None:
    """The node's start comes first, then the stranger, with where it came from."""
    run_echoscu(node.dicom_port, calling="STRANGER")

    messages: list[str] = []
    while not any("STRANGER at 127.0.0.1" in message for message in messages):
        messages.append(collector.recv(65535).decode())

    assert "Application Start" in messages[0]
    assert "Node Authentication" in messages[-1]


def test_a_planning_ct_and_its_structures_are_kept(node: Node, tmp_path: Path) -> None:
    """Dcmsend pushes both; nothing is made of them, and the page says why."""
    ct, structures = mr_image(1, series="1.2.7"), mr_image(1, series="1.2.8")
    ct.SOPClassUID, ct.Modality = CTImageStorage, "CT"
    structures.SOPClassUID, structures.Modality = RTStructureSetStorage, "RTSTRUCT"
    for name in ("Rows", "Columns", "PixelData", "BitsAllocated", "BitsStored", "HighBit"):
        del structures[name]
    files = [write_image(tmp_path / "ct.dcm", ct), write_image(tmp_path / "rs.dcm", structures)]

    sent = run_dcmsend(node.dicom_port, files)
    items = node.wait_states(2, "kept", "refused", "failed")

    assert sent.returncode == 0, sent.stderr
    assert {item["sentence"] for item in items} == {
        "Kept: no synthetic CT is made of CT.",
        "Kept: no synthetic CT is made of RTSTRUCT.",
    }
