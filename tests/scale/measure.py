"""Time the hot operations over archives of growing size, one table in Markdown.

``python -m tests.scale.measure 10 1000 100000`` takes sizes in series. Processor time, medians
of several runs: what else the machine does does not count, nor does waiting for the disk.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.scale.filled import filled
from tests.scale.operations import operations

RUNS = 25


def median_ms(operation: Callable[[], object]) -> float:
    """Milliseconds of processor time of one call, the median of `RUNS` after a warm one."""
    operation()
    took = []
    for _ in range(RUNS):
        before = time.process_time()
        operation()
        took.append(time.process_time() - before)
    return statistics.median(took) * 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[10, 1000, 100_000])
    parser.add_argument("--instances", type=int, default=20, help="of each series")
    arguments = parser.parse_args(argv)
    table: dict[str, list[float]] = {}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            engine = filled(Path(folder), size, instances=arguments.instances)
            for name, operation in operations(engine, Path(folder)).items():
                table.setdefault(name, []).append(median_ms(operation))
            engine.dispose()
    out = sys.stdout.write
    out(f"| ms | {' | '.join(f'{n:,}' for n in arguments.sizes)} | last to first |\n")
    out("|---" * (len(arguments.sizes) + 2) + "|\n")
    for name, row in table.items():
        cells = " | ".join(f"{ms:.2f}" for ms in row)
        out(f"| {name} | {cells} | {row[-1] / row[0]:.2f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
