"""A model file fails under a working node: nothing is made of it, and nothing is lost.

What each test does, and what the node did, stands in ``docs/faults.md``.
"""

from pathlib import Path

import pytest

from node.archive.actions import Actions
from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
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


def _wait_until_ready(node: Node) -> None:
    def ready() -> bool:
        said = node.log.read_text(errors="replace")
        return "scp_listening" in said and "worker_ready" in said

    wait_until(ready, "acceptor and worker", timeout_s=PATIENCE_S)


def _taken(node: Node, files: list[Path]) -> None:
    sent = run_storescu(node.dicom_port, files)
    assert checks.acknowledged(sent.stdout + sent.stderr) == len(files), sent.stdout + sent.stderr
    checks.every_acknowledged_is_there(node, files, len(files))


def _delivered_once(node: Node, tps: Storescp, timeout_s: float = PATIENCE_S) -> None:
    item = node.wait_state("delivered", timeout_s=timeout_s)
    checks.one_sct_delivered(node, tps, item["id"])
    checks.nothing_else_arrived(node, tps)


def test_a_model_file_that_is_not_what_its_manifest_says_is_not_run(
    tps: Storescp, new_node: MakeNode, series: list[Path]
) -> None:
    """Another byte: failed, with the reason; put back and run again: delivered."""
    node = new_node(tps)
    model = next((node.folder / "models").rglob("model.onnx"))
    good = model.read_bytes()
    node.start()
    _wait_until_ready(node)
    model.write_bytes(good[:-1] + b"\x00")
    _taken(node, series)
    item = node.wait_state("failed", timeout_s=PATIENCE_S)
    assert "its manifest says" in item["sentence"]
    assert not tps.files()

    model.write_bytes(good)
    Actions(node.engine()).retry(item["id"], who="me")
    _delivered_once(node, tps)
