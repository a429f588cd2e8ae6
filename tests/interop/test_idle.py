"""What a running node costs while nothing happens, and what it never loads."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import REPOSITORY, Node, make_node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

TRAINING = ("torch", "monai")
WATCH_S = 20.0
# Everything a role loads, at once: what a process imports later it can import here.
ROOMS = (
    "node.cli", "node.run.app", "node.convert", "node.run.processes", "node.demo.run",
    "node.run.diagnostics",
    "node.scp.server", "node.scu.store", "node.flow.worker", "node.flow.client", "node.web.app",
    "node.infer.generator", "node.infer.golden", "node.archive.ingest.receive",
    "node.dicom.output_checks",
)  # fmt: skip


@pytest.fixture
def tps(start_storescp: StartStorescp) -> Storescp:
    """Run a destination."""
    return start_storescp()


@pytest.fixture
def node(tmp_path: Path, tps: Storescp) -> Iterator[Node]:
    """Run a node with two acceptors, as the default settings have it."""
    running = make_node(tmp_path / "node", tps, acceptors=2)
    running.start()
    yield running
    running.stop()


@pytest.mark.interop
def test_an_idle_node_costs_next_to_nothing(node: Node, tmp_path: Path) -> None:
    """After its work, all processes together use less than 5 % of one core, and no torch."""
    sent = run_storescu(node.dicom_port, mr_series().write(tmp_path / "mr"))
    assert sent.returncode == 0
    node.wait_state("delivered")
    wait_until(node.healthy, "the web process")
    assert node.process is not None
    processes = [node.process.pid, *node.children().values()]

    begun, spent = time.monotonic(), _cpu_s(processes)
    wait_until(lambda: time.monotonic() - begun > WATCH_S, "time to pass", timeout_s=2 * WATCH_S)
    share = (_cpu_s(processes) - spent) / (time.monotonic() - begun)

    assert len(processes) == 5
    assert share < 0.05, f"{share:.1%} of a core"
    assert not [line for pid in processes for line in _libraries(pid) if _is_training(line)]


def test_no_room_of_the_node_needs_a_training_library() -> None:
    """Importing every room loads neither torch nor monai."""
    imports = "\n".join(f"import {room}" for room in ROOMS)
    code = f"import sys\n{imports}\nprint(sorted({set(TRAINING)!r} & set(sys.modules)))"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ) | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def _cpu_s(processes: list[int]) -> float:
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")


def _libraries(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/maps").read_text().splitlines()


def _is_training(line: str) -> bool:
    return any(f"/{name}/" in line for name in TRAINING)
