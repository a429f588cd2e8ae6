"""Acceptance checks of pixel values: what headers do not tell of the slices of one stack.

They look at the decoded slices at their own positions, before anything is resampled, and compare
each with its neighbours: anatomy changes little from slice to slice, a slice that was scaled,
swapped, repeated or lost does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.domain.checks.rules import place, uids_of
from node.domain.findings import Finding, finding
from node.domain.stack import Stack

Floats: TypeAlias = NDArray[np.float64]

# Neighbours of real heads, 1 to 5 mm apart and interleaved ones included, step by at most 17 % more
# than the slices around them do.
LEVEL_STEP = 1.25
# A slice with less energy than this share of the usual one shows little tissue: no level to judge.
_LEAST_ENERGY = 0.15
_EMPTY_ENERGY = 1e-4
# How much less a slice may resemble its neighbours than these resemble each other; in order, real
# heads stay at 1.0.
_ORDER_FACTOR = 1.3
_ORDER_LEAST = 0.004
_REACH = 8
# Slices are compared on a coarse lattice: anatomy, not noise.
_COARSE = 48
# What counts as tissue, of the bright end of a slice, and how much of it two slices must share.
_TISSUE = 0.35
_LEAST_SHARED = 0.02
_ALIKE_FACTOR, _ALIKE_LEAST = 2.0, 0.005
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pixels:
    """The decoded slices of one stack."""

    stack: Stack
    values: NDArray[np.float32]
    """Signal, (slice, row, column), slices as they lie in the stack."""
    stored_low: NDArray[np.int64]
    """Lowest stored value of each slice, before the rescale."""
    stored_high: NDArray[np.int64]
    """Highest stored value of each slice, before the rescale."""


Check: TypeAlias = Callable[[Pixels], Finding | None]


def run(pixels: Pixels) -> tuple[Finding, ...]:
    """Every finding of every check in `CHECKS`, in its order; alone when there is no signal."""
    blank = constant(pixels)
    if blank is not None:
        return (blank,)
    found = (check(pixels) for check in CHECKS)
    return tuple(f for f in found if f is not None)


def constant(pixels: Pixels) -> Finding | None:
    """A series of one value shows nothing."""
    low, high = float(pixels.values.min()), float(pixels.values.max())
    if low != high:
        return None
    return finding("PIXELS_CONSTANT", value=low, uids=uids_of(pixels.stack.slices))


def out_of_range(pixels: Pixels) -> Finding | None:
    """Values beyond BitsStored (PS3.3 C.7.6.3.1): another byte order, another format, overlays."""
    instances = [s.instance for s in pixels.stack.slices]
    signed = np.array([i.pixel_representation == 1 for i in instances])
    bits = np.array([i.bits_stored for i in instances])
    high = np.where(signed, 2.0 ** (bits - 1) - 1, 2.0**bits - 1)
    low = np.where(signed, -(2.0 ** (bits - 1)), 0.0)
    odd = (pixels.stored_high > high) | (pixels.stored_low < low)
    if not odd.any():
        return None
    worst = int(np.argmax(np.where(odd, pixels.stored_high, -(2**40))))
    return _named(
        "PIXELS_RANGE", pixels, odd, highest=int(pixels.stored_high[worst]),
        bits=int(bits[worst]), limit=int(high[worst]),
    )  # fmt: skip


def slice_empty(pixels: Pixels) -> Finding | None:
    """A slice without signal between slices with signal has lost its pixels."""
    energy = _energy(pixels.values)
    usual = float(np.median(energy[energy > 0])) if energy.any() else 0.0
    full = np.flatnonzero(energy > _LEAST_ENERGY * usual)
    empty = energy <= _EMPTY_ENERGY * usual
    if len(full) < 2:
        return None
    inside = np.arange(len(energy))
    return _named("SLICE_EMPTY", pixels, empty & (inside > full[0]) & (inside < full[-1]))


def slice_repeated(pixels: Pixels) -> Finding | None:
    """Noise never repeats: equal pixels at two positions are one slice filed twice."""
    seen: dict[bytes, int] = {}
    odd = np.zeros(len(pixels.values), bool)
    for n, values in enumerate(pixels.values):
        if values.min() == values.max():
            continue
        first = seen.setdefault(values.tobytes(), n)
        odd[n] = odd[first] = odd[first] or first != n
    return _named("SLICE_REPEATED", pixels, odd)


def level_step(pixels: Pixels) -> Finding | None:
    """Slices, or blocks of slices, on another scale than what lies around them."""
    steps, sound = _level_steps(pixels.values)
    excess = _excess(steps, sound) if len(steps) > 2 else np.zeros_like(steps)
    jump = excess > np.log(LEVEL_STEP)
    if not jump.any():
        return None
    levels = np.concatenate([[0.0], np.cumsum(np.where(sound, steps, 0.0))])
    factor = float(np.exp(excess[jump].max()))
    return _named("SCALING_STEP", pixels, _odd_sides(jump, levels), factor=round(factor, 2))


def slice_order(pixels: Pixels) -> Finding | None:
    """A slice that fits better elsewhere than between its neighbours is not where it is said."""
    looks = _looks(pixels.values)
    if len(looks) < 5:
        return None
    odd = _stranger(looks) | _exchanged(looks)
    return _named("SLICE_ORDER", pixels, odd)


def _stranger(looks: Floats) -> NDArray[np.bool_]:
    """Slices less like both neighbours than these are like each other."""
    beside, across = _unlike(looks[:-1], looks[1:]), _unlike(looks[:-2], looks[2:])
    odd = np.zeros(len(looks), bool)
    odd[1:-1] = _clearly(np.minimum(beside[:-1], beside[1:]), across)
    return odd


def _exchanged(looks: Floats) -> NDArray[np.bool_]:
    """Pairs of slices, up to `_REACH` apart, that both fit better at each other's place."""
    unlike = 1.0 - looks @ looks.T
    odd = np.zeros(len(looks), bool)
    for n in range(1, len(looks) - 2):
        for k in range(n + 1, min(len(looks) - 1, n + _REACH + 1)):
            now = unlike[n - 1, n] + unlike[k, k + 1]
            then = unlike[n - 1, k] + unlike[n, k + 1]
            if k > n + 1:  # what lies between them changes neighbours, too
                now += unlike[n, n + 1] + unlike[k - 1, k]
                then += unlike[k, n + 1] + unlike[k - 1, n]
            if _clearly(now, then):
                odd[n] = odd[k] = True
    return odd


def _clearly(more: Any, less: Any) -> Any:
    """Whether ``more`` exceeds ``less`` by more than chance explains."""
    return (more > _ORDER_FACTOR * less) & (more - less > _ORDER_LEAST)


CHECKS: tuple[Check, ...] = (out_of_range, slice_empty, slice_repeated, level_step, slice_order)


def _named(
    code: str, pixels: Pixels, odd: NDArray[np.bool_], **values: str | float
) -> Finding | None:
    slices = [s for s, is_odd in zip(pixels.stack.slices, odd, strict=True) if is_odd]
    if not slices:
        return None
    named = [place(s) for s in slices[:_NAMED]]
    told: dict[str, Any] = {"count": len(slices), "slices": named, **values}
    return finding(code, uids=uids_of(slices), **told)


def _energy(values: NDArray[np.float32]) -> Floats:
    """Mean square of each slice."""
    return np.array([np.mean(np.square(v, dtype=np.float64)) for v in values])


def _excess(steps: Floats, sound: NDArray[np.bool_]) -> Floats:
    """How much each step stands out from the one before and the one after, the lesser of both.

    Where anatomy ends, steps grow one after the other; a step that stands alone is no anatomy.
    """
    excess = np.zeros_like(steps)
    change = np.diff(steps)
    alone = change[:-1] * change[1:] < 0
    inner = np.minimum(np.abs(change[:-1]), np.abs(change[1:]))
    excess[1:-1] = np.where(alone & sound[:-2] & sound[1:-1] & sound[2:], inner, 0.0)
    return excess


def _odd_sides(jump: NDArray[np.bool_], levels: Floats) -> NDArray[np.bool_]:
    """The slices beside each jump whose level is further from the stack's usual one."""
    odd = np.zeros(len(levels), bool)
    usual = float(np.median(levels))
    for n in np.flatnonzero(jump):
        odd[n if abs(levels[n] - usual) > abs(levels[n + 1] - usual) else n + 1] = True
    return odd


def _level_steps(values: NDArray[np.float32]) -> tuple[Floats, NDArray[np.bool_]]:
    """Logarithm of how much brighter each slice is than the last, where both show tissue.

    Tissue is what stands out in its own slice, whatever the scale of that slice. At the ends of a
    stack tissue gives way to noise; there neighbours do not look alike and nothing is judged.
    """
    coarse, looks = _coarse(values), _looks(values)
    unlike = _unlike(looks[:-1], looks[1:])
    alike = unlike <= _ALIKE_FACTOR * float(np.median(unlike)) + _ALIKE_LEAST
    top = np.percentile(coarse, 95, axis=1, keepdims=True)
    tissue = (coarse > _TISSUE * top) & (top > 0)
    steps = np.zeros(max(0, len(values) - 1))
    sound = np.zeros(len(steps), bool)
    for n in range(len(steps)):
        both = tissue[n] & tissue[n + 1]
        if alike[n] and both.mean() >= _LEAST_SHARED:
            steps[n] = float(np.median(np.log(coarse[n + 1][both] / coarse[n][both])))
            sound[n] = True
    return steps, sound


def _coarse(values: NDArray[np.float32]) -> Floats:
    """Means over blocks of each slice; (slices, features)."""
    factors = [max(1, n // _COARSE) for n in values.shape[1:]]
    rows, columns = (n // f * f for n, f in zip(values.shape[1:], factors, strict=True))
    shape = (len(values), rows // factors[0], factors[0], columns // factors[1], factors[1])
    blocks = values[:, :rows, :columns].reshape(shape).mean(axis=(2, 4), dtype=np.float64)
    coarse: Floats = blocks.reshape(len(values), -1)
    return coarse


def _looks(values: NDArray[np.float32]) -> Floats:
    """Each slice on the coarse lattice, mean 0 and length 1; (slices, features)."""
    flat = _coarse(values)
    flat = flat - flat.mean(axis=1, keepdims=True)
    looks: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return looks


def _unlike(a: Floats, b: Floats) -> Floats:
    """1 less the correlation of rows."""
    unlike: Floats = 1.0 - np.einsum("ij,ij->i", a, b)
    return unlike
