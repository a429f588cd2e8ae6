"""Clean heads of three generators: to set limits by, and others to try the checks on.

``maps``: the generator the network learnt from. ``solids``: `models.solids`, no label map at all.
``relabelled``: `models.relabelled`, maps of subjects that nothing was learnt from. The latter two
are painted by `models.relaxation`. One generator's heads are more alike than patients are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.config import TrainConfig
from models.data import cached_tissues
from models.pairs import Pair, PairParameters, apply, draw
from models.relabelled import refill, repose
from models.relaxation import paint
from models.solids import build, draw_build
from models.tissues import Tissue
from node.domain.geometry import Grid
from node.domain.volume import Unit, Volume
from node.infer.fov_edges import faces
from node.infer.quality import CUT_SHARE

MAPS, SOLIDS, RELABELLED = "maps", "solids", "relabelled"
KINDS = (MAPS, SOLIDS, RELABELLED)
_NEXT_SEED = 1_000_003
# Of the heads that set limits, and of those that are tried against them.
_FIRST_SEEDS = {MAPS: (80_000, 880_000), SOLIDS: (500, 700), RELABELLED: (500, 700)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which head to draw."""

    kind: str
    """One of `KINDS`."""
    subject: str
    """Of the label map; empty where there is none."""
    seed: int
    """Decides all else."""

    @property
    def name(self) -> str:
        """For a file."""
        return "_".join(part for part in (self.kind, str(self.seed), self.subject) if part)


def orders(config: TrainConfig, kind: str, numbers: range, *, held_out: bool) -> Iterator[Order]:
    """The heads of one kind; ``held_out``: of subjects and seeds that set no limit."""
    first = _FIRST_SEEDS[kind][int(held_out)]
    subjects = {
        MAPS: config.validate if held_out else config.train,
        SOLIDS: ("",),
        RELABELLED: config.validate if held_out else config.others,
    }[kind]
    for number in numbers if subjects else ():
        yield Order(kind=kind, subject=subjects[number % len(subjects)], seed=first + number)


def draw_head(order: Order, labels: Path, kept: Path) -> Pair:
    """Draw it; one that reaches beyond the field of view is drawn anew."""
    makers: dict[str, Callable[[int], Pair | None]] = {
        MAPS: lambda seed: _of_maps(labels, kept, order.subject, seed),
        SOLIDS: _of_solids,
        RELABELLED: lambda seed: _relabelled(labels, kept, order.subject, seed),
    }
    make, seed = makers[order.kind], order.seed
    while True:
        pair = make(seed)
        if pair is not None and not is_cut(pair):
            return pair
        seed += _NEXT_SEED


def _of_maps(labels: Path, kept: Path, subject: str, seed: int) -> Pair | None:
    """As the model is made for: T1-like, thin slices, no surgery, no part of it cut off."""
    p = draw(seed)
    if not p.t1_like or p.slice_mm > 3:
        return None
    return apply(_kind(p), cached_tissues(labels, kept, subject))


def _of_solids(seed: int) -> Pair:
    rng = np.random.default_rng([seed, 9])
    return paint(build(draw_build(rng), rng), rng)


def _relabelled(labels: Path, kept: Path, subject: str, seed: int) -> Pair:
    rng = np.random.default_rng([seed, 9])
    return paint(refill(repose(cached_tissues(labels, kept, subject), rng), rng), rng)


def _kind(p: PairParameters) -> PairParameters:
    whole = replace(p.anatomy, deface=False, tilted=False, flap=False, metal=False)
    return replace(p, anatomy=whole, cut=(0, 0, 0, 0), noise=min(p.noise, 0.04))


def is_cut(pair: Pair) -> bool:
    """Whether the head was moved beyond the field of view; its neck always ends there."""
    grid = _grid(pair.mr.shape)
    ends = faces(pair.tissues != Tissue.OUTSIDE, grid, grid)
    return any(f.of_section > CUT_SHARE for f in ends if f.side != "bottom")


def volume(signal: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Volume:
    """An MR on a 1 mm axial lattice."""
    affine = _grid(signal.shape).affine
    return Volume(values=signal, affine=affine, frame_of_reference_uid="", unit=Unit.SIGNAL)


def _grid(shape: tuple[int, ...]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3))
    slices, rows, columns = shape
    return Grid(shape=(slices, rows, columns), affine=affine)
