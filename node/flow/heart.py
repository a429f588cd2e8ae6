"""The heart-beat of a worker, in a thread of its own, and the watch on what it stands for.

A duty that waits for a disk, a mail server or a database must not look like a dead worker to the
others; a worker whose loop has stopped must not look alive. So the beat does not wait for the loop,
and ends with it.
"""

import os
import threading
import time
from collections.abc import Callable

from node.containment import Contained
from node.log import get_logger

log = get_logger(__name__)

# The longest duty is to file what a journal of gigabytes holds; it takes minutes on a slow disk.
STUCK_S = 900.0
_STUCK_STATUS = 70  # sysexits.h, EX_SOFTWARE


class Heart:
    """Beats every ``every_s`` while somebody calls `pulse` at least every ``stuck_s``."""

    def __init__(
        self,
        beat: Callable[[], None],
        every_s: float,
        *,
        stuck_s: float = STUCK_S,
        end: Callable[[], None] = lambda: os._exit(_STUCK_STATUS),
    ) -> None:
        self._beat = beat
        self._every_s = every_s
        self._stuck_s = stuck_s
        self._end = end
        self._pulsed_at = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def pulse(self) -> None:
        """Say that the loop goes on."""
        self._pulsed_at = time.monotonic()

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            silent_s = time.monotonic() - self._pulsed_at
            if silent_s > self._stuck_s:
                # To be killed is safe at any moment; the supervisor starts the process again.
                log.error("worker_stuck", seconds=round(silent_s))
                self._end()
                return
            with Contained(log, "beat_failed"):  # a thread's edge: the next may get through
                self._beat()
