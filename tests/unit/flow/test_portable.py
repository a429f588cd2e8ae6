"""What a database row can make the engine do."""

import base64
import pickle
import re
import subprocess
import sys
from pathlib import Path

import dbos
import pytest
from dbos import _serialization

from node.flow import engine
from node.flow.portable import NotPortable


def _work(url: str, witness: Path) -> list[str]:
    command = [sys.executable, "-m", "tests.unit.flow.hostile_row", url, str(witness)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.split()


@pytest.mark.long
def test_a_row_that_is_a_program_is_not_run_and_holds_up_nobody(tmp_path: Path) -> None:
    """A pickle in the engine's table makes nothing happen; the next workflow is served."""
    witness = tmp_path / "ran"
    statuses = _work(f"sqlite:///{tmp_path / 'engine.sqlite'}", witness)
    assert not witness.exists()
    assert statuses == ["ERROR", "SUCCESS"]


@pytest.mark.long
@pytest.mark.postgres
def test_a_row_of_postgresql_is_not_run_either(tmp_path: Path, database_url: str) -> None:
    """The same on the other database."""
    witness = tmp_path / "ran"
    witness.parent.chmod(0o777)
    statuses = _work(database_url.replace("postgresql://", "postgresql+psycopg://"), witness)
    assert not witness.exists()
    assert statuses == ["ERROR", "SUCCESS"]


def test_the_decoder_of_pickles_raises_and_none_is_written() -> None:
    """Whatever instance of it the engine holds."""
    assert engine.APPLICATION
    for native in (_serialization.DBOSDefaultSerializer, _serialization.DefaultSerializer()):
        with pytest.raises(NotPortable):
            native.deserialize(base64.b64encode(pickle.dumps(1)).decode())
        assert native.serialize(ValueError("it")) == '"ValueError"'


def test_the_engine_reaches_pickle_in_one_place() -> None:
    """A version that unpickles elsewhere must be looked at before it is taken."""
    folder = Path(dbos.__file__).parent
    words = re.compile(
        r"\b(import\s+(pickle|cloudpickle|dill|jsonpickle|marshal|shelve)|eval\(|exec\()"
    )
    found = {path.name for path in folder.rglob("*.py") if words.search(path.read_text())}
    assert found == {"_serialization.py"}
