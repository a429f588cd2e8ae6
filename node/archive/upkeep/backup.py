"""A copy of databases and files from which a node can start, taken while it runs.

The journal first: what was acknowledged by then lies in its copy, or in the database's. Databases
next: every file a row knows was on the disk before its row, and never changes, so that
files copied afterwards are all there. The engine's before ours: what our rows say is due and the
engine does not know is asked for again, never the other way round.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from node.archive.files import CONFLICTS, INSTANCES, fsync_folder
from node.archive.ingest.journal import JOURNAL
from node.archive.ingest.recovery import is_whole
from node.archive.upkeep.verify import OUTPUTS

# Work files too: a run in flight goes on from them.
FOLDERS = (INSTANCES, CONFLICTS, OUTPUTS, "work")
# Copies of a segment that is written meanwhile; the last one is kept as it is.
_TRIES = 5


def copy_archive(
    root: Path,
    databases: Sequence[Path],
    target: Path,
    *,
    report: Callable[[int], None] = lambda _files: None,
) -> int:
    """Copy SQLite ``databases`` in that order, then the files below ``root``; return how many.

    A file that is there already, of equal size and time, is not copied again: the next is quick.
    """
    target.mkdir(parents=True, exist_ok=True)
    _copy_journal(root / JOURNAL, target / JOURNAL)
    for database in databases:
        if database.exists():
            _copy_database(database, target / database.name)
    copied = 0
    for source in _files(root):
        copied += _copy_file(source, target / source.relative_to(root))
        report(copied)
    return copied


def _copy_journal(source: Path, target: Path) -> None:
    """Copy every segment anew; those of an earlier copy that are gone would be filed once more.

    One that is written meanwhile is copied again, until its copy can be read to the end.
    """
    shutil.rmtree(target, ignore_errors=True)
    for segment in sorted(source.glob("*")):
        for _ in range(_TRIES):
            copy = target / segment.name
            copy.unlink(missing_ok=True)
            if not _copy_file(segment, copy) or _is_whole(copy):
                break


def _is_whole(copy: Path) -> bool:
    with copy.open("rb") as file:
        return is_whole(file.fileno())


def _copy_database(source: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(part)) as copy:
        live.backup(copy)
    _sync(part)
    part.replace(target)
    fsync_folder(target.parent)


def _files(root: Path) -> Iterator[Path]:
    for name in FOLDERS:
        for folder, _, names in os.walk(root / name):
            yield from (Path(folder, file) for file in sorted(names))


def _copy_file(source: Path, target: Path) -> bool:
    try:
        if target.exists() and _state(target) == _state(source):
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        shutil.copy2(source, part)
    except FileNotFoundError:  # delivered long ago and removed since, or work that has ended
        return False
    _sync(part)
    part.replace(target)
    return True


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
