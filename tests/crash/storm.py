"""Kill -9 at random, over every process, while series arrive, are sent again and are delivered.

``python -m tests.crash.storm --kills 1000`` prints its seed and one line of JSON a round; the same
seed gives the same series, victims and pauses (not the same moments inside the processes).
A round: series are pushed by real storescus until each is acknowledged, some again; meanwhile a
process is killed every few seconds. Then the node is left alone, and the round is judged.
"""

import argparse
import hashlib
import json
import os
import random
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import checks
from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import Storescp, run_storescu, start_storescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

SHAPE = (24, 20, 18)
SPACING_MM = (4.0, 4.0, 4.0)
# Longer than a sender is kept waiting by a killed supervisor, or half a series is taken for whole.
QUIET_S = 10.0
PAUSES_S = (0.1, 1.5)
# A sender that was refused tries again after so long; one that hears nothing gives up after so
# long. On a busy machine a whole series takes most of a minute: a sender that gave up sooner would
# begin anew again and again, and never end.
_AGAIN_S, _SILENT_S = 0.5, 180.0
# Share of the supervisor, which takes all others with it, among the victims.
_ALL_AT_ONCE = 0.12
SENDERS = 3
SETTLED_WITHIN_S = 1800.0


@dataclass(slots=True, kw_only=True)
class Storm:
    """One node under fire, and what was seen."""

    node: Node
    destinations: Sequence[Storescp]
    folder: Path
    dice: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    pushed: dict[str, list[Path]] = field(default_factory=dict)
    """Files of each series that was acknowledged whole, by its name."""
    again: int = 0
    """Series sent a second time."""
    attempts: int = 0
    """Associations the senders opened, those that broke off included."""

    def round(self, number: int, *, series: int, kills: int) -> None:
        """Push ``series`` series under ``kills`` kills, let it settle, and judge."""
        names = [f"storm-{number}-{n}" for n in range(series)]
        twice = [name for name in names if self.dice.random() < 0.5]
        # In the order they are drawn, so that the seed decides and the threads do not.
        plans = [(name, name in twice) for name in names]
        with ThreadPoolExecutor(SENDERS) as senders:
            work = [senders.submit(self._push, name, again=again) for name, again in plans]
            self._fire(kills)
            for one in work:
                one.result(timeout=SETTLED_WITHIN_S)
        self._settle()
        self.judge()

    def judge(self) -> None:
        """Every acknowledged instance is there, every series is delivered once, bit for bit."""
        everything = [path for files in self.pushed.values() for path in files]
        checks.every_acknowledged_is_there(self.node, everything, len(everything))
        outputs: dict[str, bytes] = {}
        for item in self.node.series():
            made = self.node.queries().output_files(item["id"])
            assert len({o.series_instance_uid for o in made}) == 1, item
            assert len(made) == SHAPE[0], item
            for output in made:
                archived = self.node.data / output.path
                assert hashlib.sha256(archived.read_bytes()).hexdigest() == output.sha256
                outputs[output.sop_instance_uid] = checks.data_set(archived)
        for tps in self.destinations:
            arrived = {_uid(path): checks.data_set(path) for path in tps.files()}
            assert arrived.keys() == outputs.keys(), (tps.ae_title, len(arrived), len(outputs))
            assert arrived == outputs, tps.ae_title

    def _push(self, name: str, *, again: bool) -> None:
        """Send a series until all of it is acknowledged, as a PACS would; perhaps once more."""
        files = mr_series(SHAPE, SPACING_MM, name=name).write(self.folder / name)
        for _ in range(2 if again else 1):
            self._send(files)
        self.again += again
        self.pushed[name] = files

    def _send(self, files: list[Path]) -> None:
        deadline, pause = time.monotonic() + SETTLED_WITHIN_S, threading.Event()
        while time.monotonic() < deadline:
            self.attempts += 1
            with suppress(subprocess.TimeoutExpired):
                sent = run_storescu(self.node.dicom_port, files, timeout_s=_SILENT_S)
                count = checks.acknowledged(sent.stdout + sent.stderr)
                checks.every_acknowledged_is_there(self.node, files, count)
                if sent.returncode == 0:
                    return
            pause.wait(_AGAIN_S)
        raise AssertionError(f"not taken in time\n{self.stuck()}\n{self.node.said()}")

    def _fire(self, kills: int) -> None:
        until = self.kills.total() + kills
        pause = threading.Event()
        while self.kills.total() < until:
            pause.wait(self.dice.uniform(*PAUSES_S))
            self._kill_one()

    def _kill_one(self) -> None:
        """Kill a living process: any child, or the supervisor and with it all of them."""
        children = self.node.children()
        everything = not children or self.dice.random() < _ALL_AT_ONCE
        victim = "supervisor" if everything else self.dice.choice(sorted(children))
        if victim == "supervisor":
            self.node.kill_supervisor()
            self.node.start()
        else:
            try:
                os.kill(children[victim], signal.SIGKILL)
            except ProcessLookupError:
                return
        self.kills[victim] += 1

    def _settle(self) -> None:
        states: list[str] = []

        def done() -> bool:
            states[:] = [item["state"] for item in self.node.series()]
            if {"refused", "failed", "kept", "review"} & set(states):
                raise AssertionError(states)
            return len(states) == len(self.pushed) and set(states) == {"delivered"}

        try:
            wait_until(done, "delivered series", timeout_s=SETTLED_WITHIN_S, every_s=0.5)
        except AssertionError:
            items = [
                (i["id"], i["state"], i["revision"], i["sentence"]) for i in self.node.series()
            ]
            bad = [item for item in items if item[1] != "delivered"]
            raise AssertionError(f"{bad}\n{self.stuck()}\n{self.node.said()}") from None

    def stuck(self) -> str:
        """Who lives, how busy the machine is, and what the engine holds: why nothing moves."""
        told = [f"load {os.getloadavg()[0]:.1f}, living {sorted(self.node.children())}"]
        query = "select workflow_uuid, status, executor_id, queue_name from workflow_status"
        with closing(sqlite3.connect(self.node.data / "engine.sqlite", timeout=30)) as engine:
            rows = engine.execute(f"{query} where status in ('PENDING', 'ENQUEUED')").fetchall()
        return "\n".join([*told, *(" ".join(map(str, row)) for row in rows)])


def begin(folder: Path, destinations: Sequence[Storescp], seed: int) -> Storm:
    """Start a node with two acceptors that delivers to every one of ``destinations``."""
    node = make_node(
        folder / "node",
        destinations[0],
        acceptors=2,
        quiet_s=QUIET_S,
        more_tps=destinations[1:],
    )
    node.start()
    dice = random.Random(seed)  # noqa: S311 - a seed is wanted here
    return Storm(node=node, destinations=destinations, folder=folder, dice=dice)


def report(storm: Storm, number: int, began_at: float) -> dict[str, object]:
    """What has been seen so far, as JSON values."""
    items = storm.node.series()
    return {
        "round": number,
        "minutes": round((time.monotonic() - began_at) / 60, 1),
        "kills": storm.kills.total(),
        "by_process": dict(sorted(storm.kills.items())),
        "series": len(items),
        "sent_again": storm.again,
        "associations": storm.attempts,
        "revisions_above_1": sum(item["revision"] > 1 for item in items),
        "instances_acknowledged": sum(map(len, storm.pushed.values())),
        "objects_delivered": sum(len(tps.files()) for tps in storm.destinations),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the storm; exit status 0 when every round was judged good."""
    parser = argparse.ArgumentParser(prog="storm", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--series", type=int, default=8, help="in each round")
    parser.add_argument("--per-round", type=int, default=40, help="kills in each round")
    parser.add_argument("--folder", type=Path, default=None, help="kept where it is given")
    arguments = parser.parse_args(argv)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    _say({"seed": seed, "kills_wanted": arguments.kills})
    with tempfile.TemporaryDirectory(prefix="storm-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        destinations = [
            start_storescp(folder / name, ae_title=name.upper()) for name in ("tps", "archive")
        ]
        storm = begin(folder, destinations, seed)
        try:
            _rounds(storm, arguments.kills, arguments.per_round, arguments.series)
            status = storm.node.stop()
        finally:
            _end(storm.node, destinations)
    return status


def _rounds(storm: Storm, kills: int, per_round: int, series: int) -> None:
    began_at, number = time.monotonic(), 0
    while storm.kills.total() < kills:
        number += 1
        storm.round(number, series=series, kills=min(per_round, kills - storm.kills.total()))
        _say(report(storm, number, began_at))


def _end(node: Node, destinations: Iterable[Storescp]) -> None:
    if not node.ended():
        node.stop()
    for tps in destinations:
        tps.stop()


def _uid(path: Path) -> str:
    """The SOP Instance UID in the name storescp gives a file."""
    return path.name.partition(".")[2]


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
