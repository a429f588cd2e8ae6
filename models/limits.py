"""The limits of the checks after synthesis, from a population the model answers for."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.data import cached_tissues
from models.pairs import Pair, apply, draw
from node.domain.geometry import Grid
from node.domain.volume import Unit, Volume
from node.infer.contrast import bright_skew
from node.infer.generator import Generator
from node.infer.order import disorder
from node.infer.outline import shift_mm, surface_bone
from node.infer.quality import Examined, Shares, measure
from node.infer.registry import ModelFolder
from node.infer.skull import bone_level_hu, histogram, look_at_vault, vault_bone_ml

UNCERTAIN_HU = 250.0
# How far beyond the population's own range a limit lies, as a share of that range.
_MARGIN = 0.3


def volume(signal: NDArray[np.float32]) -> Volume:
    """An MR on a 1 mm axial lattice."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3))
    return Volume(values=signal, affine=affine, frame_of_reference_uid="", unit=Unit.SIGNAL)


def clean_pair(labels: Path, kept: Path, subject: str, seed: int) -> Pair:
    """A pair as the model is made for: T1-like, thin slices, nothing cut off, no surgery."""
    p = draw(seed)
    tries = seed
    while not p.t1_like or p.slice_mm > 3:
        tries += 1_000_003
        p = draw(tries)
    whole = replace(p.anatomy, deface=False, tilted=False, flap=False, metal=False)
    p = replace(p, anatomy=whole, cut=(0, 0, 0, 0), noise=min(p.noise, 0.04))
    return apply(p, cached_tissues(labels, kept, subject))


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


def population(
    model: ModelFolder, labels: Path, kept: Path, subjects: Iterable[str], first_seed: int
) -> Iterator[Examined]:
    """One clean case of each subject."""
    pairs = (clean_pair(labels, kept, s, first_seed + n) for n, s in enumerate(subjects))
    yield from of_signals(model, (pair.mr for pair in pairs))


def of_signals(model: ModelFolder, signals: Iterable[NDArray[Any]]) -> Iterator[Examined]:
    """What the model answers to each MR."""
    generator = Generator(model, providers=["cpu"])
    for signal in signals:
        yield examined(generator, np.asarray(signal, np.float32))


def limits(cases: Iterable[Examined]) -> dict[str, Any]:
    """The manifest's ``quality``: the population's range and a margin to either side."""
    shares: list[Shares] = []
    spreads, opened, shifts, bare = [], [], [], []
    skews, levels, inner = [], [], []
    for case in cases:
        if not case.body.any():
            continue
        spacing = case.work.spacing_mm
        shares.append(measure(case, UNCERTAIN_HU))
        spreads.append(histogram(case.hu, case.body, spacing))
        vault = look_at_vault(case.hu, case.body, spacing)
        opened.append(vault.open_share if vault else 0.0)
        bare.append(surface_bone(case.hu, case.body, spacing))
        skews.append(bright_skew(case.signal, case.body, spacing) or 0.0)
        levels.append(bone_level_hu(case.hu, case.body, spacing) or 0.0)
        inner.append(vault_bone_ml(case.hu, case.body, spacing))
        shifts.append(max(abs(s) for s in shift_mm(case.hu, case.body, spacing)))
    usual = np.mean(spreads, axis=0)
    far = [float(np.abs(s - usual).sum() / 2) for s in spreads]
    return {
        "body_ml": _around([s.body_ml for s in shares], digits=0),
        "solidity": _around([s.solidity for s in shares])[0],
        "brain_share": _around([s.brain for s in shares]),
        "bone_share": _around([s.bone for s in shares]),
        "air_share": _around([s.air for s in shares]),
        "uncertain_hu": UNCERTAIN_HU,
        "uncertain_share": _around([s.unsure for s in shares])[1],
        "open_share": _above(opened, 0.01),
        "histogram": [round(float(h), 5) for h in usual],
        "histogram_distance": _above(far, 0.02),
        "shift_mm": _above(shifts, 0.8),
        # Of 79 T1-like pairs the highest was 1.64; a T2-weighted head gives 4.8.
        "bright_skew": _above(skews, 1.0),
        # Four real heads lay up to 15 % below the lowest of fourteen synthetic ones.
        "bone_hu": [round(0.7 * min(levels)), round(1.3 * max(levels))],
        # A real head whose coil leaves spurs of bone at the vertex had 0.8 ml.
        "vault_bone_ml": _above(inner, 1.0),
        # A dark rim of suppressed fat comes out as bone in a few: those are no measure.
        "surface_bone": _above([float(np.percentile(bare, 75))], 0.01),
    }


def _around(values: list[float], digits: int = 4) -> list[float]:
    low, high = min(values), max(values)
    spare = _MARGIN * max(high - low, 0.05 * high)
    return [round(max(0.0, low - spare), digits), round(high + spare, digits)]


def _above(values: list[float], least: float) -> float:
    high = max(values)
    return round(max(high * (1 + _MARGIN), high + least), 4)
