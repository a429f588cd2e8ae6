"""Gross faults of the MR, and what is no head at all; each asks for a pass of the network.

How the pair was drawn is known, so that the same head can be shown in another contrast.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.data import count
from models.pairs import Pair, draw, repaint
from models.tissues import FAT_SHARE, Tissue
from node.infer.preprocess import body_mask

Floats = NDArray[np.float32]
Rng = np.random.Generator

# Signal of a T2-weighted turbo spin echo, cortical grey matter near 0.7.
_T2 = {
    Tissue.WHITE: 0.45,
    Tissue.GREY: 0.68,
    Tissue.DEEP_GREY: 0.55,
    Tissue.CSF: 1.6,
    Tissue.EYE: 1.6,
    Tissue.MUSCLE: 0.25,
    Tissue.SOFT: 0.4,
    Tissue.SKIN: 0.5,
    Tissue.MUCOSA: 1.0,
    Tissue.VESSEL: 0.1,
    Tissue.NERVE: 0.5,
    Tissue.FAT: 0.95,
    Tissue.DIPLOE: 0.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One way to spoil an MR."""

    change: Callable[[Pair, float, Rng], Floats]
    """Pair, size and chance to the spoilt MR."""
    gross: tuple[float, ...]
    """Sizes that must be caught, largest fault first."""
    none: float | None
    """The size that changes nothing; None: the kind has no smaller faults."""


def _t2(pair: Pair, _size: float, rng: Rng) -> Floats:
    """The same head, T2-weighted."""
    p = draw(int(rng.integers(2**31)))
    mixed = {t: (1 - f) * _T2[Tissue.MUSCLE] + f * _T2[Tissue.FAT] for t, f in FAT_SHARE.items()}
    signal = p.signal | {int(t): v for t, v in (_T2 | mixed).items()}
    plain = replace(p, signal=signal, noise=0.02, slice_mm=1.0, bias=0.1)
    return repaint(plain, pair.tissues, count(pair.tissues))


def _inverted(pair: Pair, share: float, _rng: Rng) -> Floats:
    """Dark is bright, mixed with the right contrast at a share below 1."""
    body = body_mask(pair.mr, (1.0, 1.0, 1.0))
    bright = float(np.percentile(pair.mr[body], 99))
    turned = np.where(body, np.clip(bright - pair.mr, 0, None), pair.mr)
    return np.asarray((1 - share) * pair.mr + share * turned, np.float32)


def _clipped(pair: Pair, percentile: float, _rng: Rng) -> Floats:
    """Signal above a percentile of the body's is cut off, as where a detector overflows."""
    body = body_mask(pair.mr, (1.0, 1.0, 1.0))
    return np.clip(pair.mr, 0, float(np.percentile(pair.mr[body], percentile)))


def _shuffled(pair: Pair, share: float, rng: Rng) -> Floats:
    """A share of the slices lies in each other's place."""
    order = np.arange(pair.mr.shape[0])
    some = rng.permutation(order.size)[: round(share * order.size)]
    order[np.sort(some)] = order[some]
    return pair.mr[order]


def _void(pair: Pair, diameter_mm: float, rng: Rng) -> Floats:
    """A ball of no signal within the upper head, as beside metal or a broken coil."""
    body = body_mask(pair.mr, (1.0, 1.0, 1.0))
    top = int(np.flatnonzero(body.any(axis=(1, 2)))[-1])
    inside = np.argwhere(body[max(0, top - 100) : top - 20 : 4, ::4, ::4])
    z, y, x = inside[int(rng.integers(len(inside)))] * 4 + [max(0, top - 100), 0, 0]
    return _silenced(pair.mr, (z, y, x), diameter_mm)


def _silenced(mr: Floats, middle: tuple[float, float, float], diameter_mm: float) -> Floats:
    axes = np.meshgrid(*(np.arange(n) for n in mr.shape), indexing="ij", sparse=True)
    away = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, middle, strict=True)))
    return np.where(away < diameter_mm / 2, 0.02, mr).astype(np.float32)


def _void_at(place: str) -> Callable[[Pair, float, Rng], Floats]:
    """The same ball 30 mm below the vertex, 65 mm below it, or 32 mm from one side of the head."""

    def changed(pair: Pair, diameter_mm: float, _rng: Rng) -> Floats:
        body = body_mask(pair.mr, (1.0, 1.0, 1.0))
        top = int(np.flatnonzero(body.any(axis=(1, 2)))[-1])
        rows, columns = np.nonzero(body[max(0, top - 60)])
        row, column = float(rows.mean()), float(columns.mean())
        middle = {
            "vertex": (top - 30, row, column),
            "centre": (top - 65, row, column),
            "side": (top - 60, row, float(columns.max()) - 32),
        }[place]
        return _silenced(pair.mr, middle, diameter_mm)

    return changed


QUESTIONS: dict[str, Question] = {
    "T2-weighted": Question(change=_t2, gross=(1.0,), none=None),
    "inverted contrast, share": Question(change=_inverted, gross=(1.0,), none=0.0),
    "signal clipped, percentile": Question(change=_clipped, gross=(15.0,), none=100.0),
    "slices out of order, share": Question(change=_shuffled, gross=(1.0,), none=0.0),
    "ball without signal, diameter in mm": Question(change=_void, gross=(60.0,), none=0.0),
    **{
        f"ball without signal at the {place}, diameter in mm": Question(
            change=_void_at(place), gross=(60.0,), none=0.0
        )
        for place in ("vertex", "centre", "side")
    },
}
"""Kinds of `ask` by name."""


def ask(pair: Pair, name: str, size: float, seed: int) -> Floats:
    """Spoil the MR of a pair; (slices, rows, columns), 1 mm."""
    return np.ascontiguousarray(
        QUESTIONS[name].change(pair, size, np.random.default_rng(seed)), np.float32
    )


OBJECTS = ("ball", "bottle", "grid", "melon", "box", "two bottles", "noise")
"""Kinds of `object_in`."""


def object_in(kind: str, seed: int, shape: tuple[int, int, int] = (180, 220, 180)) -> Floats:
    """An MR of something that is no head, 1 mm voxels."""
    rng = np.random.default_rng(seed)
    axes = [np.arange(n) - n / 2 + rng.uniform(-5, 5) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    size = float(rng.uniform(65, 85))
    radius = np.sqrt(z**2 + y**2 + x**2)
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "ball": lambda: radius < size,
        "bottle": lambda: (np.hypot(y, x) < size * 0.8) & (np.abs(z) < size),
        "grid": lambda: _grid(z, y, x, size),
        "melon": lambda: _melon(radius, size, rng, shape),
        "box": lambda: (np.abs(z) < size) & (np.abs(y) < size) & (np.abs(x) < size * 0.8),
        "two bottles": lambda: (
            (np.minimum(np.hypot(y, x - 45), np.hypot(y, x + 45)) < 38) & (np.abs(z) < size)
        ),
        "noise": lambda: np.abs(rng.standard_normal(shape)) * 0.3,
    }
    out = makers[kind]()
    signal = ndimage.gaussian_filter(np.asarray(out, np.float32), 0.8)
    real = signal + 0.02 * rng.standard_normal(shape)
    return np.asarray(np.hypot(real, 0.02 * rng.standard_normal(shape)), np.float32)


def _grid(z: Floats, y: Floats, x: Floats, size: float) -> Floats:
    """Water between plates, as in phantoms for geometric distortion."""
    inside = (np.abs(z) < size) & (np.abs(y) < size) & (np.abs(x) < size)
    lines = (np.mod(z, 15) < 3) | (np.mod(y, 15) < 3) | (np.mod(x, 15) < 3)
    return np.asarray(inside & lines, np.float32)


def _melon(radius: Floats, size: float, rng: Rng, shape: tuple[int, int, int]) -> Floats:
    """Dark rind, bright flesh, a core with seeds: the fruit most like a head."""
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 3)
    texture /= texture.std()
    flesh = 0.8 + 0.08 * texture
    out = np.where(radius < size, flesh, 0.0)
    out = np.where((radius > size - 8) & (radius < size - 3), 0.25, out)
    out = np.where((radius < size * 0.4) & (texture > 0.8), 0.1, out)
    return np.asarray(out, np.float32)
