"""Inject gross faults into held-out cases and count what the checks miss.

``python -m models.trust models/head-t1.toml onnx/head-t1/1.1.0``. Subjects and seeds are others
than those that set the limits.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from models.config import read_config
from models.faults import ANSWER_FAULTS, INPUT_FAULTS, OBJECTS, object_in, spoil, spoilt_input
from models.limits import clean_pair, examined
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.preprocess import body_mask
from node.infer.quality import Examined, check
from node.infer.registry import ModelFolder

FIRST_SEED = 880_000


class Tally:
    """What was injected, what was found."""

    def __init__(self, model: ModelFolder) -> None:
        self._manifest = model.manifest
        self.rows: dict[str, list[list[str]]] = defaultdict(list)

    def add(self, kind: str, case: Examined) -> None:
        """Count the findings of one case."""
        codes = [f.code for f in check(case, self._manifest)]
        self.rows[kind].append(codes)
        print(f"{kind}: {', '.join(codes) or '-'}", flush=True)  # noqa: T201 - progress

    def summary(self) -> dict[str, dict[str, object]]:
        """Cases, misses and the codes met, for each kind."""
        return {
            kind: {
                "cases": len(rows),
                "silent": sum(not codes for codes in rows),
                "codes": sorted({code for codes in rows for code in codes}),
            }
            for kind, rows in self.rows.items()
        }


def run(
    model: ModelFolder, labels: Path, kept: Path, subjects: tuple[str, ...], cases: int
) -> Tally:
    """Clean cases, their spoilt answers and questions, and objects."""
    generator, tally = Generator(model, providers=["cpu"]), Tally(model)
    for number in range(cases):
        seed = FIRST_SEED + number
        pair = clean_pair(labels, kept, subjects[number % len(subjects)], seed)
        clean = examined(generator, pair.mr)
        tally.add("clean", clean)
        for kind, size in ANSWER_FAULTS:
            tally.add(f"{kind} {size:g}", spoil(clean, kind, size, seed))
        kind = INPUT_FAULTS[number % len(INPUT_FAULTS)]
        body = body_mask(pair.mr, (1.0, 1.0, 1.0))
        tally.add(kind, examined(generator, spoilt_input(pair.mr, body, kind, seed)))
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


if __name__ == "__main__":
    main()
