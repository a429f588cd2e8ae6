"""A day of a hospital pressed into minutes: bursts of series, and what the node's processes hold.

``python -m tests.crash.soak --series 300`` sends bursts of one to six series, each to one of three
senders' associations, without a pause for the quiet hours of a real day. After each burst it notes
memory, descriptors and threads of every process; at the end it prints them beside the first, and
how long a series took from its last instance, quiet time taken out, to its delivery.
"""

import argparse
import json
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from node.archive import tables as t
from tests.crash import checks
from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import Storescp, run_storescu, start_storescp
from tests.phantoms.mr import mr_series

QUIET_S = 5.0
SHAPE = (24, 20, 18)
SPACING_MM = (4.0, 4.0, 4.0)
MOST_IN_A_BURST = 6
SENDERS = 3
PATIENCE_S = 1800.0


def held(node: Node) -> Mapping[str, tuple[int, int, int]]:
    """Resident kilobytes, descriptors and threads of each process."""
    found = {}
    for name, pid in sorted(node.children().items()):
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        )
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        found[name] = (int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]))
    return found


def soak(node: Node, folder: Path, series: int, dice: random.Random) -> list[dict[str, object]]:
    """Send ``series`` series in bursts; what was held after each."""
    notes: list[dict[str, object]] = []
    sent = 0
    while sent < series:
        burst = min(dice.randint(1, MOST_IN_A_BURST), series - sent)
        names = [f"soak-{n}" for n in range(sent, sent + burst)]
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(lambda name: _push(node, folder / name, name), names))
        sent += burst
        node.wait_states(sent, "delivered", timeout_s=PATIENCE_S)
        notes.append({"series": sent, **held(node)})
        sys.stdout.write(json.dumps(notes[-1]) + "\n")
        sys.stdout.flush()
    return notes


def latencies_s(node: Node) -> list[float]:
    """From the last instance of each series to its delivery, quiet time taken out."""
    s = t.series.c
    engine = node.engine()
    with t.reading(engine).begin() as connection:
        took = connection.execute(sa.select(s.state_at - s.last_received_at)).scalars().all()
    engine.dispose()
    return sorted(seconds - QUIET_S for seconds in took)


def main(argv: Sequence[str] | None = None) -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args(argv)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = Path(temporary)
        tps = start_storescp(folder / "tps")
        node = make_node(folder / "node", tps, acceptors=2, quiet_s=QUIET_S)
        node.start()
        began = time.monotonic()
        try:
            dice = random.Random(seed)  # noqa: S311 - a seed is wanted here
            notes = soak(node, folder, arguments.series, dice)
            _judge(node, tps)
            _print(notes, latencies_s(node), seed, time.monotonic() - began)
        finally:
            status = node.stop()
            tps.stop()
    return status


def _push(node: Node, folder: Path, name: str) -> None:
    files = mr_series(SHAPE, SPACING_MM, name=name).write(folder)
    deadline = time.monotonic() + PATIENCE_S
    while run_storescu(node.dicom_port, files).returncode != 0:
        if time.monotonic() > deadline:
            raise AssertionError(node.said())


def _judge(node: Node, tps: Storescp) -> None:
    assert all(item["revision"] == 1 for item in node.series())
    checks.nothing_else_arrived(node, tps)


def _print(
    notes: Sequence[Mapping[str, object]], took: Sequence[float], seed: int, seconds: float
) -> None:
    cut = statistics.quantiles(took, n=100) if len(took) > 1 else list(took) * 99
    figures = {
        "seed": seed,
        "minutes": round(seconds / 60, 1),
        "series": len(took),
        "first": notes[0],
        "last": notes[-1],
        "latency_s": {name: round(cut[n - 1], 2) for name, n in (("p50", 50), ("p95", 95))}
        | {"p99": round(cut[98], 2)},
    }
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
