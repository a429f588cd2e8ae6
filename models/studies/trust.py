"""Inject gross faults into held-out cases and count what the checks miss.

``python -m models.studies.trust models/head-t1.toml onnx/head-t1/1.3.0``. Subjects and seeds are
others than those that set the limits. Then each kind's size is halved towards nothing, for the
smallest fault that is still caught. The drawn cases are kept in the pool's folder for the next
model.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.config import TrainConfig, read_config
from models.limits import examined
from models.pairs import Pair
from models.populations import KINDS, MAPS, draw_head, orders
from models.studies.faults import ANSWER_FAULTS, ANSWERS, smallest, spoil
from models.studies.faults_input import OBJECTS, QUESTIONS, ask, object_in
from node.domain.findings import Finding, Severity
from node.infer.generator import Generator
from node.infer.manifest import Manifest, read_manifest
from node.infer.quality import Examined, check
from node.infer.registry import ModelFolder

FIRST_SEED = 880_000
CLEAN = "clean"
_QUESTION_HALVINGS = 3


class Tally:
    """What was injected, what was found.

    A fault counts as caught when a finding holds or refuses it that the clean case did not have: a
    warning lets a result pass.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.rows: dict[str, list[tuple[list[str], bool]]] = defaultdict(list)
        self.smallest: dict[str, list[tuple[float, float] | None]] = defaultdict(list)

    def add(self, kind: str, case: Examined, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Count the findings of one case beside those ``known`` of the clean one; the codes."""
        found = check(case, self._manifest)
        stops = _stops(found)
        self.rows[kind].append(([f.code for f in found], bool(stops - known)))
        told = ", ".join(f.code for f in found)
        print(f"{kind}: {told or '-'}", flush=True)  # noqa: T201 - progress
        return stops

    def caught(self, case: Examined, known: frozenset[str]) -> bool:
        """Whether a fault would count as caught."""
        return bool(_stops(check(case, self._manifest)) - known)

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
        """Faults missed and clean cases stopped, in one line."""
        faults = [
            stopped for kind, rows in self.rows.items() if kind != CLEAN for _, stopped in rows
        ]
        clean = [stopped for _, stopped in self.rows[CLEAN]]
        return (
            f"{len(faults)} faults, {faults.count(False)} missed; "
            f"{len(clean)} clean cases, {sum(clean)} stopped"
        )

    def tables(self) -> str:
        """Both tables as Markdown: gross faults, and the smallest still caught."""
        lines = ["| fault | cases | stopped | by |", "|---|---|---|---|"]
        for kind, row in self.summary().items():
            codes = ", ".join(map(str, row["codes"])) if isinstance(row["codes"], list) else ""
            lines.append(f"| {kind} | {row['cases']} | {row['stopped']} | {codes} |")
        lines += ["", "| fault | caught from, in the best case | in the worst |", "|---|---|---|"]
        for kind, found in self.smallest.items():
            sizes = [pair for pair in found if pair]
            if sizes:
                best = sorted(sizes, key=lambda pair: abs(pair[1] - _none(kind)))
                lines.append(f"| {kind} | {best[0][1]:.3g} | {best[-1][1]:.3g} |")
        return "\n".join(lines)


def _none(name: str) -> float:
    """The size of a kind that changes nothing."""
    none = ANSWERS[name].none if name in ANSWERS else QUESTIONS[name].none
    return none or 0.0


def _stops(found: Iterable[Finding]) -> frozenset[str]:
    return frozenset(f.code for f in found if f.severity in (Severity.HOLD, Severity.REFUSE))


def cases(config: TrainConfig, numbers: range, kind: str) -> Iterator[tuple[int, Pair]]:
    """Seed and pair of each clean held-out case of one kind, drawn once and then kept."""
    for order in orders(config, kind, numbers, held_out=True):
        path, seed = config.pool / f"clean_{order.name}.npz", order.seed
        if not path.exists():
            pair = draw_head(order, config.labels, config.pool)
            part = path.with_suffix(".part.npz")
            np.savez(part, mr=pair.mr, ct=pair.ct, tissues=pair.tissues)
            part.rename(path)
        with np.load(path) as kept:
            yield seed, Pair(mr=kept["mr"], ct=kept["ct"], tissues=kept["tissues"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much is injected."""

    first: int
    """Number of the first case, so that several processes may share the cases out."""
    cases: int
    """Clean held-out cases."""
    answers: int
    """Faults of the answer in each case, taken in turn from `ANSWER_FAULTS`."""
    questions: int
    """Cases whose MR is spoilt too, one kind each in turn; each is a pass of the network."""
    objects: int
    """Things that are no head; each is a pass of the network."""
    halved: int
    """Cases in which every fault of the answer is halved towards nothing."""
    asked_by_size: int
    """The same for faults of the MR, many passes each."""
    threads: int
    """Of the runtime; 0: one for each core. On a busy machine 1 wastes the least."""
    kind: str = MAPS
    """Generator of the heads, one of `models.populations.KINDS`."""


def run(model: ModelFolder, config: TrainConfig, amount: Amount) -> Tally:
    """Clean cases, their spoilt answers and questions, objects; the first cases also by size."""
    tally = Tally(model.manifest)
    # The checks are called here, so that the generator need not.
    unchecked = replace(model, manifest=replace(model.manifest, quality=None))
    generator = Generator(unchecked, providers=["cpu"], threads=amount.threads)
    names = tuple(QUESTIONS)
    numbers = range(amount.first, amount.first + amount.cases)
    for number, (seed, pair) in enumerate(cases(config, numbers, amount.kind)):
        clean = examined(generator, pair.mr)
        known = tally.add(CLEAN, clean)
        for turn in range(amount.answers):
            kind, size = ANSWER_FAULTS[(number * amount.answers + turn) % len(ANSWER_FAULTS)]
            tally.add(f"{kind} {size:g}", spoil(clean, kind, size, seed), known)
        if number < amount.questions:
            name = names[number % len(names)]
            for size in QUESTIONS[name].gross:
                spoilt = examined(generator, ask(pair, name, size, seed))
                tally.add(f"{name} {size:g}", spoilt, known)
        if number < amount.halved:
            _by_size(tally, clean, seed, known)
        if number < amount.asked_by_size:
            _questions_by_size(tally, generator, pair, seed, known)
        print(f"{number + 1} of {amount.cases}: {tally.verdict()}", flush=True)  # noqa: T201
    for number in range(amount.objects):
        thing, seed = OBJECTS[number % len(OBJECTS)], FIRST_SEED + amount.first + number
        tally.add(thing, examined(generator, object_in(thing, seed)))
    return tally


def _by_size(tally: Tally, clean: Examined, seed: int, known: frozenset[str]) -> None:
    for name, kind in ANSWERS.items():

        def caught(size: float, name: str = name) -> bool:
            return tally.caught(spoil(clean, name, size, seed), known)

        tally.smallest[name].append(smallest(caught, kind.none, kind.gross[-1]))


def _questions_by_size(
    tally: Tally, generator: Generator, pair: Pair, seed: int, known: frozenset[str]
) -> None:
    for name, kind in QUESTIONS.items():

        def caught(size: float, name: str = name) -> bool:
            return tally.caught(examined(generator, ask(pair, name, size, seed)), known)

        found = smallest(caught, kind.none, kind.gross[-1], _QUESTION_HALVINGS)
        tally.smallest[name].append(found)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    for name, usual in (
        ("first", 0),
        ("cases", 24),
        ("answers", len(ANSWER_FAULTS)),
        ("questions", 24),
        ("objects", 2 * len(OBJECTS)),
        ("halved", 8),
        ("asked-by-size", 2),
        ("threads", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--kind", choices=KINDS, default=MAPS, help="generator of the heads")
    parser.add_argument("--json", type=Path, help="write kinds, cases and codes here")
    given = vars(parser.parse_args())
    path, config = given.pop("model"), read_config(given.pop("config"))
    target: Path | None = given.pop("json")
    model = ModelFolder(path=path, manifest=read_manifest(path / "manifest.json"))
    tally = run(model, config, Amount(**given))
    if target:
        target.write_text(json.dumps(tally.summary() | {"smallest": tally.smallest}, indent=1))
    print(tally.tables())  # noqa: T201 - the command's answer
    print(tally.verdict())  # noqa: T201


if __name__ == "__main__":
    main()
