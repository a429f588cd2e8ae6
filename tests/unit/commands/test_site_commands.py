"""Peers and routes from a shell."""

from pathlib import Path

import pytest

from node.cli import main
from tests.phantoms.tiny_onnx import write_affine_model

CONFIG = """
[[peers]]
name = "pacs"
ae_title = "PACS"
host = "10.0.0.5"
port = 104
may = ["send"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A site with one peer and one model."""
    file = tmp_path / "node.toml"
    file.write_text(CONFIG)
    write_affine_model(tmp_path / "onnx", slope=0.5, intercept=-300.0, spacing_mm=4.0)
    return file


def run(config: Path, *words: str) -> int:
    """Give a command."""
    return main([*words, "--config", str(config)])


def test_a_site_is_built_changed_and_carried_elsewhere(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Add, change, export, import, history and remove, each in words."""
    (model,) = [p.name for p in (tmp_path / "onnx").iterdir() if p.is_dir()]
    saved = tmp_path / "site.toml"
    add = ["peers", "add", "tps", "TPS", "10.0.0.9", "104", "--may", "query"]

    assert run(config, *add, "--set", "max_associations=3", 'accept=["MR"]') == 0
    assert run(config, "peers", "change", "tps", "port=11112", "max_associations=") == 0
    route = ["routes", "add", "head", "--model", model, "--deliver-to", "tps", "--from", "pacs"]
    assert run(config, *route, "--when", "scanner=Skyra*") == 0
    assert run(config, "routes", "change", "head", "release=signature") == 0
    assert run(config, "site", "export", str(saved)) == 0
    assert run(config, "routes", "remove", "head") == 0
    capsys.readouterr()
    assert run(config, "site", "import", str(saved)) == 0
    imported = capsys.readouterr().out
    assert run(config, "peers", "list") == 0
    assert run(config, "site", "history") == 0
    told = capsys.readouterr().out

    assert imported == "Route head added.\n"
    assert "tps  TPS  10.0.0.9  11112  query  database" in told
    assert "(command)  change  peer  tps" in told
    text = saved.read_text()
    assert 'accept = ["MR"]' in text
    assert "max_associations = 0" in text
    assert 'release = "signature"' in text


def test_a_fault_is_one_sentence_and_status_2(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and what to do."""
    assert run(config, "peers", "change", "pacs", "port=1") == 2
    assert run(config, "peers", "change", "nobody", "port=1") == 2
    assert run(config, "peers", "change", "nobody", "port") == 2
    assert run(config, "peers", "add", "x", "PACS", "10.0.0.9", "104") == 2

    faults = capsys.readouterr().err.splitlines()

    assert "comes from the settings file" in faults[0]
    assert "There is no peer 'nobody'" in faults[1]
    assert "is not key=value" in faults[2]
    assert "AE title of peer 'pacs'" in faults[3]
