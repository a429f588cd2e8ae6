"""How many associations a peer has open, over all acceptor processes of a machine.

A place is a lock on one of as many files as the peer may have associations. The kernel frees the
lock of a process that dies, so nothing has to be cleaned up or counted anew.
"""

import fcntl
import os
from pathlib import Path


class Held:
    """One place; freed once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def free(self) -> None:
        """Give it back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    __del__ = free


class Places:
    """The places of all peers below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str, limit: int) -> Held | None:
        """One of ``limit`` places of peer ``name``; None when all are taken."""
        for number in range(limit):
            path = self._folder / f"{name}.{number}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return Held(descriptor)
        return None
