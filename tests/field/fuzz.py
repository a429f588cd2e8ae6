"""Fuzz of meaning: series that arrive as in the field, and a judge that knows what was told.

``python -m tests.field.fuzz --series 2000`` prints its seed and a line of JSON every hundred series
and for every one that went wrong; ``--seed S --only N`` tells one story again. One node with two
acceptors and two called AE titles with different policies; several senders at once.
"""

import argparse
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.harness import Node
from tests.field.hospital import UNDER_WAY, ask, hospital
from tests.field.playing import Fault, Played, faults, play
from tests.field.recorder import Recorder, recording
from tests.field.stories import QUIET_S, story

SENDERS, UNDER_WAY_AT_ONCE = 24, 40
_EVERY_S = 1.0
_RESTED_S = QUIET_S + 2.0
# A busy machine is slow, not wrong: one that has come to a stop is found as well.
STUCK_AFTER_S = 600.0
_RECENT = 500


@dataclass(slots=True, kw_only=True)
class Fuzz:
    """A run: what is under way, and what went wrong."""

    node: Node
    tps: Recorder
    seed: int
    done: list[Played] = field(default_factory=list)
    found: list[Fault] = field(default_factory=list)
    _resting: list[Played] = field(default_factory=list)
    _looked: set[str] = field(default_factory=set)
    """Stories of which nothing was under way at the last look."""

    def run(self, numbers: Sequence[int]) -> None:
        """Tell the stories of those numbers, and judge each once it is at rest."""
        began, waiting = time.monotonic(), list(numbers)
        playing: list[Future[Played]] = []
        with ThreadPoolExecutor(SENDERS) as senders:
            while waiting or playing or self._resting:
                while waiting and len(playing) + len(self._resting) < UNDER_WAY_AT_ONCE:
                    told = story(self.seed, waiting.pop(0))
                    playing.append(senders.submit(play, self.node, self.tps, told))
                time.sleep(_EVERY_S)  # between two looks
                self._resting += [future.result() for future in playing if future.done()]
                playing = [future for future in playing if not future.done()]
                self._look(began, len(numbers))
        self._again()

    def _look(self, began: float, count: int) -> None:
        """Judge the stories whose series are all at rest."""
        if not self._resting:
            return
        wanted = "&".join(f"state={state}" for state in UNDER_WAY)
        moving = _by_uid(ask(self.node, f"/api/series?limit=1000&{wanted}"))
        recent = _by_uid(ask(self.node, f"/api/series?limit={_RECENT}"))
        now, still, looked = time.monotonic(), [], set()
        for played in self._resting:
            name, silent_s = played.story.name, now - played.ended_at
            at_rest = silent_s > _RESTED_S and not moving.keys() & set(played.series)
            if (at_rest and name in self._looked) or silent_s > STUCK_AFTER_S:
                played.items = {uid: recent[uid] for uid in played.series if uid in recent}
                self._judge(played, began, count)
                continue
            looked |= {name} if at_rest else set()
            still.append(played)
        self._resting, self._looked = still, looked

    def _judge(self, played: Played, began: float, count: int) -> None:
        self.done.append(played)
        for fault in faults(played, self.tps):
            self.found.append(fault)
            _say(asdict(fault))
        if len(self.done) % 100 == 0 or len(self.done) == count:
            _say(self.report(began))

    def _again(self) -> None:
        """Nothing may have been delivered after a story was judged."""
        known = {(fault.story, fault.what) for fault in self.found}
        for played in self.done:
            late = [f for f in faults(played, self.tps) if (f.story, f.what) not in known]
            for fault in late:
                self.found.append(fault)
                _say({"later": True, **asdict(fault)})

    def report(self, began: float) -> dict[str, Any]:
        """What has been seen so far, as JSON values."""
        series = sum(len(played.story.truths) for played in self.done)
        expected = Counter(
            p.evidence.expected(truth).value for p in self.done for truth in p.story.truths
        )
        return {
            "minutes": round((time.monotonic() - began) / 60, 1),
            "stories": len(self.done),
            "series": series,
            "kinds": dict(sorted(Counter(k for p in self.done for k in p.story.kinds).items())),
            "expected": dict(expected),
            "scts": len(self.tps.scts()),
            "faults": len(self.found),
        }


def _by_uid(items: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["series_instance_uid"]: item for item in items}


def count_for(seed: int, series: int) -> int:
    """How many stories it takes to send so many series."""
    sent = number = 0
    while sent < series:
        sent += len(story(seed, number).truths)
        number += 1
    return number


def fuzz(folder: Path, seed: int, numbers: Sequence[int]) -> Fuzz:
    """Tell stories to a node in ``folder``."""
    with recording() as tps, hospital(folder, tps, quiet_s=QUIET_S) as node:
        run = Fuzz(node=node, tps=tps, seed=seed)
        run.run(numbers)
    return run


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; exit status 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of single stories")
    parser.add_argument("--folder", type=Path, default=None, help="kept where it is given")
    arguments = parser.parse_args(argv)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    _say({"seed": seed, "series_wanted": arguments.series})
    numbers = arguments.only or range(count_for(seed, arguments.series))
    with tempfile.TemporaryDirectory(prefix="meaning-") as temporary:
        run = fuzz(arguments.folder or Path(temporary), seed, numbers)
    _say({"faults": dict(Counter(fault.what.split(":")[0] for fault in run.found))})
    return 1 if run.found else 0


def _say(line: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
