"""Which processes have associations open: a locked file each, that goes with the process.

As with the journal, the lock and not the name says whether the process lives, so that every machine
that shares the data folder sees it at once.
"""

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from typing import Self

from node.archive.files import Folder

_FOLDER = ("locks", "doors")


class Holder:
    """What others see of this process."""

    def __init__(self, folder: Folder) -> None:
        place = folder.root.joinpath(*_FOLDER)
        place.mkdir(parents=True, exist_ok=True)
        machine = "".join(c for c in socket.gethostname() if c.isalnum() or c in ".-")[:60]
        self.name = f"{machine}-{os.getpid()}-{secrets.token_hex(4)}"
        self._path = place / f"{self.name}.lock"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Say that this process has no association any more; again changes nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_alive(folder: Folder, name: str) -> bool:
    """Whether the process of that name still has its lock; the file of a dead one is removed."""
    if not name or "/" in name:
        return False
    path = folder.root.joinpath(*_FOLDER, f"{name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        with suppress(FileNotFoundError):
            path.unlink()
        return False
    finally:
        os.close(descriptor)
