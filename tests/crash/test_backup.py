"""A backup taken while the node runs, restored into a fresh folder: the same series and sCT."""

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from node.archive.people.audit import By
from node.archive.work.decisions import Decisions
from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = pytest.mark.interop
_SHAPE, _SPACING_MM = (24, 20, 18), (4.0, 4.0, 4.0)
# A machine that is busy is slow, not wrong.
_PATIENCE_S = 300.0


def _pctnode(node: Node, *words: str) -> str:
    """Run a command of the node on its settings; what it prints."""
    command = [sys.executable, "-m", "node", *words, "--config", str(node.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    return done.stdout + done.stderr


def _digests(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def _archived(node: Node, series_id: int) -> list[str]:
    """Every file of the series and of its sCT, below the data folder."""
    outputs = [output.path for output in node.queries().output_files(series_id)]
    return sorted([path for _, path in node.instance_rows()] + outputs)


def _ready(node: Node) -> bool:
    try:
        url = f"http://127.0.0.1:{node.web_port}/readyz"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer)["ok"])
    except OSError:
        return False


def _send(node: Node, files: list[Path]) -> None:
    """Until all of them are taken: the port is open before an acceptor answers."""

    def taken() -> bool:
        return run_storescu(node.dicom_port, files).returncode == 0

    wait_until(taken, "the node to take the series", timeout_s=_PATIENCE_S, every_s=0.5)


def _is_tidy(node: Node) -> bool:
    """Whether the run has put away its work file, which a backup copies, too."""
    return not any((node.data / "work").glob("*.npz"))


def test_a_restored_backup_has_the_series_and_the_sct(
    tmp_path: Path, new_node: MakeNode, start_storescp: StartStorescp
) -> None:
    """The data folder is gone; what was copied serves again, byte for byte, and is sent again."""
    tps: Storescp = start_storescp()
    node = new_node(tps, quiet_s=1)
    node.start()
    files = mr_series(_SHAPE, _SPACING_MM, name="kept").write(tmp_path / "kept")
    _send(node, files)
    item = node.wait_state("delivered", timeout_s=_PATIENCE_S)
    # What is delivered may be there before the last step has ended.
    wait_until(lambda: _is_tidy(node), "the run to end", timeout_s=_PATIENCE_S)
    names = _archived(node, item["id"])
    before = _digests(node.data, names)
    copy = tmp_path / "backup"

    said = _pctnode(node, "backup", str(copy))
    again = _pctnode(node, "backup", str(copy))
    # Received after the backup: not in it.
    late = mr_series(_SHAPE, _SPACING_MM, name="late").write(tmp_path / "late")
    _send(node, late)
    node.kill_supervisor()
    shutil.rmtree(node.data)
    shutil.copytree(copy, node.data)

    assert f"{len(names)} new files" in said
    assert again.startswith("0 new files")
    assert f"{len(names)} files are as they were written" in _pctnode(node, "check", "--deep")
    node.start()
    wait_until(lambda: _ready(node), "the node to be ready", timeout_s=_PATIENCE_S)
    restored = node.wait_state("delivered", timeout_s=_PATIENCE_S)
    assert restored["series_instance_uid"] == item["series_instance_uid"]
    assert _digests(node.data, _archived(node, restored["id"])) == before
    checks.every_acknowledged_is_there(node, files, len(files))

    shutil.rmtree(tps.folder)
    tps.folder.mkdir()
    Decisions(node.engine()).resend(restored["id"], By(who="me"))
    wait_until(lambda: len(tps.files()) == _SHAPE[0], "the sCT again", timeout_s=_PATIENCE_S)
    node.wait_state("delivered", timeout_s=_PATIENCE_S)
    checks.one_sct_delivered(node, tps, restored["id"])
    assert node.stop() == 0
