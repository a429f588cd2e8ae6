"""Which files are to be removed: written down before they go, so that a crash removes no other."""

from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from node.archive.files import Folder
from node.archive.schema import tables as t


def listed_file(folder: Folder, path: str) -> dict[str, Any]:
    """Which file is meant: another of that name may be received before this one is removed."""
    values = {"path": path, "inode": "", "mtime_ns": 0, "at": t.db_clock()}
    with suppress(FileNotFoundError):
        state = folder.path(PurePosixPath(path)).stat()
        # As text: an inode number is unsigned, and no database's integer is.
        values |= {"inode": str(state.st_ino), "mtime_ns": state.st_mtime_ns}
    return values
