"""Disk, database, memory, model and process fail under a working node: it waits, and loses nothing.

What each test does, and what the node did, stands in ``docs/faults.md``.
"""

import resource
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from node.archive.people.audit import By
from node.archive.work.decisions import Decisions
from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.tools import need_tool
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash, pytest.mark.slow]
_SHAPE = (24, 20, 18)
# A machine that runs other tests as well takes its time to start a node.
PATIENCE_S = 180.0
_SPACING_MM = (4.0, 4.0, 4.0)


@pytest.fixture
def tps(start_storescp: StartStorescp) -> Storescp:
    """A destination that takes everything."""
    return start_storescp()


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Files of an MR series."""
    return mr_series(_SHAPE, _SPACING_MM, name="faults").write(tmp_path / "mr")


@pytest.fixture
def own_disk(tps: Storescp, new_node: MakeNode) -> Iterator[Node]:
    """A node with a small disk of its own; only root may mount one."""
    node = new_node(tps, quiet_s=2)
    node.data.mkdir()
    mount = [need_tool("mount"), "-t", "tmpfs", "-o", "size=24m", "none", str(node.data)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a disk needs root")
    try:
        node.start()
        _wait_until_ready(node)
        yield node
        node.stop()
    finally:
        subprocess.run([need_tool("umount"), "--lazy", str(node.data)], check=True)


def _wait_until_ready(node: Node) -> None:
    def ready() -> bool:
        said = node.log.read_text(errors="replace")
        return "scp_listening" in said and "worker_ready" in said

    wait_until(ready, "acceptor and worker", timeout_s=PATIENCE_S)


def _refused(node: Node, files: list[Path]) -> str:
    """Send what the node cannot take now: no instance is acknowledged."""
    sent = run_storescu(node.dicom_port, files)
    said = sent.stdout + sent.stderr
    assert checks.acknowledged(said) == 0, said
    return said


def _taken(node: Node, files: list[Path]) -> None:
    sent = run_storescu(node.dicom_port, files)
    assert checks.acknowledged(sent.stdout + sent.stderr) == len(files), sent.stdout + sent.stderr
    checks.every_acknowledged_is_there(node, files, len(files))


def _delivered_once(node: Node, tps: Storescp, timeout_s: float = PATIENCE_S) -> None:
    item = node.wait_state("delivered", timeout_s=timeout_s)
    checks.one_sct_delivered(node, tps, item["id"])
    checks.nothing_else_arrived(node, tps)


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_a_full_disk_refuses_and_then_goes_on(
    own_disk: Node, tps: Storescp, series: list[Path]
) -> None:
    """Full while it receives: 0xA700. Full while it works: it waits. Free again: delivered."""
    filler = own_disk.data / "filler"
    _fill(filler)
    said = _refused(own_disk, series)
    assert "OutOfResources" in said.replace(" ", ""), said
    filler.unlink()
    _taken(own_disk, series)
    _fill(filler)  # before the series is quiet
    wait_until(
        lambda: "step_short_of_resources" in own_disk.said() or "duty_failed" in own_disk.said(),
        "the worker to notice",
        timeout_s=PATIENCE_S,
    )
    assert {i["state"] for i in own_disk.series()} <= {"receiving", "queued", "running"}
    filler.unlink()
    _delivered_once(own_disk, tps)


def test_a_disk_that_takes_no_writes_refuses_and_then_goes_on(
    tps: Storescp, new_node: MakeNode, series: list[Path]
) -> None:
    """Every write of the acceptor fails, as on a disk turned read-only: 0xA700, then delivered."""
    node = new_node(tps, quiet_s=2)
    node.start()
    _wait_until_ready(node)
    acceptor = node.children()["scp-0"]
    limits = resource.prlimit(acceptor, resource.RLIMIT_FSIZE)
    resource.prlimit(acceptor, resource.RLIMIT_FSIZE, (0, limits[1]))
    _refused(node, series)
    resource.prlimit(acceptor, resource.RLIMIT_FSIZE, limits)
    _taken(node, series)
    _delivered_once(node, tps)


def test_a_slow_database_only_takes_longer(
    tps: Storescp, new_node: MakeNode, series: list[Path]
) -> None:
    """Another program holds the SQLite file for seconds while instances arrive."""
    node = new_node(tps, quiet_s=2)
    node.start()
    _wait_until_ready(node)
    database = node.data / "node.sqlite"
    with closing(sqlite3.connect(database, timeout=60, check_same_thread=False)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(4.0, other.execute, ["COMMIT"])
        release.start()
        _taken(node, series)
        release.join()
    _delivered_once(node, tps)


def test_too_little_memory_is_waited_out(
    tps: Storescp, new_node: MakeNode, series: list[Path]
) -> None:
    """Memory that cannot be had, as on a full GPU: the step waits; with memory it ends."""
    node = new_node(tps, quiet_s=2)
    node.start()
    _wait_until_ready(node)
    worker = node.children()["worker-0"]
    _taken(node, series)
    node.wait_state("queued", "running", timeout_s=PATIENCE_S)
    used = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{worker}/status").read_text().splitlines()
        if line.startswith("VmSize")
    )
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    resource.prlimit(worker, resource.RLIMIT_AS, (used, limits[1]))
    wait_until(
        lambda: "step_short_of_resources" in node.log.read_text() or "step_retried" in node.said(),
        "the step to find no memory",
        timeout_s=PATIENCE_S,
    )
    resource.prlimit(worker, resource.RLIMIT_AS, limits)
    _delivered_once(node, tps)


@pytest.mark.parametrize("what", ["changed", "cut"])
def test_a_model_file_that_is_not_what_its_manifest_says_is_not_run(
    what: str, tps: Storescp, new_node: MakeNode, series: list[Path]
) -> None:
    """Another byte, or cut: failed, with the reason; put back and run again: delivered."""
    node = new_node(tps)
    model = next((node.folder / "models").rglob("model.onnx"))
    good = model.read_bytes()
    node.start()
    _wait_until_ready(node)
    model.write_bytes(good[:-1] + b"\x00" if what == "changed" else good[: len(good) // 2])
    _taken(node, series)
    item = node.wait_state("failed", timeout_s=PATIENCE_S)
    assert "its manifest says" in item["sentence"]
    assert not tps.files()

    model.write_bytes(good)
    Decisions(node.engine()).retry(item["id"], By(who="me"))
    _delivered_once(node, tps)
