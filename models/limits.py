"""The limits of the checks after synthesis, from a population the model answers for.

``python -m models.limits models/head-t1.toml onnx/head-t1/1.3.0`` measures the population anew and
writes the manifest's ``quality``; an export does the same.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.config import TrainConfig, read_config
from models.data import Sample, pool_files, read_sample
from models.pairs import Pair
from models.populations import (
    KINDS,
    MAPS,
    RELABELLED,
    SOLIDS,
    draw_head,
    orders,
    volume,
)
from models.tissues import Tissue
from node.domain.geometry import Grid
from node.infer.contour_agreement import shift_mm, surface_bone
from node.infer.contrast import bright_skew
from node.infer.generator import Generator
from node.infer.manifest import Manifest, met_hu, read_manifest
from node.infer.quality import Examined, Shares, measure
from node.infer.registry import ModelFolder
from node.infer.skull import bone_level_hu, histogram, look_at_vault, vault_bone_ml
from node.infer.slice_order import disorder

UNCERTAIN_HU = 250.0
POPULATION = 84
"""Cases that set the limits: with fourteen, every sixth further head lay beyond some limit."""
OTHERS = 24
"""Heads of each further kind that widen them."""
# How far beyond the population's own range a limit lies, as a share of that range.
_MARGIN = 0.15
# A head whose error is this many times the usual one is not answered rightly, and sets no limit.
_RIGHT = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the limits are made of, of one case."""

    shares: Shares
    histogram: NDArray[np.float64]
    open_share: float
    surface_bone: float
    shift_mm: float
    bright_skew: float
    bone_hu: float
    vault_bone_ml: float
    error_hu: float
    """Mean absolute error in the true body."""


def examined(generator: Generator, signal: NDArray[np.float32]) -> Examined:
    """What the checks look at, of one MR on a 1 mm axial lattice."""
    mr = volume(signal)
    grid = Grid(shape=mr.grid.shape, affine=mr.affine)
    result = generator.synthesise(mr, grid)
    return Examined(
        hu=result.sct.values.astype(np.float32),
        scale=None if result.uncertainty is None else result.uncertainty.values,
        body=result.body,
        signal=signal,
        work=grid,
        source=mr.grid,
        disorder=disorder(signal),
    )


def unsure_hu(manifest: Manifest) -> float:
    """The half width that counts as unsure, as the manifest's curve tells it."""
    level = met_hu(np.array([UNCERTAIN_HU]), manifest.output.half_width_curve)
    return float(round(float(level[0])))


def figures(
    case: Examined,
    truth: NDArray[np.floating],
    body: NDArray[np.bool_],
    uncertain_hu: float = UNCERTAIN_HU,
) -> Figures | None:
    """Measure one case against its true CT and body; None where no body was found."""
    if not case.body.any():
        return None
    spacing = case.work.spacing_mm
    vault = look_at_vault(case.hu, case.body, spacing)
    return Figures(
        shares=measure(case, uncertain_hu),
        histogram=histogram(case.hu, case.body, spacing),
        open_share=vault.open_share if vault else 0.0,
        surface_bone=surface_bone(case.hu, case.body, spacing),
        shift_mm=max(abs(s) for s in shift_mm(case.hu, case.body, spacing)),
        bright_skew=bright_skew(case.signal, case.body, spacing) or 0.0,
        bone_hu=bone_level_hu(case.hu, case.body, spacing) or 0.0,
        vault_bone_ml=vault_bone_ml(case.hu, case.body, spacing),
        error_hu=float(np.abs(case.hu - truth)[body].mean()),
    )


def population(
    model: ModelFolder,
    config: TrainConfig,
    count: int = POPULATION,
    jobs: int = 0,
    kind: str = MAPS,
    keep: Path | None = None,
) -> list[Figures]:
    """Clean heads of one kind, or as many of the pool's pairs; in ``jobs`` processes.

    0: one for each core. What lies in ``keep`` of this very model is not measured again.
    """
    jobs = min(jobs or os.cpu_count() or 1, count)
    if jobs == 1:
        return list(_share(model, config, kind, range(count), keep))
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as processes:
        parts = [
            processes.submit(_share_of, model, config, kind, range(n, count, jobs), keep)
            for n in range(jobs)
        ]
        return [figures for part in parts for figures in part.result()]


def _share_of(
    model: ModelFolder, config: TrainConfig, kind: str, numbers: range, keep: Path | None
) -> list[Figures]:
    return list(_share(model, config, kind, numbers, keep))


def _share(
    model: ModelFolder, config: TrainConfig, kind: str, numbers: range, keep: Path | None
) -> Iterator[Figures]:
    # The limits are not there yet.
    unchecked = replace(model, manifest=replace(model.manifest, quality=None))
    generator = Generator(unchecked, providers=["cpu"], threads=1)
    for name, make in _heads(config, kind, numbers):
        path = None if keep is None else keep / f"{name}.json"
        if path is not None and path.exists():
            found = _read(path)
        else:
            found = _measured(generator, make())
            if path is not None:
                _write(path, found)
        if found is not None:
            yield found


def _measured(generator: Generator, pair: Pair | Sample) -> Figures | None:
    truth = pair.ct.astype(np.float32)
    case = examined(generator, np.asarray(pair.mr, np.float32))
    level = unsure_hu(generator.model.manifest)
    return figures(case, truth, pair.tissues != Tissue.OUTSIDE, level)


def _heads(
    config: TrainConfig, kind: str, numbers: range
) -> Iterator[tuple[str, Callable[[], Pair | Sample]]]:
    """Name of each, and what makes it."""
    if config.source == "synthetic":
        for order in orders(config, kind, numbers, held_out=False):
            yield order.name, partial(draw_head, order, config.labels, config.pool)
        return
    files = pool_files(config.pool, config.train)
    for n in numbers:
        if n < len(files):
            yield files[n].stem, partial(read_sample, files[n])


def _write(path: Path, found: Figures | None) -> None:
    told = None if found is None else asdict(found) | {"histogram": found.histogram.tolist()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def _read(path: Path) -> Figures | None:
    told = json.loads(path.read_text())
    if told is None:
        return None
    shares, usual = Shares(**told.pop("shares")), np.array(told.pop("histogram"), np.float64)
    return Figures(shares=shares, histogram=usual, **told)


def quality(
    model: ModelFolder, config: TrainConfig, jobs: int = 0, keep: Path | None = None
) -> dict[str, Any]:
    """The limits from every population there is."""
    out = limits(population(model, config, POPULATION, jobs, keep=keep))
    out["uncertain_hu"] = unsure_hu(model.manifest)
    if config.source == "synthetic":
        for kind in (SOLIDS, RELABELLED):
            out = widened(out, population(model, config, OTHERS, jobs, kind, keep))
    return out


def limits(cases: Iterable[Figures]) -> dict[str, Any]:
    """The manifest's ``quality``: the population's range and a margin to either side."""
    right = _right(cases)
    shares = [f.shares for f in right]
    usual = np.mean([f.histogram for f in right], axis=0)
    far = [float(np.abs(f.histogram - usual).sum() / 2) for f in right]
    levels = [f.bone_hu for f in right]
    return {
        "body_ml": _around([s.body_ml for s in shares], digits=0),
        "solidity": _around([s.solidity for s in shares])[0],
        "brain_share": _around([s.brain for s in shares]),
        "bone_share": _around([s.bone for s in shares]),
        "air_share": _around([s.air for s in shares]),
        "uncertain_hu": UNCERTAIN_HU,
        "uncertain_share": _around([s.unsure for s in shares])[1],
        "open_share": _above([f.open_share for f in right], 0.01),
        "histogram": [round(float(h), 5) for h in usual],
        "histogram_distance": _above(far, 0.02),
        "shift_mm": _above([f.shift_mm for f in right], 0.8),
        # Of 79 T1-like pairs the highest was 1.64; a T2-weighted head gives 4.8.
        "bright_skew": _above([f.bright_skew for f in right], 1.0),
        # Four real heads lay up to 15 % below the lowest of fourteen synthetic ones.
        "bone_hu": [round(0.7 * min(levels)), round(1.3 * max(levels))],
        # A real head whose coil leaves spurs of bone at the vertex had 0.8 ml. One head in eighty
        # is drawn with its base up there: it is held, lest a hole of 60 mm pass.
        "vault_bone_ml": _above([float(np.percentile([f.vault_bone_ml for f in right], 95))], 1.0),
        "surface_bone": _above([f.surface_bone for f in right], 0.01),
    }


def _right(cases: Iterable[Figures]) -> list[Figures]:
    """Those whose error is not far above the usual one of their kind."""
    found = list(cases)
    usual_error = float(np.median([f.error_hu for f in found]))
    return [f for f in found if f.error_hu <= _RIGHT * usual_error]


_LOWEST, _HIGHEST = (
    ("solidity",),
    ("uncertain_share", "open_share", "shift_mm", "bright_skew", "vault_bone_ml", "surface_bone"),
)
_BOTH = ("body_ml", "brain_share", "bone_share", "air_share", "bone_hu")


def widened(usual: dict[str, Any], cases: Iterable[Figures]) -> dict[str, Any]:
    """The limits with another population within them too; they only ever widen.

    The histogram stays that of the first population, whose heads are drawn to be as patients are;
    how far from it a head may lie is what changes.
    """
    found = list(cases)
    if not found:
        return usual
    theirs, out = limits(found), dict(usual)
    for key in _BOTH:
        (low, high), (lower, higher) = usual[key], theirs[key]
        out[key] = [min(low, lower), max(high, higher)]
    for key in _LOWEST:
        out[key] = min(usual[key], theirs[key])
    for key in _HIGHEST:
        out[key] = max(usual[key], theirs[key])
    middle = np.array(usual["histogram"])
    far = [float(np.abs(f.histogram - middle).sum() / 2) for f in _right(found)]
    out["histogram_distance"] = max(usual["histogram_distance"], _above(far, 0.02))
    return out


def _around(values: list[float], digits: int = 4) -> list[float]:
    low, high = min(values), max(values)
    spare = _MARGIN * max(high - low, 0.05 * high)
    return [round(max(0.0, low - spare), digits), round(high + spare, digits)]


def _above(values: list[float], least: float) -> float:
    high = max(values)
    return round(max(high * (1 + _MARGIN), high + least), 4)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one for each core")
    parser.add_argument("--keep", type=Path, help="figures of this model's heads, to go on from")
    parser.add_argument(
        "--widen",
        choices=KINDS,
        nargs="+",
        help="measure these kinds alone and widen the manifest's limits by them",
    )
    parser.add_argument("--cases", type=int, default=OTHERS, help="heads of each kind to widen by")
    given = parser.parse_args()
    path, config = given.model / "manifest.json", read_config(given.config)
    model = ModelFolder(path=given.model, manifest=read_manifest(path))
    manifest = json.loads(path.read_text())
    if given.widen:
        for kind in given.widen:
            found = population(model, config, given.cases, given.jobs, kind, given.keep)
            manifest["quality"] = widened(manifest["quality"], found)
    else:
        manifest["quality"] = quality(model, config, given.jobs, given.keep)
    path.write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    main()
