"""What is installed with the node: pinned, each under a permissive licence."""

import re
from importlib import metadata
from pathlib import Path

import pytest

_LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
_PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)(?:\s*;.*)?")
_COPYLEFT = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
# LGPL, used as an unchanged library; its text says GPL as well.
_LESSER = re.compile(r"LGPL|Lesser General Public", re.IGNORECASE)


def _lines() -> list[str]:
    whole = _LOCK.read_text().replace("\\\n", " ")
    lines = (line.split("#")[0].split(" --hash=")[0].strip() for line in whole.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def test_every_dependency_has_the_digest_of_its_file() -> None:
    """What an index serves under a name and version is what was tested, or is not installed."""
    whole = _LOCK.read_text().replace("\\\n", " ")
    pins = [line for line in whole.splitlines() if line and not line.startswith("#")]
    assert pins
    assert [pin for pin in pins if not re.search(r" --hash=sha256:[0-9a-f]{64}", pin)] == []


def test_every_dependency_is_pinned_exactly() -> None:
    """An installation is what was tested: no range, no name alone."""
    assert [line for line in _lines() if not _PIN.fullmatch(line)] == []


@pytest.mark.parametrize("name", [m[1] for line in _lines() if (m := _PIN.fullmatch(line))])
def test_no_dependency_is_copyleft(name: str) -> None:
    """Licence field and classifiers of what is installed; the GPL would bind the node."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed on this platform")
    licence = about["License-Expression"] or (about["License"] or "")[:200]
    said = [licence, *(c for c in about.get_all("Classifier") or [] if c.startswith("License ::"))]
    assert not [s for s in said if _COPYLEFT.search(s) and not _LESSER.search(s)], said
