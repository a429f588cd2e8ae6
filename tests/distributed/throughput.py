"""Series an hour with one, two and three workers, two front-ends, PostgreSQL: one table.

``python -m tests.distributed.throughput``. Each number of workers gets the same work: every series
is pushed before the first worker starts, so that reception is not measured; then the clock runs
from the first step begun to the last delivery confirmed. What two cores cannot do at once they do
not: the third worker shows what is lost by sharing, not what a third machine would bring.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from node.archive.schema import tables as t
from tests.crash import checks
from tests.distributed.cluster import Cluster, make_cluster
from tests.peers.dcmtk import Storescp, run_storescu, start_storescp
from tests.peers.postgres import Postgres, start_postgres
from tests.peers.waiting import wait_until
from tests.phantoms import signals
from tests.phantoms.mr import mr_series

SPACING_MM = (2.0, 2.0, 2.0)
SHAPE = (100, 128, 128)
_PATIENCE_S = 900.0


def measure(
    folder: Path,
    postgres: Postgres,
    workers: int,
    *,
    series: int,
    shape: tuple[int, int, int] = SHAPE,
) -> float:
    """Series a minute with so many workers; everything arrives once at the destination."""
    tps = start_storescp(folder / "tps")
    cluster = make_cluster(folder, postgres.create_database(), [tps], spacing_mm=SPACING_MM[0])
    try:
        ports = [cluster.scp("front-a"), cluster.scp("front-b")]
        _push(ports, folder, series, shape)
        names = [f"worker-{number}" for number in range(workers)]
        for name in names:
            cluster.worker(name)
        _all_delivered(cluster, tps, series)
        return series / _took_s(cluster) * 60
    finally:
        cluster.stop()
        tps.stop()


def _push(ports: Sequence[int], folder: Path, series: int, shape: tuple[int, int, int]) -> None:
    def send(number: int) -> None:
        made = mr_series(shape, SPACING_MM, signal=signals.body, name=f"work-{number}")
        files = made.write(folder / f"work-{number}")
        sent = run_storescu(ports[number % len(ports)], files)
        assert checks.acknowledged(sent.stdout + sent.stderr) == len(files), sent.stderr
        for path in files:
            path.unlink()

    with ThreadPoolExecutor(len(ports)) as pool:
        list(pool.map(send, range(series)))


def _all_delivered(cluster: Cluster, tps: Storescp, series: int) -> None:
    def done() -> bool:
        states = [item["state"] for item in cluster.series()]
        assert not {"refused", "failed", "kept", "review"} & set(states), cluster.said()
        return states == ["delivered"] * series

    wait_until(done, "every series to be delivered", timeout_s=_PATIENCE_S, every_s=0.5)
    checks.nothing_else_arrived(cluster, tps)


def _took_s(cluster: Cluster) -> float:
    engine = cluster.engine()
    with engine.connect() as connection:
        begun = connection.execute(sa.select(sa.func.min(t.steps.c.started_at))).scalar_one()
        ended = connection.execute(sa.select(sa.func.max(t.deliveries.c.updated_at))).scalar_one()
    engine.dispose()
    return float(ended) - float(begun)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="throughput")
    parser.add_argument("--series", type=int, default=24)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 3])
    arguments = parser.parse_args(argv)
    out, alone = sys.stdout.write, 0.0
    postgres = start_postgres()
    try:
        out(f"{arguments.series} series of {' x '.join(map(str, SHAPE))}, {os.cpu_count()} cores\n")
        out("\n| workers | series a minute | to one worker | load |\n|---:|---:|---:|---:|\n")
        for workers in arguments.workers:
            with tempfile.TemporaryDirectory(prefix="throughput-") as name:
                began = time.monotonic()
                rate = measure(Path(name), postgres, workers, series=arguments.series)
                alone = alone or rate
                load = os.getloadavg()[0]
                out(f"| {workers} | {rate:.1f} | {rate / alone:.2f} | {load:.1f} |\n")
                sys.stderr.write(f"{workers}: {time.monotonic() - began:.0f} s\n")
    finally:
        postgres.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
