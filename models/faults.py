"""Gross faults, injected on purpose: what the checks after synthesis must never let pass.

Some spoil the answer (`spoil`), some the question (`spoilt_input`), some are no head at all
(`object_in`). Each has a size, so that the smallest one still caught can be found.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.infer.quality import Examined

Floats = NDArray[np.float32]
Rng = np.random.Generator


def _no_bone(case: Examined, _size: float, _rng: Rng) -> Floats:
    return np.where(case.hu > 150, 40, case.hu).astype(np.float32)


def _hole(case: Examined, size_mm: float, rng: Rng) -> Floats:
    """Bone within ``size_mm`` of a point of the vault becomes soft tissue."""
    bone = case.body & (case.hu > 250)
    high = bone.copy()
    top = np.flatnonzero(case.body.any(axis=(1, 2)))[-1]
    spacing = np.array(case.work.spacing_mm)
    high[: top - round(45 / spacing[0])] = False
    vault = np.argwhere(high)
    if not len(vault):
        return _no_bone(case, 0, rng)
    axes = np.meshgrid(*(np.arange(n) for n in bone.shape), indexing="ij", sparse=True)
    middle = vault[int(rng.integers(len(vault)))]
    parts = zip(axes, middle, spacing, strict=True)
    away = np.sqrt(sum(((axis - c) * step) ** 2 for axis, c, step in parts))
    return np.where(bone & (away < size_mm), 40, case.hu).astype(np.float32)


def _swapped(case: Examined, size: float, _rng: Rng) -> Floats:
    """Air becomes tissue and a share ``size`` of the soft tissue, from the top, air."""
    air, soft = case.hu < -400, (case.hu > -150) & (case.hu < 150) & case.body
    out = np.where(air & case.body, 40, case.hu)
    height = np.argwhere(soft)[:, 0]
    limit = np.quantile(height, 1 - size) if height.size else 0
    high = np.arange(out.shape[0])[:, None, None] >= limit
    return np.where(soft & high, -1000, out).astype(np.float32)


def _shifted(case: Examined, size_mm: float, rng: Rng) -> Floats:
    axis = int(rng.integers(3))
    step = max(1, round(size_mm / case.work.spacing_mm[axis])) * int(rng.choice([-1, 1]))
    moved = np.roll(case.hu, step, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, step) if step > 0 else slice(step, None)
    moved[tuple(edge)] = -1000
    return np.asarray(moved, np.float32)


def _scaled(case: Examined, size: float, _rng: Rng) -> Floats:
    """HU multiplied: a wrong slope."""
    return np.where(case.body, case.hu * size, case.hu).astype(np.float32)


def _outside(case: Examined, size_mm: float, _rng: Rng) -> Floats:
    """A block of tissue in a corner of the room."""
    out = case.hu.copy()
    n = [max(1, round(size_mm / s)) for s in case.work.spacing_mm]
    out[: n[0], : n[1], : n[2]] = 40
    return out


_ANSWERS: dict[str, tuple[Callable[[Examined, float, Rng], Floats], tuple[float, ...]]] = {
    "bone removed": (_no_bone, (1.0,)),
    "hole in the vault, mm": (_hole, (40.0, 30.0, 20.0)),
    "air and tissue swapped, share": (_swapped, (1.0, 0.5, 0.25)),
    "shifted, mm": (_shifted, (10.0, 5.0, 3.0)),
    "wrong slope": (_scaled, (0.5, 2.0)),
    "tissue outside, mm": (_outside, (20.0, 10.0)),
}
ANSWER_FAULTS = tuple((kind, size) for kind, (_, sizes) in _ANSWERS.items() for size in sizes)
"""Kinds of `spoil` with their sizes."""

SMALLER_FAULTS = (
    ("hole in the vault, mm", 15.0),
    ("hole in the vault, mm", 10.0),
    ("air and tissue swapped, share", 0.1),
    ("air and tissue swapped, share", 0.05),
    ("shifted, mm", 2.0),
    ("shifted, mm", 1.0),
    ("wrong slope", 0.7),
    ("wrong slope", 0.85),
    ("wrong slope", 1.2),
    ("wrong slope", 1.5),
    ("tissue outside, mm", 5.0),
)
"""Sizes that are not gross: they show where the checks end."""


def spoil(case: Examined, kind: str, size: float, seed: int) -> Examined:
    """The same case with a spoilt answer."""
    change, _ = _ANSWERS[kind]
    return replace(case, hu=change(case, size, np.random.default_rng(seed)))


INPUT_FAULTS = ("half field of view", "inverted contrast", "wrong slice order", "signal clipped")
"""Kinds of `spoilt_input`."""


def spoilt_input(signal: Floats, body: NDArray[np.bool_], kind: str, seed: int) -> Floats:
    """Spoil an MR on its lattice (slices, rows, columns)."""
    rng = np.random.default_rng(seed)
    if kind == "half field of view":
        axis = int(rng.integers(1, 3))
        middle = signal.shape[axis] // 2
        return np.take(signal, np.arange(middle), axis=axis)
    if kind == "inverted contrast":
        bright = float(np.percentile(signal[body], 99))
        return np.where(body, np.clip(bright - signal, 0, None), signal).astype(np.float32)
    if kind == "wrong slice order":
        return signal[rng.permutation(signal.shape[0])]
    if kind == "signal clipped":
        level = float(np.percentile(signal[body], 15))
        return np.clip(signal, 0, level).astype(np.float32)
    raise ValueError(f"there is no fault {kind!r}")


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
