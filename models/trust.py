"""Inject gross faults into held-out cases and count what the checks miss.

``python -m models.trust models/head-t1.toml onnx/head-t1/1.2.0``. Subjects and seeds are others
than those that set the limits.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from models.config import read_config
from models.faults import (
    ANSWER_FAULTS,
    INPUT_FAULTS,
    OBJECTS,
    SMALLER_FAULTS,
    object_in,
    spoil,
    spoilt_input,
)
from models.limits import clean_pair, examined
from node.domain.findings import Severity
from node.infer.generator import Generator
from node.infer.manifest import Manifest, read_manifest
from node.infer.preprocess import body_mask
from node.infer.quality import Examined, check
from node.infer.registry import ModelFolder

FIRST_SEED = 880_000
CLEAN, SMALL = "clean", "small: "


class Tally:
    """What was injected, what was found.

    A fault counts as caught when a finding holds or refuses it that the clean case did not have: a
    warning lets a result pass.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.rows: dict[str, list[tuple[list[str], bool]]] = defaultdict(list)

    def add(self, kind: str, case: Examined, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Count the findings of one case beside those ``known`` of the clean one; the codes."""
        found = check(case, self._manifest)
        stops = {f.code for f in found if f.severity in (Severity.HOLD, Severity.REFUSE)}
        self.rows[kind].append(([f.code for f in found], bool(stops - known)))
        told = ", ".join(f.code for f in found)
        print(f"{kind}: {told or '-'}", flush=True)  # noqa: T201 - progress
        return frozenset(stops)

    def summary(self) -> dict[str, dict[str, object]]:
        """Cases, those held or refused, and the codes met, for each kind."""
        return {
            kind: {
                "cases": len(rows),
                "stopped": sum(stopped for _, stopped in rows),
                "codes": sorted({code for codes, _ in rows for code in codes}),
            }
            for kind, rows in self.rows.items()
        }

    def verdict(self) -> str:
        """Faults missed and clean cases stopped, in one line; small faults do not count."""
        faults = [
            stopped
            for kind, rows in self.rows.items()
            if kind != CLEAN and not kind.startswith(SMALL)
            for _, stopped in rows
        ]
        clean = [stopped for _, stopped in self.rows[CLEAN]]
        return (
            f"{len(faults)} faults, {faults.count(False)} missed; "
            f"{len(clean)} clean cases, {sum(clean)} stopped"
        )


def run(
    model: ModelFolder, labels: Path, kept: Path, subjects: tuple[str, ...], cases: int
) -> Tally:
    """Clean cases, their spoilt answers and questions, and objects."""
    generator, tally = Generator(model, providers=["cpu"]), Tally(model.manifest)
    for number in range(cases):
        seed = FIRST_SEED + number
        pair = clean_pair(labels, kept, subjects[number % len(subjects)], seed)
        clean = examined(generator, pair.mr)
        known = tally.add(CLEAN, clean)
        for kind, size in ANSWER_FAULTS:
            tally.add(f"{kind} {size:g}", spoil(clean, kind, size, seed), known)
        for kind, size in SMALLER_FAULTS:
            tally.add(f"{SMALL}{kind} {size:g}", spoil(clean, kind, size, seed), known)
        kind = INPUT_FAULTS[number % len(INPUT_FAULTS)]
        body = body_mask(pair.mr, (1.0, 1.0, 1.0))
        tally.add(kind, examined(generator, spoilt_input(pair.mr, body, kind, seed)), known)
        thing = OBJECTS[number % len(OBJECTS)]
        tally.add(thing, examined(generator, object_in(thing, seed)))
    return tally


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=int, default=20)
    given = parser.parse_args()
    config = read_config(given.config)
    model = ModelFolder(path=given.model, manifest=read_manifest(given.model / "manifest.json"))
    tally = run(model, config.labels, config.pool, config.validate, given.cases)
    print(json.dumps(tally.summary(), indent=1))  # noqa: T201 - the command's answer
    print(tally.verdict())  # noqa: T201


if __name__ == "__main__":
    main()
