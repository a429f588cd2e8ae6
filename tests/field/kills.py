"""Cases of the door while processes are killed: what was told must outlive who heard it.

``python -m tests.field.kills --kills 300`` tells the cases of the door again and again to a node
with two acceptors, while a process is killed every second or so. A sender whose association breaks
tries again, as a PACS does; one that breaks off by itself, or was refused, never comes back. After
each round nothing may be stuck, and nothing delivered that the evidence contradicts.
"""

import argparse
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.harness import Node
from tests.field.cases import AT_THE_DOOR, Case
from tests.field.hospital import UNDER_WAY, ask, hospital, wait_answering
from tests.field.playing import Fault, Played, faults, go_on, play
from tests.field.recorder import Recorder, recording
from tests.field.stories import Act
from tests.peers.waiting import wait_until

ACCEPTORS = 2
QUIET_S = 6.0
"""Longer than a sender is kept waiting by a killed acceptor."""
PATIENCE_S = 180.0
GRACE_S = 20.0
"""What a killed acceptor had acknowledged is found when its successor has started; a delivery that
begins meanwhile cannot know of it."""
PAUSES_S = (0.2, 1.6)
_ALL_AT_ONCE = 0.05
_RESTED_WITHIN_S = 300.0


@dataclass(slots=True, kw_only=True)
class Storm:
    """A node under fire."""

    node: Node
    tps: Recorder
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    told: int = 0
    """Cases told so far."""
    found: list[Fault] = field(default_factory=list)

    def round(self, name: str, cases: Sequence[Case], kills: int) -> list[Fault]:
        """Tell ``cases`` at the same time under ``kills`` kills, let it settle, and judge."""
        stories = [case.story(f"{name}-{n}-{case.name}") for n, case in enumerate(cases)]
        done = threading.Event()
        with ThreadPoolExecutor(len(stories)) as senders:
            work = [
                senders.submit(play, self.node, self.tps, told, patience_s=PATIENCE_S)
                for told in stories
            ]
            self._fire(kills, done)
            played = [one.result() for one in work]
        found = self._judge(played)
        self.told += len(played)
        self.found += found
        return found

    def in_two(self, name: str, cases: Sequence[Case], *, before_last: bool) -> list[Fault]:
        """Tell ``cases``, and kill every acceptor before or after what comes last in each."""
        played = [Played(story=case.story(f"{name}-{case.name}")) for case in cases]
        self._all(played, lambda one: one.story.acts[:-1])
        if before_last:
            self.kill("scp")
        self._all(played, lambda one: one.story.acts[-1:])
        if not before_last:
            self.kill("scp")
        return self._judge(played)

    def kill(self, role: str) -> None:
        """Kill -9 every process of a role."""
        for name, pid in self.node.children().items():
            if name.startswith(role):
                os.kill(pid, signal.SIGKILL)
                self.kills[name] += 1

    def _all(self, played: Sequence[Played], acts: Callable[[Played], Sequence[Act]]) -> None:
        with ThreadPoolExecutor(len(played)) as senders:
            work = [
                senders.submit(go_on, self.node, self.tps, one, acts(one), patience_s=PATIENCE_S)
                for one in played
            ]
            for one in work:
                one.result()

    def _fire(self, kills: int, done: threading.Event) -> None:
        until = self.kills.total() + kills
        while self.kills.total() < until:
            done.wait(self.dice.uniform(*PAUSES_S))
            self._kill_one()

    def _kill_one(self) -> None:
        children = self.node.children()
        if not children or self.dice.random() < _ALL_AT_ONCE:
            self.node.kill_supervisor()
            self.node.start()
            self.kills["supervisor"] += 1
            return
        # Those that hear and those that work; the page has nothing to lose.
        wanted = sorted(name for name in children if not name.startswith("web"))
        victim = self.dice.choice(wanted or sorted(children))
        try:
            os.kill(children[victim], signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[victim] += 1

    def _judge(self, played: Sequence[Played]) -> list[Fault]:
        wait_answering(self.node)
        series = {uid for one in played for uid in one.series}
        wait_at_rest(self.node, series)
        items = {i["series_instance_uid"]: i for i in ask(self.node, "/api/series?limit=1000")}
        found = []
        for one in played:
            one.grace_s = GRACE_S
            one.items = {uid: items[uid] for uid in one.series if uid in items}
            found += faults(one, self.tps)
        return found


def wait_at_rest(node: Node, series: set[str]) -> None:
    """Wait until nothing of ``series`` is under way, for longer than a series settles."""
    wanted = "&".join(f"state={state}" for state in UNDER_WAY)
    since: list[float] = []

    def rests() -> bool:
        try:
            items = ask(node, f"/api/series?limit=1000&{wanted}")
        except OSError:  # the page is being started again
            return False
        if {item["series_instance_uid"] for item in items} & series:
            since.clear()
            return False
        since.append(time.monotonic())
        return since[-1] - since[0] > QUIET_S / 2

    try:
        wait_until(rests, "all series to rest", timeout_s=_RESTED_WITHIN_S, every_s=0.5)
    except AssertionError:
        return  # the judge tells which are stuck


@contextmanager
def storm(folder: Path, seed: int) -> Iterator[Storm]:
    """Run a node to fire at."""
    with (
        recording() as tps,
        hospital(folder, tps, acceptors=ACCEPTORS, quiet_s=QUIET_S) as node,
    ):
        dice = random.Random(seed)  # noqa: S311 - a seed is wanted here
        yield Storm(node=node, tps=tps, dice=dice)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the storm; exit status 0 when nothing went wrong."""
    parser = argparse.ArgumentParser(prog="kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--per-round", type=int, default=30, help="kills in each round")
    parser.add_argument("--folder", type=Path, default=None, help="kept where it is given")
    arguments = parser.parse_args(argv)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    _say({"seed": seed, "kills_wanted": arguments.kills})
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as temporary,
        storm(arguments.folder or Path(temporary), seed) as fire,
    ):
        _rounds(fire, arguments.kills, arguments.per_round)
    return 1 if fire.found else 0


def _rounds(fire: Storm, kills: int, per_round: int) -> None:
    began, number = time.monotonic(), 0
    while fire.kills.total() < kills:
        number += 1
        wanted = min(per_round, kills - fire.kills.total())
        for fault in fire.round(f"round-{number}", AT_THE_DOOR * 2, wanted):
            _say(asdict(fault))
        _say(
            {
                "round": number,
                "minutes": round((time.monotonic() - began) / 60, 1),
                "kills": fire.kills.total(),
                "by_process": dict(sorted(fire.kills.items())),
                "cases": fire.told,
                "scts": len(fire.tps.scts()),
                "faults": len(fire.found),
            }
        )


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
