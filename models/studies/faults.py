"""Gross faults of an answer, injected on purpose: what the checks must never let pass.

Each kind has a size, so that the smallest fault still caught can be found. Most touch the
synthetic CT alone, some the field of view: one pass of the network serves them all. Faults of the
MR, and what is no head, are in `models.studies.faults_input`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.geometry import Grid, lps_from_index
from node.infer.preprocess import body_mask, tighten
from node.infer.quality import Examined

Floats = NDArray[np.float32]
Rng = np.random.Generator

AIR_HU, TISSUE_HU = -1000.0, 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One way to spoil a case."""

    change: Callable[[Examined, float, Rng], Examined]
    """Case, size and chance to the spoilt case."""
    gross: tuple[float, ...]
    """Sizes that must be caught, largest fault first."""
    none: float | None
    """The size that changes nothing; None: the kind has no smaller faults."""


def _with(case: Examined, hu: NDArray[np.floating]) -> Examined:
    return replace(case, hu=np.asarray(hu, np.float32))


def _no_bone(case: Examined, share: float, _rng: Rng) -> Examined:
    """A share of the bone, from the top, is soft tissue."""
    bone = case.hu > 150
    per_slice = np.cumsum(bone.sum(axis=(1, 2))[::-1])[::-1]
    gone = per_slice <= share * per_slice[0]
    return _with(case, np.where(bone & gone[:, None, None], TISSUE_HU, case.hu))


def _hole(case: Examined, radius_mm: float, rng: Rng) -> Examined:
    """Bone within ``radius_mm`` of a point of the vault is soft tissue."""
    bone = case.body & (case.hu > 250)
    top = np.flatnonzero(case.body.any(axis=(1, 2)))[-1]
    spacing = case.work.spacing_mm
    first = max(0, top - round(45 / spacing[0]))
    vault = np.argwhere(bone[first:])
    if not len(vault):
        return _no_bone(case, 1.0, rng)
    middle = vault[int(rng.integers(len(vault)))] + np.array([first, 0, 0])
    near = _away(case, middle) < radius_mm
    return _with(case, np.where(bone & near, TISSUE_HU, case.hu))


def _away(case: Examined, middle: NDArray[np.intp]) -> Floats:
    """Distance in mm from an index."""
    axes = np.meshgrid(*(np.arange(n) for n in case.hu.shape), indexing="ij", sparse=True)
    parts = zip(axes, middle, case.work.spacing_mm, strict=True)
    return np.asarray(np.sqrt(sum(((axis - c) * step) ** 2 for axis, c, step in parts)))


def _swapped(case: Examined, share: float, _rng: Rng) -> Examined:
    """A share of the soft tissue, from the top, becomes air, and the air among it tissue."""
    air, soft = (case.hu < -400) & case.body, (case.hu > -150) & (case.hu < 150) & case.body
    per_slice = np.cumsum(soft.sum(axis=(1, 2))[::-1])[::-1]
    high = (per_slice <= share * per_slice[0])[:, None, None] & (share > 0)
    out = np.where(air & high, TISSUE_HU, case.hu)
    return _with(case, np.where(soft & high, AIR_HU, out))


def _shifted(case: Examined, size_mm: float, rng: Rng) -> Examined:
    """The answer lies ``size_mm`` away along an axis, fractions of a voxel by interpolation."""
    axis, sign = int(rng.integers(3)), int(rng.choice([-1, 1]))
    steps = size_mm / case.work.spacing_mm[axis]
    low, part = int(steps), float(steps - int(steps))
    moved = (1 - part) * _rolled(case.hu, sign * low, axis)
    if part:
        moved += part * _rolled(case.hu, sign * (low + 1), axis)
    return _with(case, moved)


def _rolled(hu: Floats, step: int, axis: int) -> Floats:
    moved = np.roll(hu, step, axis)
    edge = [slice(None)] * 3
    edge[axis] = slice(0, step) if step > 0 else slice(step or hu.shape[axis], None)
    moved[tuple(edge)] = AIR_HU
    return moved


def _under_mask(change: Callable[[Examined, float, Rng], Examined]) -> Callable[..., Examined]:
    """The same fault, before what lies outside the MR's outline becomes air."""

    def changed(case: Examined, size: float, rng: Rng) -> Examined:
        return _with(case, np.where(case.body, change(case, size, rng).hu, AIR_HU))

    return changed


def _turned(case: Examined, degrees: float, rng: Rng) -> Examined:
    """The answer is turned about the middle of the body."""
    plane = ((0, 1), (0, 2), (1, 2))[int(rng.integers(3))]
    middle = np.array([(w.min() + w.max()) / 2 for w in np.nonzero(case.body)])
    turn = np.eye(3)
    angle = np.deg2rad(degrees) * int(rng.choice([-1, 1]))
    turn[np.ix_(plane, plane)] = [
        [np.cos(angle), -np.sin(angle)],
        [np.sin(angle), np.cos(angle)],
    ]
    offset = middle - turn @ middle
    return _with(case, ndimage.affine_transform(case.hu, turn, offset, order=1, cval=AIR_HU))


def _mirrored(case: Examined, _size: float, _rng: Rng) -> Examined:
    """Left and right of the answer are exchanged about the middle of the body."""
    columns = np.flatnonzero(case.body.any(axis=(0, 1)))
    index = columns[0] + columns[-1] - np.arange(case.hu.shape[2])
    inside = (index >= 0) & (index < case.hu.shape[2])
    moved = case.hu[:, :, np.clip(index, 0, case.hu.shape[2] - 1)]
    return _with(case, np.where(inside, moved, AIR_HU))


def _scaled(case: Examined, slope: float, _rng: Rng) -> Examined:
    """HU multiplied: a wrong slope."""
    return _with(case, np.where(case.body, case.hu * slope, case.hu))


def _offset(case: Examined, size_hu: float, rng: Rng) -> Examined:
    """HU moved up or down: a wrong intercept."""
    moved = case.hu + size_hu * int(rng.choice([-1, 1]))
    return _with(case, np.clip(moved, -1024, 3071))


def _outside(case: Examined, size_mm: float, _rng: Rng) -> Examined:
    """A cube of tissue in a corner of the room."""
    out = case.hu.copy()
    n = [max(1, round(size_mm / s)) for s in case.work.spacing_mm]
    out[: n[0], : n[1], : n[2]] = TISSUE_HU
    return _with(case, out)


_VIEWS = ((0, True), (1, False), (1, True), (2, False), (2, True))


def _cut(case: Examined, share: float, rng: Rng) -> Examined:
    """A share of the body lies beyond the field of view: at the top or any side."""
    axis, high = _VIEWS[int(rng.integers(len(_VIEWS)))]
    kept = _kept(case, axis, share, high=high)
    signal = np.ascontiguousarray(case.signal[kept])
    affine = case.work.affine.copy()
    affine[:3, 3] = lps_from_index(case.work.affine, np.array([[k.start or 0 for k in kept]]))[0]
    view = Grid(shape=signal.shape, affine=affine)
    return _seen(replace(case, work=view, source=view, signal=signal), case, kept)


def _blank(case: Examined, share: float, rng: Rng) -> Examined:
    """A share of the body gives no signal, from the top or any side, in the same field of view."""
    axis, high = _VIEWS[int(rng.integers(len(_VIEWS)))]
    kept = _kept(case, axis, share, high=high)
    signal = np.zeros_like(case.signal)
    signal[kept] = case.signal[kept]
    return _seen(replace(case, signal=signal), case, (slice(None),) * 3)


def _kept(case: Examined, axis: int, share: float, *, high: bool) -> tuple[slice, ...]:
    others = tuple(a for a in range(3) if a != axis)
    where = np.flatnonzero(case.body.any(axis=others))
    cut = round(share * (where[-1] + 1 - where[0]))
    kept = [slice(0, n) for n in case.hu.shape]
    if cut:
        kept[axis] = (
            slice(0, where[-1] + 1 - cut)
            if high
            else slice(int(where[0]) + cut, case.hu.shape[axis])
        )
    return tuple(kept)


def _seen(view: Examined, whole: Examined, kept: tuple[slice, ...]) -> Examined:
    """The outline of what is left, and the answer within it as it was for the whole."""
    spacing = view.work.spacing_mm
    body = tighten(view.signal, body_mask(view.signal, spacing), spacing)
    scale = None if whole.scale is None else np.where(body, whole.scale[kept], 0)
    hu = np.where(body, whole.hu[kept], AIR_HU).astype(np.float32)
    return replace(
        view, hu=hu, body=body, scale=None if scale is None else scale.astype(np.float32)
    )


ANSWERS: dict[str, Kind] = {
    "bone removed from the top, share": Kind(change=_no_bone, gross=(1.0, 0.5), none=0.0),
    "hole in the vault, radius in mm": Kind(change=_hole, gross=(40.0, 30.0, 20.0), none=0.0),
    "air and tissue swapped, share": Kind(change=_swapped, gross=(1.0, 0.5, 0.25), none=0.0),
    "shifted, mm": Kind(change=_shifted, gross=(10.0, 5.0, 3.0), none=0.0),
    "shifted under the MR's outline, mm": Kind(
        change=_under_mask(_shifted), gross=(10.0, 5.0, 3.0), none=0.0
    ),
    "turned, degrees": Kind(change=_turned, gross=(10.0, 5.0), none=0.0),
    "left and right exchanged": Kind(change=_under_mask(_mirrored), gross=(1.0,), none=None),
    "slope too small": Kind(change=_scaled, gross=(0.5,), none=1.0),
    "slope too large": Kind(change=_scaled, gross=(2.0,), none=1.0),
    "intercept off, HU": Kind(change=_offset, gross=(1024.0, 300.0), none=0.0),
    "tissue outside, edge in mm": Kind(change=_outside, gross=(20.0, 10.0), none=0.0),
    "field of view cut, share": Kind(change=_cut, gross=(0.5,), none=0.0),
    "part of the MR blank, share": Kind(change=_blank, gross=(0.5,), none=0.0),
}
"""Kinds of `spoil` by name."""

ANSWER_FAULTS = tuple((name, size) for name, kind in ANSWERS.items() for size in kind.gross)
"""Names of `ANSWERS` with each of their gross sizes."""


def spoil(case: Examined, name: str, size: float, seed: int) -> Examined:
    """The same case with a spoilt answer or field of view."""
    return ANSWERS[name].change(case, size, np.random.default_rng(seed))


def smallest(
    caught: Callable[[float], bool], none: float | None, gross: float, halvings: int = 5
) -> tuple[float, float] | None:
    """Halve the way from ``gross`` to ``none``: the last size missed and the first caught.

    None when the kind has no smaller faults, or even the gross one is missed.
    """
    if none is None or not caught(gross):
        return None
    missed, found = none, gross
    for _ in range(halvings):
        middle = (missed + found) / 2
        if caught(middle):
            found = middle
        else:
            missed = middle
    return missed, found
