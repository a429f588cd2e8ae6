"""kill -9 at named points: one sCT, nothing acknowledged is lost, the same bytes."""

import time
from pathlib import Path

import pytest

from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

RECEIVING = (
    "journal.written",
    "journal.synced",
    "file.synced",
    "receive.renamed",
    "receive.indexed",
)
WORKING = (
    "intake.settled",
    "intake.asked",
    "collect.done",
    "check.recorded",
    "plan.recorded",
    "synthesise.written",
    "encode.partial",
    "encode.indexed",
    "release.decided",
    "delivery.partial",
    "delivery.sent",
    "delivery.recorded",
)
IN_THE_DEFAULT_RUN = ("encode.partial",)
_SHAPE = (24, 20, 18)
_SPACING_MM = (4.0, 4.0, 4.0)


def _points() -> list[object]:
    slow = (pytest.mark.crash, pytest.mark.slow)
    return [
        pytest.param(p, marks=pytest.mark.crash if p in IN_THE_DEFAULT_RUN else slow)
        for p in (*RECEIVING, *WORKING)
    ]


def _push(node: Node, folder: Path, name: str) -> list[Path]:
    """Send a phantom until the node has taken all of it; what was acknowledged stays."""
    files = mr_series(_SHAPE, _SPACING_MM, name=name).write(folder / name)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        sent = run_storescu(node.dicom_port, files)
        count = checks.acknowledged(sent.stdout + sent.stderr)
        checks.every_acknowledged_is_there(node, files, count)
        if sent.returncode == 0:
            return files
    raise AssertionError(node.log.read_text())


def _crashed(node: Node) -> None:
    wait_until(node.mark.exists, "the crash point", timeout_s=60)


def _delivered(node: Node, tps: Storescp, count: int) -> None:
    def done() -> bool:
        states = [i["state"] for i in node.series()]
        if {"refused", "failed", "kept"} & set(states):
            raise AssertionError(states)
        return states == ["delivered"] * count

    try:
        wait_until(done, "delivered series", timeout_s=60, every_s=0.1)
    except AssertionError:
        states = [(i["state"], i["revision"], i["sentence"]) for i in node.series()]
        raise AssertionError(f"{states}\n{node.said()}") from None


@pytest.mark.interop
@pytest.mark.parametrize("point", _points())
def test_killed_at_a_named_point_the_work_ends_once(
    point: str, tmp_path: Path, new_node: MakeNode, start_storescp: StartStorescp
) -> None:
    """A process dies there, then the whole tree dies there: each series gives exactly one sCT."""
    tps = start_storescp()
    # A series whose sender was cut off must not settle before it is sent again.
    node = new_node(tps, quiet_s=15.0 if point in RECEIVING else 0.5)

    # The process alone dies; the supervisor starts it again.
    node.start(crash_at=point)
    first = _push(node, tmp_path, "first")
    _crashed(node)
    before = checks.snapshot(node)
    _delivered(node, tps, 1)

    # The whole tree dies at the same point, and is started again.
    node.mark.unlink()
    second = mr_series(_SHAPE, _SPACING_MM, name="second").write(tmp_path / "second")
    sent = run_storescu(node.dicom_port, second)
    _crashed(node)
    node.kill_supervisor()
    before |= checks.snapshot(node)
    count = checks.acknowledged(sent.stdout + sent.stderr)
    checks.every_acknowledged_is_there(node, second, count)
    node.start()
    _push(node, tmp_path, "second")
    _delivered(node, tps, 2)

    for item in node.series():
        assert item["instances"] == len(first)
        assert item["revision"] == 1
        checks.one_sct_delivered(node, tps, item["id"])
    checks.nothing_else_arrived(node, tps)
    after = checks.snapshot(node)
    assert all(after[name] == data for name, data in before.items())
    assert node.stop() == 0
