"""Whether the process that wrote a segment has ended, so that another may take it.

On one machine the lock tells. Where several machines share the folder it may not hold between them
(``nolock``, ``local_lock``, some FUSE): there a segment of another kernel is taken only after its
signs of life have stopped for the whole of its lease, on our own clock.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node.archive.ingest import journal_format as form
from node.archive.ingest.journal import LEASE_S
from node.archive.ingest.journal_reader import heads, read_at


class Watch:
    """The signs of life one process has seen; keep it between looks."""

    def __init__(
        self,
        *,
        shared: bool = False,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """``shared``: other machines may reach the folder."""
        self._shared = shared
        self._lease_s = lease_s
        self._clock = clock
        self._seen: dict[str, tuple[bytes, float]] = {}
        self._looked_at: float | None = None
        self.told: set[str] = set()
        """Segments that cannot be opened and have been told."""

    def look(self) -> None:
        """Begin a look at every segment: after a long pause nobody counts as silent."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > self._lease_s / 2:
            self._seen.clear()
        self._looked_at = now

    def is_dead(self, path: Path, descriptor: int) -> bool:
        """Whether a segment whose lock we hold has no living owner on another machine."""
        head = heads(descriptor)
        if not self._shared or (head is not None and head.boot == form.boot_id()):
            return True  # the lock of one kernel tells
        # Both heads too: a beat may have become unreadable, and a new epoch is a sign of life.
        beat = read_at(descriptor, 0, form.BEGIN)
        last, since = self._seen.get(path.stem, (None, 0.0))
        if last != beat:
            self._seen[path.stem] = (beat, self._clock())
            return False
        return self._clock() - since >= self._lease_s


@contextmanager
def claimed(path: Path, watch: Watch | None = None) -> Iterator[int | None]:
    """A segment whose process has ended, for us alone; None while its process lives.

    `FileNotFoundError` when somebody else has dealt with it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.stat()  # it was removed by whom we waited for
        yield descriptor if watch is None or watch.is_dead(path, descriptor) else None
    except BlockingIOError:
        yield None
    finally:
        os.close(descriptor)
