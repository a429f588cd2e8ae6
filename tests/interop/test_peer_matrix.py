"""Verification and storage, each with every peer at hand: service x peer, one cell a test."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pydicom
import pytest

from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.echo import echo
from node.scu.store import Outgoing, send
from tests.interop.receiving import Node, running_node
from tests.peers import processes
from tests.peers.dcmtk import run_dcmsend, run_echoscu, run_storescu, start_storescp
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = pytest.mark.interop


_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that knows PACS."""
    yield from running_node(tmp_path_factory.mktemp("matrix") / "var")


def run_app(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one of pynetdicom's programs."""
    return subprocess.run(
        [sys.executable, "-m", "pynetdicom", name, *arguments],
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def app_echo(port: int) -> "subprocess.CompletedProcess[str]":
    """Verify with pynetdicom's echoscu."""
    return run_app("echoscu", "127.0.0.1", str(port), "-aet", "PACS", "-aec", "PCTNODE")


def app_store(port: int, files: Sequence[Path]) -> "subprocess.CompletedProcess[str]":
    """Send with pynetdicom's storescu, which offers every storage class."""
    titles = ("-aet", "PACS", "-aec", "PCTNODE")
    return run_app("storescu", "127.0.0.1", str(port), str(files[0].parent), *titles)


ECHOES: dict[str, Callable[[int], "subprocess.CompletedProcess[str]"]] = {
    "DCMTK echoscu": run_echoscu,
    "pynetdicom echoscu": app_echo,
}
STORES: dict[str, Callable[[int, Sequence[Path]], "subprocess.CompletedProcess[str]"]] = {
    "DCMTK storescu": lambda port, files: run_storescu(port, files, options=["-R"]),
    "DCMTK dcmsend": run_dcmsend,
    "pynetdicom storescu": app_store,
}


@pytest.mark.parametrize("peer", ECHOES)
def test_verification_as_provider(node: Node, peer: str) -> None:
    """The peer's echo is answered."""
    done = ECHOES[peer](node.port)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("peer", STORES)
def test_storage_as_provider(node: Node, tmp_path: Path, peer: str) -> None:
    """Three objects of the peer are kept with their bytes."""
    series = f"1.2.96.{list(STORES).index(peer)}"
    files = [
        write_image(tmp_path / "mr" / f"{n}.dcm", mr_image(n, series=series)) for n in (1, 2, 3)
    ]

    done = STORES[peer](node.port, files)

    assert done.returncode == 0, done.stderr
    kept = [path for path in node.files() if series in path.parts]
    assert sorted(map(data_set_of, kept)) == sorted(map(data_set_of, files))


def start_app_scp(folder: Path) -> tuple[int, Callable[[], None]]:
    """Start pynetdicom's storescp; its port and how to end it."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-od", str(folder)]
    process = processes.start(
        [*command, "-aet", "TPS"], folder.parent / "app.log", env=_ENVIRONMENT
    )
    wait_until(lambda: is_listening(port), "pynetdicom's storescp", timeout_s=60)
    return port, lambda: _end(process)


def start_dcmtk_scp(folder: Path) -> tuple[int, Callable[[], None]]:
    """Start DCMTK's storescp."""
    server = start_storescp(folder)
    return server.port, server.stop


def _end(process: "subprocess.Popen[bytes]") -> None:
    processes.stop(process)


SERVERS: dict[str, Callable[[Path], tuple[int, Callable[[], None]]]] = {
    "DCMTK storescp": start_dcmtk_scp,
    "pynetdicom storescp": start_app_scp,
}


@pytest.mark.parametrize("peer", SERVERS)
def test_verification_and_storage_as_user(tmp_path: Path, peer: str) -> None:
    """The peer answers our echo, and gets equal objects."""
    folder = tmp_path / "received"
    port, end = SERVERS[peer](folder)
    target = Peer(
        name="tps",
        ae_title=AETitle("TPS"),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )
    sent = [write_image(tmp_path / "ct" / f"{n}.dcm", mr_image(n)) for n in (1, 2, 3)]
    try:
        echoed = echo(target, calling_ae="PCTNODE")
        outcome = send(
            target,
            [_outgoing(path) for path in sent],
            calling_ae="PCTNODE",
            on_status=lambda _status: None,
        )
    finally:
        end()

    assert echoed.ok, echoed.sentence
    assert outcome.sent == 3
    arrived = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, folder.iterdir())}
    for path in sent:
        original = pydicom.dcmread(path)
        assert arrived[original.SOPInstanceUID] == original


def _outgoing(path: Path) -> Outgoing:
    read = pydicom.dcmread(path, stop_before_pixels=True)
    return Outgoing(
        sop_class_uid=str(read.SOPClassUID),
        sop_instance_uid=str(read.SOPInstanceUID),
        transfer_syntax_uid=str(read.file_meta.TransferSyntaxUID),
        path=path,
    )
