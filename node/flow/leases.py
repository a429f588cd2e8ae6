"""Signs of life of this worker, and the takeover of a worker that gives none."""

import fcntl
import socket
from pathlib import Path
from typing import IO

from node.archive.leases import Leases
from node.domain.errors import Misconfigured
from node.flow import engine
from node.log import get_logger

log = get_logger(__name__)

BEAT_S = 5.0
TIME_TO_LIVE_S = 60.0


class Slot:
    """A numbered place for one worker of this machine: the same number, the same executor id.

    The lock goes with the process, however it dies, so that a restart finds its own place and its
    own unfinished work, and two living processes never share an id.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.executor_id = f"{socket.gethostname()}-worker-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / f"worker-{number}.lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Misconfigured(
                f"Another worker {number} works on this data folder.",
                remedy="Start this one with another --slot, or stop that one.",
            ) from None

    def close(self) -> None:
        """Let go of the place."""
        self._file.close()


class Keeper:
    """Beats for one executor and takes over from the dead."""

    def __init__(self, leases: Leases, executor_id: str, *, holder: str) -> None:
        self._leases = leases
        self._executor_id = executor_id
        self._holder = holder

    def beat(self) -> None:
        """Give a sign of life."""
        self._leases.beat(self._executor_id, role="worker", holder=self._holder)

    def take_over(self, *, time_to_live_s: float = TIME_TO_LIVE_S) -> int:
        """Make the work of silent executors ours to run; return how many workflows."""
        taken = 0
        for executor_id in self._leases.dead(time_to_live_s):
            if executor_id == self._executor_id:
                continue
            taken += engine.take_over(executor_id)
            self._leases.mark_taken_over(executor_id, time_to_live_s)
            log.warning("executor_taken_over", executor=executor_id, workflows=taken)
        return taken

    def release(self) -> None:
        """Say that this executor ended on purpose with nothing left."""
        self._leases.release(self._executor_id)
