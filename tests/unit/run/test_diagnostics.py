"""``pctnode check``: what it looks at, and that it says so in its own words alone."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.archive.evidence import conflicts
from node.archive.rows.index import Index
from node.archive.schema.records import StoredInstance
from node.config.settings import load
from node.run import app
from tests.peers.waiting import free_port

NODE_TOML = """
[node]
data_dir = "var"
[inference]
models_dir = "models"
[[peers]]
name = "away"
ae_title = "AWAY"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A node without models whose only peer is not there."""
    (tmp_path / "models").mkdir()
    path = tmp_path / "node.toml"
    path.write_text(NODE_TOML.format(port=free_port()))
    return path


def check(settings_file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "node", "check", "--config", str(settings_file), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.long
def test_it_speaks_for_itself_alone(settings_file: Path) -> None:
    """Of an absent peer it says one sentence with what to do, and no library adds to it."""
    done = check(settings_file)

    assert done.returncode == 4
    assert done.stderr == ""
    (line,) = [line for line in done.stdout.splitlines() if "peer away" in line]
    assert line.startswith("FAIL peer away: away (AWAY at 127.0.0.1:")
    assert "cannot be reached" in line
    assert "ok   received: Everything that was received is filed." in done.stdout


@pytest.mark.long
def test_it_names_what_could_not_be_filed(settings_file: Path) -> None:
    """What was acknowledged and lies aside, and a segment of a journal that nobody can read."""
    settings = load(settings_file, {})
    engine = app.database(settings)
    path, segment = "conflicts/1.2/1.2.3.dcm", "journal/1-2.refused"
    for name in (path, segment):
        file = settings.node.data_dir / name
        file.parent.mkdir(parents=True)
        file.touch()
    stored = StoredInstance(
        sop_instance_uid="1.2.3",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid="1.2",
        path=path,
        size=0,
        sha256="0" * 64,
        received_at=datetime.now(UTC),
    )
    conflicts.record(Index(engine), stored, "PACS", path=path, size=0)
    engine.dispose()

    done = check(settings_file, "--json")

    (said,) = [d for d in json.loads(done.stdout) if d["name"] == "received"]
    assert not said["ok"]
    assert path in said["sentence"]
    assert segment in said["sentence"]
