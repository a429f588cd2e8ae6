import os
import time
from pathlib import Path

import pytest

from node.archive.upkeep.verify import orphans, verify_files
from tests.unit.archive.delivered import Archive, make_archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """One MR instance received, one object made."""
    archive = make_archive(tmp_path / "var")
    archive.receive()
    archive.make("tps")
    return archive


def _files(archive: Archive) -> list[Path]:
    return [p for name in ("instances", "outputs") for p in (archive.root / name).rglob("*.dcm")]


def test_an_untouched_archive_is_as_it_was_written(archive: Archive) -> None:
    """Every file is read, the total is told, nothing is found."""
    told: list[tuple[int, int]] = []
    audit = verify_files(archive.engine, archive.folder, report=lambda *n: told.append(n))
    assert (audit.ok, audit.files, audit.orphans) == (True, 2, [])
    assert {total for _, total in told} == {2}


@pytest.mark.parametrize("number", [0, 1])
def test_one_changed_bit_is_found(archive: Archive, number: int) -> None:
    """The digest is of the bytes: a flipped bit of equal size names the file."""
    file = _files(archive)[number]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    audit = verify_files(archive.engine, archive.folder)
    assert audit.damaged == [str(file.relative_to(archive.root))]
    assert not audit.ok


@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_file_is_missing(archive: Archive, number: int) -> None:
    """A row without its file is a loss and named as one."""
    file = _files(archive)[number]
    file.unlink()
    audit = verify_files(archive.engine, archive.folder)
    assert audit.missing == [str(file.relative_to(archive.root))]
    assert not audit.ok


def test_a_file_without_a_row_is_an_orphan_once_it_is_old(archive: Archive) -> None:
    """A young one may be about to get its row; an old one was never acknowledged."""
    stray = _files(archive)[0].with_name("1.2.3.0000000000000000.dcm")
    stray.write_bytes(b"left by a crash")
    assert list(orphans(archive.engine, archive.folder)) == []
    old = time.time() - 7200
    os.utime(stray, (old, old))
    assert list(orphans(archive.engine, archive.folder)) == [str(stray.relative_to(archive.root))]
    assert verify_files(archive.engine, archive.folder).ok
