"""A generator on slices of real patients, by the node's own code.

``python -m models.studies.reality FOLDER --model onnx/head-t1/1.3.0``. ``FOLDER`` holds one
``.npz`` for each patient: ``mr_axial`` (8 bits), ``hu_axial`` and ``mask_axial``, (x, y) of 1 mm. A
slice is given to the generator 24 times over, as a volume; what that costs is measured on pairs
that are whole (``--pairs``). Half of the patients of each centre are there to choose by (``fit``),
the others to tell (``told``): their names alone decide. Pictures and answers show patients: they
are not written into this project.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.populations import volume
from models.studies.reality_figures import Answer, RealSlice, figures, medians, table
from node.domain.errors import Misconfigured
from node.domain.geometry import Grid, axial_grid
from node.domain.volume import Unit
from node.infer.files import read_image
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.preprocess import resample
from node.infer.registry import ModelFolder

Floats = NDArray[np.float32]

REPEATS = 24
"""Slices of the volume: the middle one sees nothing but itself 10 slices up and down."""
_PROJECT = Path(__file__).resolve().parents[2]


def read_slices(folder: Path) -> list[RealSlice]:
    """Every patient's axial slice, by name; `Misconfigured` when there is none."""
    out = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as kept:
            mr, hu, mask = (kept[f"{kind}_axial"].T for kind in ("mr", "hu", "mask"))
            out.append(
                RealSlice(
                    patient=path.stem,
                    mr=mr.astype(np.float32),
                    hu=hu.astype(np.float32),
                    mask=mask.astype(bool),
                )
            )
    if not out:
        raise Misconfigured(
            f"{folder} holds no slices.",
            remedy="One .npz for each patient, with mr_axial, hu_axial and mask_axial.",
        )
    return out


def split(patients: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Patients to choose by and patients to tell, half of each centre.

    Within a centre, the first three letters of a name, they stand in the order of the hashes of
    their names; the first half, rounded up, is to choose by.
    """
    fit: list[str] = []
    told: list[str] = []
    for centre in sorted({p[:3] for p in patients}):
        order = sorted((p for p in patients if p[:3] == centre), key=_hash)
        half = (len(order) + 1) // 2
        fit += order[:half]
        told += order[half:]
    return tuple(sorted(fit)), tuple(sorted(told))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def repeated(signal: Floats) -> Floats:
    """A slice (rows, columns) as a volume."""
    return np.repeat(signal[None].astype(np.float32), REPEATS, axis=0)


def answer(generator: Generator, signal: Floats) -> Answer:
    """The generator's answer to one slice given many times over."""
    mr = volume(repeated(signal))
    result = generator.synthesise(mr, Grid(shape=mr.grid.shape, affine=mr.affine))
    middle = REPEATS // 2
    half = result.uncertainty
    return Answer(
        hu=result.sct.values[middle].astype(np.float32),
        half_hu=None if half is None else half.values[middle].astype(np.float32),
        body=result.body[middle],
    )


def kept_answer(keep: Path | None, patient: str, make: Callable[[], Answer]) -> Answer:
    """The answer as it lies in ``keep``, or made and laid there."""
    if keep is None:
        return make()
    path = keep / f"{patient}.npz"
    if not path.exists():
        keep.mkdir(parents=True, exist_ok=True)
        made = make()
        half = np.zeros((0, 0), np.float32) if made.half_hu is None else made.half_hu
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, hu=made.hu.astype(np.int16), half=half, body=made.body)
        part.rename(path)
    with np.load(path) as kept:
        half = kept["half"]
        return Answer(
            hu=kept["hu"].astype(np.float32),
            half_hu=half.astype(np.float32) if half.size else None,
            body=kept["body"],
        )


def bare(path: Path, threads: int) -> Generator:
    """The model of a folder without its checks: a slice is no head to them."""
    manifest = read_manifest(path / "manifest.json")
    model = ModelFolder(path=path, manifest=replace(manifest, quality=None))
    return Generator(model, providers=["cpu"], threads=threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the repeated slice costs at one level of a whole pair."""

    level: str
    """Pair and height below the vertex."""
    whole: dict[str, float]
    """Figures of the slice in the answer to the whole volume."""
    alone: dict[str, float]
    """Figures of the same slice given many times over."""


def costs(
    generator: Generator,
    name: str,
    mr: Floats,
    truth: Floats,
    heights_mm: Iterable[int] = (45, 60, 75, 90),
) -> list[Cost]:
    """Whole against repeated, at heights below the vertex where the real slices lie."""
    source = volume(mr)
    result = generator.synthesise(source, Grid(shape=source.grid.shape, affine=source.affine))
    top = int(np.flatnonzero(result.body.any(axis=(1, 2)))[-1])
    out = []
    for height in heights_mm:
        n = top - height
        if n < 0:
            continue
        level = f"{name}, {height} mm"
        real = RealSlice(patient=level, mr=mr[n], hu=truth[n], mask=np.ones(mr[n].shape, bool))
        half = None if result.uncertainty is None else result.uncertainty.values[n]
        whole = Answer(
            hu=result.sct.values[n].astype(np.float32), half_hu=half, body=result.body[n]
        )
        out.append(
            Cost(
                level=level,
                whole=figures(real, whole),
                alone=figures(real, answer(generator, mr[n])),
            )
        )
    return out


def _pair_costs(generator: Generator, folders: Iterable[Path]) -> list[Cost]:
    out = []
    for folder in folders:
        mr, ct = (
            read_image(folder / name, unit)
            for name, unit in (("mr_t1like.nii.gz", Unit.SIGNAL), ("ct_truth.nii.gz", Unit.HU))
        )
        grid = axial_grid(mr.grid, spacing_mm=1.0, max_matrix=100_000)
        truth = resample(ct, grid, fill=-1000.0)
        out += costs(generator, folder.name, resample(mr, grid), truth)
    return out


def report(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Medians of both halves, and of each by centre and by contrast agent."""
    halves = dict(zip(("fit", "told"), split(tuple(rows)), strict=True))
    out: dict[str, dict[str, Any]] = {}
    for half, names in halves.items():
        groups = {"all": names}
        for centre in sorted({n[:3] for n in names}):
            groups[centre] = tuple(n for n in names if n[:3] == centre)
        agent = {n for n in names if rows[n]["enhanced"] > 0}
        groups["with contrast agent"] = tuple(n for n in names if n in agent)
        groups["without"] = tuple(n for n in names if n not in agent)
        out[half] = {
            group: medians([rows[n] for n in members]) | {"patients": len(members)}
            for group, members in groups.items()
            if members
        }
    return out


def outside_the_project(given: str) -> Path:
    """The path, unless it lies in this project: what shows a patient has no place there."""
    whole = Path(given).resolve()
    if whole == _PROJECT or _PROJECT in whole.parents:
        raise Misconfigured(
            f"{given} lies in this project, which holds no patients' images.",
            remedy="Name a folder elsewhere.",
        )
    return whole


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=Path("onnx/head-t1/1.3.0"))
    parser.add_argument("--keep", type=outside_the_project, help="answers, to look at again")
    parser.add_argument("--json", type=Path, help="write the medians and every row here")
    parser.add_argument("--pictures", type=outside_the_project, help="draw the ten worst here")
    parser.add_argument("--pairs", type=Path, nargs="*", default=[], help="whole pairs: the cost")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    slices = read_slices(given.folder)
    generator = bare(given.model, given.threads)
    answers: dict[str, Answer] = {}
    for real in slices:
        make = partial(answer, generator, real.mr)
        answers[real.patient] = kept_answer(given.keep, real.patient, make)
    rows = {real.patient: figures(real, answers[real.patient]) for real in slices}
    told = report(rows)
    print(table(told))  # noqa: T201 - the command's answer
    found = _pair_costs(generator, given.pairs)
    for cost in found:
        line = ", ".join(f"{k} {cost.whole[k]:.3g} to {cost.alone[k]:.3g}" for k in _COSTLY)
        print(f"whole to repeated: {cost.level}: {line}")  # noqa: T201
    if given.json:
        paid = {c.level: {"whole": c.whole, "alone": c.alone} for c in found}
        given.json.write_text(json.dumps({"medians": told, "rows": rows, "cost": paid}, indent=1))
    if given.pictures:
        from models.studies.reality_pictures import draw_worst

        draw_worst(slices, answers, rows, given.pictures)


_COSTLY = ("MAE in the body", "bone Dice", "MAE of bone", "ME of bone", "MAE of soft tissue")


if __name__ == "__main__":
    main()
