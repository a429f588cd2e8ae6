"""A hospital's day pressed into minutes: series in bursts, two destinations, one away for a while.

``python -m tests.soak.day`` sends 300 series in ten minutes as 24 hours would bring them, with
repeats, and notes what every process holds and what lies on the disk. In the end everything is
delivered, nothing has grown, and the disk holds what the rows know. Prints one table.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.schema import tables as t
from node.archive.upkeep.retention import Retention
from tests.crash import checks
from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import Storescp, run_storescu, start_storescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

SHAPE, SPACING_MM = (24, 20, 18), (4.0, 4.0, 4.0)
QUIET_S = 2.0
SENDERS = 4
SEED = 24
# Series in each hour of a day, relative: few at night, most before noon, some in the evening.
HOURS = (1, 1, 1, 1, 1, 2, 5, 14, 24, 30, 30, 26, 16, 18, 26, 26, 22, 16, 10, 6, 4, 3, 2, 1)
# The second destination is away in these hours.
AWAY = (11.0, 12.0)
_REPEATED = 0.1
_LONGEST_BURST = 6
_LOOK_S = 2.0
# What a process may gain between the second quarter of the day and the last.
MOST_GROWTH = {"memory_mb": 16.0, "descriptors": 6.0, "threads": 3.0}
MOST_LEFT_OVER_MB = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at one moment."""

    at_s: float
    """Since the day began."""
    processes: Mapping[str, Mapping[str, float]]
    """Memory, descriptors and threads of each, by its name."""
    disk_mb: float
    """The whole data folder."""


@dataclass(slots=True, kw_only=True)
class Day:
    """One node, its day, and what was seen."""

    node: Node
    folder: Path
    destinations: Sequence[Storescp]
    looks: list[Look] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    repeated: int = 0

    def run(self, series: int, day_s: float) -> None:
        """Send everything at its time, take the second destination away, look on."""
        arrivals = plan(series, day_s, random.Random(SEED))  # noqa: S311 - a seed is wanted here
        over = threading.Event()
        began = time.monotonic()
        watcher = threading.Thread(target=self._watch, args=(began, over))
        watcher.start()
        absence = threading.Thread(target=self._away, args=(began, day_s))
        absence.start()
        try:
            with ThreadPoolExecutor(SENDERS) as senders:
                work: list[Future[None]] = []
                for number, (at_s, twice) in enumerate(arrivals):
                    over.wait(max(0.0, began + at_s - time.monotonic()))
                    work.append(senders.submit(self._send, number, twice))
                for one in work:
                    one.result()
            absence.join()
            self._settle(series)
        finally:
            over.set()
            watcher.join()

    def _send(self, number: int, twice: bool) -> None:
        series = mr_series(SHAPE, SPACING_MM, name=f"day-{number}")
        files = series.write(self.folder / f"day-{number}")
        for _ in range(2 if twice else 1):
            sent = run_storescu(self.node.dicom_port, files)
            assert checks.acknowledged(sent.stdout + sent.stderr) == len(files), sent.stderr
        self.sent.append(str(series.datasets[0].SeriesInstanceUID))
        self.repeated += twice
        for path in files:
            path.unlink()

    def _away(self, began: float, day_s: float) -> None:
        away = self.destinations[1]
        from_s, until_s = (hour / 24 * day_s for hour in AWAY)
        pause = threading.Event()
        pause.wait(max(0.0, began + from_s - time.monotonic()))
        away.stop()
        pause.wait(max(0.0, began + until_s - time.monotonic()))
        again = start_storescp(away.folder, ae_title=away.ae_title, port=away.port)
        self.destinations = (self.destinations[0], again)

    def _settle(self, series: int) -> None:
        def done() -> bool:
            states = [item["state"] for item in self.node.series()]
            assert not {"refused", "failed", "kept", "review"} & set(states), states
            return states == ["delivered"] * series

        wait_until(done, "every series to be delivered", timeout_s=900, every_s=2.0)

    def _watch(self, began: float, over: threading.Event) -> None:
        while not over.wait(_LOOK_S):
            self.looks.append(self._look(time.monotonic() - began))

    def _look(self, at_s: float) -> Look:
        assert self.node.process is not None
        pids = {"supervisor": self.node.process.pid, **self.node.children()}
        held = {name: _held(pid) for name, pid in pids.items()}
        return Look(at_s=at_s, processes=held, disk_mb=_size_mb(self.node.data))

    def growth(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Of each process and each thing it holds: medians of second and last quarter."""
        end = max(look.at_s for look in self.looks)
        second = [look for look in self.looks if end / 4 <= look.at_s < end / 2]
        last = [look for look in self.looks if look.at_s >= end * 3 / 4]
        return {
            name: {
                what: (_median(second, name, what), _median(last, name, what))
                for what in MOST_GROWTH
            }
            for name in self.looks[-1].processes
        }

    def left_over_mb(self) -> float:
        """What lies in the data folder and no row and no database explains."""
        engine = self.node.engine()
        known = Retention(engine, Folder(self.node.data)).stored_bytes() / 1e6
        engine.dispose()
        databases = sum(p.stat().st_size for p in self.node.data.glob("*.sqlite*")) / 1e6
        # The journal has a length of its own, logs are cut at one, and the page's files are of the
        # newest series.
        fixed = sum(_size_mb(self.node.data / name) for name in ("view", "journal", "log"))
        return _size_mb(self.node.data) - known - databases - fixed

    def latencies_s(self, destination: str) -> list[float]:
        """From the last slice received to the confirmed sCT, quiet time taken out, sorted."""
        s, r, d = t.series.c, t.runs.c, t.deliveries.c
        query = (
            sa.select(d.updated_at - s.last_received_at)
            .select_from(t.deliveries)
            .join(t.runs, r.id == d.run_id)
            .join(t.series, s.id == r.series_id)
            .where(d.destination == destination)
        )
        engine = self.node.engine()
        with t.reading(engine).begin() as connection:
            found = [float(value) - QUIET_S for value in connection.execute(query).scalars()]
        engine.dispose()
        return sorted(found)

    def faults(self) -> list[str]:
        """What must not be, in words; empty after a good day."""
        found = []
        for name, held in self.growth().items():
            for what, (before, after) in held.items():
                if after - before > MOST_GROWTH[what]:
                    found.append(f"{name}: {what} grew from {before:.1f} to {after:.1f}")
        if (left := self.left_over_mb()) > MOST_LEFT_OVER_MB:
            found.append(f"{left:.1f} MB on the disk that no row knows")
        return found

    def table(self) -> str:
        """Everything as Markdown."""
        lines = [
            "| what | second quarter of the day | last quarter |",
            "|---|---:|---:|",
        ]
        for name, held in self.growth().items():
            lines += [f"| {name}: {w} | {a:.1f} | {b:.1f} |" for w, (a, b) in held.items()]
        lines.append(f"| disk that no row knows, MB | | {self.left_over_mb():.2f} |")
        lines += ["", "| last slice to confirmed, s | p50 | p95 | p99 | longest |"]
        lines.append("|---|---:|---:|---:|---:|")
        for name in ("tps", "tps2"):
            took = self.latencies_s(name)
            cells = " | ".join(f"{_share(took, q):.2f}" for q in (0.5, 0.95, 0.99, 1.0))
            lines.append(f"| {name} ({len(took)}) | {cells} |")
        return "\n".join(lines)


def plan(series: int, day_s: float, dice: random.Random) -> list[tuple[float, bool]]:
    """Seconds of each arrival, in order, and whether it is sent a second time."""
    arrivals: list[tuple[float, bool]] = []
    while len(arrivals) < series:
        (hour,) = dice.choices(range(24), HOURS)
        at_s = (hour + dice.random()) / 24 * day_s
        burst = min(dice.randint(1, _LONGEST_BURST), series - len(arrivals))
        arrivals += [(at_s, dice.random() < _REPEATED) for _ in range(burst)]
    return sorted(arrivals)


def begin(folder: Path) -> Day:
    """Start a node that delivers to two destinations and keeps a limited archive."""
    destinations = [start_storescp(folder / n, ae_title=n.upper()) for n in ("tps", "archive")]
    node = make_node(
        folder / "node",
        destinations[0],
        more_tps=destinations[1:],
        acceptors=2,
        quiet_s=QUIET_S,
        retention="max_gb = 0.02",
    )
    node.start()
    wait_until(node.healthy, "the page", timeout_s=180)
    return Day(node=node, folder=folder, destinations=destinations)


def end(day: Day) -> int:
    """Stop everything; the node's exit status."""
    status = day.node.stop()
    for tps in day.destinations:
        tps.stop()
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the day; exit status 0 when it was a good one."""
    parser = argparse.ArgumentParser(prog="day", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="pctnode-day-") as name:
        day = begin(Path(name))
        try:
            day.run(arguments.series, arguments.minutes * 60)
            faults = day.faults()
            sys.stdout.write(
                f"{len(day.sent)} series, {day.repeated} sent twice, 24 h in "
                f"{arguments.minutes:g} min, load {os.getloadavg()[0]:.1f}\n\n{day.table()}\n"
            )
        finally:
            status = end(day)
    sys.stdout.write("".join(f"NOT FLAT: {fault}\n" for fault in faults))
    return status or bool(faults)


def _held(pid: int) -> dict[str, float]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # it ends
        return {}
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {
        "memory_mb": int(values.get("VmRSS", "0").split()[0]) / 1024,
        "descriptors": float(descriptors),
        "threads": float(values.get("Threads", "0")),
    }


def _median(looks: Sequence[Look], name: str, what: str) -> float:
    seen = [held[what] for look in looks if what in (held := look.processes.get(name, {}))]
    return statistics.median(seen) if seen else 0.0


def _size_mb(folder: Path) -> float:
    total = 0
    for where, _, names in os.walk(folder):  # which passes over what goes meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(where, name).stat().st_size
    return total / 1e6


def _share(took: Sequence[float], share: float) -> float:
    return took[min(len(took) - 1, int(share * len(took)))] if took else 0.0


if __name__ == "__main__":
    sys.exit(main())
