"""One pass over the whole volume where memory allows, else tiles that agree with it.

Tiles start at multiples of the network's stride, so every tile sees the same sampling lattice as
the whole volume; they overlap by the network's reach, and a Gaussian window makes what is left of
a difference fade rather than step. A network that sees whole slices and few of them at a time is
cut along slices alone, and what a cut has touched is left out: then tiles and whole are equal.
Where the network takes a slice's neighbours without answering them, such tiles do not overlap and
may be as thin as one likes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from node.infer.manifest import Manifest
from node.infer.session import OutOfMemory
from node.log import get_logger

log = get_logger(__name__)

Floats = NDArray[np.float32]
Predict = Callable[[Floats], list[Floats]]
Report = Callable[[float], None]

_SMALLEST_TILES = 4  # in strides: below that a tile is all overlap
# Voxels answered in a pass that keeps to the processor's caches: four slices of 256 x 256 took half
# the time of forty a slice, and 140 MB.
_LEAN_VOXELS = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How a volume is cut."""

    tile: tuple[int, int, int]
    """Size of a tile; the padded volume's when it is whole."""
    starts: tuple[tuple[int, int, int], ...]
    """First index of each tile."""
    trim: int = 0
    """Slices at a cut that another tile answers for; 0: blended."""

    @property
    def whole(self) -> bool:
        """Whether one pass covers everything."""
        return len(self.starts) == 1


def padded_shape(
    shape: tuple[int, ...], stride: int, stack_reach: int | None = None
) -> tuple[int, int, int]:
    """The next multiples of ``stride``; slices as they are where each is answered by itself."""
    s, r, c = (-(-n // stride) * stride for n in shape)
    return (s if stack_reach is None else shape[0]), r, c


def plan_tiles(
    shape: tuple[int, int, int],
    *,
    stride: int,
    reach: int,
    bytes_per_voxel: int,
    budget_bytes: int,
    stack_reach: int | None = None,
    stack_context: int = 0,
) -> Tiling:
    """Cut a padded shape so that one tile fits the budget; whole when it does all at once.

    With ``stack_reach`` the cuts go through slices alone, however little the budget. With
    ``stack_context`` a tile is what is answered, and its input that many slices longer at each end.
    """
    given = int(np.prod((shape[0] + 2 * stack_context, *shape[1:])))
    if not budget_bytes or given * bytes_per_voxel <= budget_bytes:
        return Tiling(tile=shape, starts=((0, 0, 0),))
    if stack_context:
        return _plan_passes(shape, stack_context, budget_bytes // bytes_per_voxel)
    if stack_reach is not None:
        return _plan_slabs(shape, stack_reach, budget_bytes // bytes_per_voxel)
    edge = int((budget_bytes / bytes_per_voxel) ** (1 / 3)) // stride * stride
    edge = max(edge, _SMALLEST_TILES * stride)
    tile = (min(edge, shape[0]), min(edge, shape[1]), min(edge, shape[2]))
    overlap = -(-min(reach, edge // 2) // stride) * stride
    axes = [_starts(n, t, overlap) for n, t in zip(shape, tile, strict=True)]
    return Tiling(tile=tile, starts=tuple((s, r, c) for s, r, c in product(*axes)))


def _plan_slabs(shape: tuple[int, int, int], reach: int, voxels: int) -> Tiling:
    overlap = 2 * reach
    depth = min(max(voxels // (shape[1] * shape[2]), 2 * overlap, 1), shape[0])
    starts = tuple((s, 0, 0) for s in _starts(shape[0], depth, overlap))
    return Tiling(tile=(depth, shape[1], shape[2]), starts=starts, trim=reach)


def _plan_passes(shape: tuple[int, int, int], context: int, voxels: int) -> Tiling:
    """Tiles of whole slices, side by side and of nearly one thickness; the last may be thinner."""
    depth = min(max(voxels // (shape[1] * shape[2]) - 2 * context, 1), shape[0])
    even = -(-shape[0] // -(-shape[0] // depth))
    starts = tuple((s, 0, 0) for s in range(0, shape[0], even))
    return Tiling(tile=(even, shape[1], shape[2]), starts=starts)


def lean_budget(shape: tuple[int, ...], manifest: Manifest) -> int:
    """Bytes for a pass over as few slices as are fastest on a processor; 0 where a cut costs."""
    context = manifest.stack_context_voxels
    if not context:
        return 0
    _, rows, columns = padded_shape(shape, manifest.stride, manifest.stack_reach_voxels)
    slices = max(_LEAN_VOXELS // (rows * columns), 1) + 2 * context
    return slices * rows * columns * manifest.bytes_per_voxel


def run_passes(
    values: Floats,
    tiling: Tiling,
    predict: Predict,
    manifest: Manifest,
    report: Report | None = None,
) -> list[Floats]:
    """Run some slices with their neighbours at a time, each answer straight to its place.

    ``values`` has its own shape: only what one pass takes is padded.
    """
    context, length = manifest.stack_context_voxels, values.shape[0]
    _, rows, columns = values.shape
    spare = [(0, 0), *((0, n - m) for n, m in zip(tiling.tile[1:], (rows, columns), strict=True))]
    out: list[Floats] = []
    for number, (start, _, _) in enumerate(tiling.starts):
        stop = min(start + tiling.tile[0], length)
        seen = values[np.clip(np.arange(start - context, stop + context), 0, length - 1)]
        answers = predict(np.pad(seen, spare, constant_values=manifest.padding))
        out = out or [np.empty(values.shape, np.float32) for _ in answers]
        for kept, answer in zip(out, answers, strict=True):
            kept[start:stop] = answer[:, :rows, :columns]
        if report:
            report((number + 1) / len(tiling.starts))
    return out


def run_tiles(
    values: Floats, tiling: Tiling, predict: Predict, report: Report | None = None
) -> list[Floats]:
    """Run every tile and blend; ``values`` has the padded shape."""
    if tiling.whole:
        return predict(values)
    total: list[Floats] = []
    weight = np.zeros(values.shape, np.float32)
    for number, start in enumerate(tiling.starts):
        where = tuple(slice(a, a + n) for a, n in zip(start, tiling.tile, strict=True))
        answers = predict(np.ascontiguousarray(values[where]))
        window = _window_at(start, tiling, values.shape)
        total = total or [np.zeros(values.shape, np.float32) for _ in answers]
        for kept, answer in zip(total, answers, strict=True):
            kept[where] += window * answer
        weight[where] += window
        if report:
            report((number + 1) / len(tiling.starts))
    for kept in total:
        np.divide(kept, weight, out=kept)
    return total


def predict_volume(
    values: Floats,
    manifest: Manifest,
    predict: Predict,
    *,
    budget_bytes: int,
    report: Report | None = None,
) -> tuple[list[Floats], Tiling]:
    """Pad to the stride, run whole or in tiles, cut the padding off again."""
    tiling = _tiling(values.shape, manifest, budget_bytes)
    if manifest.stack_context_voxels:
        return run_passes(values, tiling, predict, manifest, report), tiling
    shape = padded_shape(values.shape, manifest.stride, manifest.stack_reach_voxels)
    spare = [(0, n - m) for n, m in zip(shape, values.shape, strict=True)]
    padded = np.pad(values, spare, constant_values=manifest.padding)
    answers = run_tiles(padded, tiling, predict, report)
    s, r, c = values.shape
    return [answer[:s, :r, :c] for answer in answers], tiling


def predict_within(
    values: Floats,
    devices: Sequence[Predict],
    *,
    manifest: Manifest,
    budget_bytes: int,
    report: Report | None = None,
) -> tuple[list[Floats], str]:
    """Run on the first device whose memory suffices, in ever smaller tiles before the next one.

    Returns the answers and how they came about, for people. Raises the last `OutOfMemory` when
    the smallest tiles do not fit into any.
    """
    failed: list[str] = []
    for number, predict in enumerate(devices):
        budget = budget_bytes
        while True:
            tiling = _tiling(values.shape, manifest, budget)
            try:
                answers, _ = predict_volume(
                    values, manifest, predict, budget_bytes=budget, report=report
                )
            except OutOfMemory:
                failed.append(_words(tiling))
                log.warning("out_of_memory", device=number, tried=failed[-1])
                smaller = _smaller(values.shape, manifest, tiling)
                if smaller is None:
                    if number == len(devices) - 1:
                        raise
                    break
                budget = smaller
                continue
            told = f" after running out of memory with {', '.join(failed)}" if failed else ""
            where = " on the CPU" if number else ""
            return answers, f"{_words(tiling)}{where}{told}"
    raise ValueError("no device to run on")


def _tiling(shape: tuple[int, ...], manifest: Manifest, budget_bytes: int) -> Tiling:
    return plan_tiles(
        padded_shape(shape, manifest.stride, manifest.stack_reach_voxels),
        stride=manifest.stride,
        reach=manifest.reach_voxels,
        stack_reach=manifest.stack_reach_voxels,
        stack_context=manifest.stack_context_voxels,
        bytes_per_voxel=manifest.bytes_per_voxel,
        budget_bytes=budget_bytes,
    )


def _smaller(shape: tuple[int, ...], manifest: Manifest, tiling: Tiling) -> int | None:
    """A budget that cuts tiles of at most a quarter; None when there are none smaller."""
    (slices, rows, columns), context = tiling.tile, manifest.stack_context_voxels
    given = (slices // 4 + 2 * context) if context else slices / 4
    budget = max(int(given * rows * columns * manifest.bytes_per_voxel), 1)
    planned = _tiling(shape, manifest, budget)
    return None if planned.tile == tiling.tile else budget


def _words(tiling: Tiling) -> str:
    return "whole volume" if tiling.whole else f"{len(tiling.starts)} tiles"


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    step = max(tile - overlap, 1)
    starts = list(range(0, max(length - tile, 0) + 1, step))
    if starts[-1] + tile < length:
        starts.append(length - tile)  # strided axes are multiples of the stride, so this is one
    return starts


def _window_at(start: tuple[int, int, int], tiling: Tiling, shape: tuple[int, ...]) -> Floats:
    """How much each voxel of a tile counts; nothing within ``trim`` of a cut."""
    window = _window(tiling.tile)
    if tiling.trim and start[0] > 0:
        window[: tiling.trim] = 0.0
    if tiling.trim and start[0] + tiling.tile[0] < shape[0]:
        window[-tiling.trim :] = 0.0
    return window


def _window(tile: tuple[int, int, int]) -> Floats:
    window = np.ones((1, 1, 1))
    for axis, n in enumerate(tile):
        along = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (n / 8)) ** 2)
        shape = [1, 1, 1]
        shape[axis] = n
        window = window * np.maximum(along, 1e-4).reshape(shape)
    return np.asarray(window, np.float32)
