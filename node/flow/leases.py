"""Signs of life of this worker, and the takeover of a worker that gives none."""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from node.archive.work.leases import LEFT, Beat, Leases
from node.domain.errors import Misconfigured
from node.flow import engine
from node.log import get_logger

log = get_logger(__name__)

BEAT_S = 5.0
TIME_TO_LIVE_S = 60.0


class Slot:
    """A numbered place for one worker of this machine: the same number, the same executor id.

    The lock goes with the process, however it dies, so that a restart finds its own place and its
    own unfinished work, and two living processes never share an id. Its file bears the machine's
    name, because several machines may share the folder.
    """

    def __init__(self, folder: Path, machine: str, number: int) -> None:
        self.executor_id = f"{machine}-worker-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / f"{self.executor_id}.lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Misconfigured(
                f"Another worker {number} of {machine} works on this data folder.",
                remedy="Start this one with another --slot, or stop that one.",
            ) from None

    def close(self) -> None:
        """Let go of the place."""
        self._file.close()


class Keeper:
    """Beats for one executor, knows who else lives, and takes over from the dead.

    Silence is counted on our own monotonic clock from when we first saw a beat: no two clocks are
    ever compared, so that one set wrong or set anew kills nobody.
    """

    def __init__(
        self,
        leases: Leases,
        executor_id: str,
        *,
        holder: str,
        time_to_live_s: float = TIME_TO_LIVE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._executor_id = executor_id
        self._holder = holder
        self._time_to_live_s = time_to_live_s
        self._clock = clock
        self._seen: dict[str, tuple[float, float]] = {}
        """Executor id to its beat and when, on our clock, that beat was first seen."""
        self._looked_at: float | None = None
        self._living: tuple[Beat, ...] = ()

    def beat(self) -> None:
        """Give a sign of life."""
        self._leases.beat(
            self._executor_id, holder=self._holder, version=engine.APPLICATION_VERSION
        )

    def tell(self, facts: dict[str, Any]) -> None:
        """Say what this machine has."""
        self._leases.tell(self._executor_id, facts)

    def take_over(self) -> int:
        """Make the work of silent executors ours to run; return how many workflows."""
        taken = 0
        for beat in self._look():
            taken += engine.take_over(beat.executor_id)
            self._leases.mark_taken_over(beat)
            log.warning("executor_taken_over", executor=beat.executor_id, workflows=taken)
        return taken

    def leads(self) -> bool:
        """Whether no living worker runs a newer version: an older one begins nothing any more."""
        ours = int(engine.APPLICATION_VERSION)
        return all(int(beat.version) <= ours for beat in self._living)

    def living(self) -> frozenset[str]:
        """Executors that may still be at work, this one among them."""
        return frozenset({self._executor_id, *(beat.executor_id for beat in self._living)})

    def leave(self) -> None:
        """Say that this executor ended on purpose: others may take what it left at once."""
        self._leases.leave(self._executor_id)

    def _look(self) -> list[Beat]:
        """Who is dead and was not taken over yet; remembers who lives."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > self._time_to_live_s / 2:
            self._seen.clear()  # we slept, and nobody could show us a sign of life meanwhile
        self._looked_at = now
        others = [b for b in self._leases.beats() if b.executor_id != self._executor_id]
        dead = [beat for beat in others if self._silent(beat, now)]
        self._living = tuple(beat for beat in others if beat not in dead)
        return [beat for beat in dead if not beat.taken_over]

    def _silent(self, beat: Beat, now: float) -> bool:
        last, since = self._seen.get(beat.executor_id, (None, now))
        if last != beat.beat_at:
            self._seen[beat.executor_id] = (beat.beat_at, now)
            since = now
        return beat.beat_at == LEFT or now - since >= self._time_to_live_s
