"""``make bench``: everything that is measured, in one table; ``--keep`` adds it to the history.

A shared machine measures its neighbours too: read the ratios, which are of the same run.
"""

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import ingest, page, query_retrieve, running
from tests.bench.table import Row, markdown

HISTORY = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
PARTS = ("ingest", "retrieve", "running", "shipped", "page")


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, when none is named")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="add the table to docs/benchmarks.md")
    asked = parser.parse_args()
    rows: list[Row] = []
    for part in asked.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="pctnode-bench-") as name:
            rows += _measure(part, Path(name), asked.rounds)
    said = f"{_machine()}\n\n{markdown(rows)}\n"
    sys.stdout.write(said)
    if asked.keep:
        with HISTORY.open("a") as file:
            file.write(f"\n## {datetime.now(UTC):%Y-%m-%d}\n\n{said}")


def _measure(part: str, folder: Path, rounds: int) -> list[Row]:
    if part == "ingest":
        return ingest.measure(folder, rounds=rounds)
    if part == "running":
        return running.measure(folder, rounds=rounds)
    if part == "page":
        return page.measure(folder, rounds=rounds)
    if part == "shipped":
        return running.measure_shipped(folder, rounds=min(rounds, 3))
    return query_retrieve.rows(folder, rounds=rounds)


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, load average {load:.1f} at the end."
    )


if __name__ == "__main__":
    main()
