"""The outlines of a mask, slice by slice, as polygons of which none lies inside another.

Planning systems and libraries disagree on a polygon inside a polygon: some take it for a hole, some
fill it. So a region with a hole is cut along a column through the hole until no piece has one; two
pieces share the edge they were cut along and nothing else.

Vertices are the midpoints between a voxel inside and its neighbour outside: marching squares at one
half. Every centre inside the mask is inside a polygon, every other centre outside of all, and as
each midpoint serves one outline once, no outline touches itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

# More vertices than this, written as decimal strings, pass the 65,534 bytes that a data element of
# VR DS may have in Explicit VR (PS3.5 7.1.2); such a region is cut as one with a hole is.
MOST_POINTS = 2700
# Sides of a voxel, clockwise as rows run down and columns to the right: the offset (row, column) to
# the neighbour beyond each. Walking along side k, the inside to the right, one moves like side k+1.
_BEYOND = ((-1, 0), (0, 1), (1, 0), (0, -1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outline:
    """One closed polygon in one slice."""

    slice: int
    """Index of its slice."""
    points: Ints
    """(n, 2): twice the (row, column) index of each vertex, in order, the first not repeated."""

    @property
    def area(self) -> float:
        """Area in voxels of the slice."""
        return abs(float(_doubled_area(self.points))) / 8.0


def outlines(mask: Mask) -> tuple[Outline, ...]:
    """Outlines of ``mask`` (slices, rows, columns), by slice, then by their first vertex."""
    found: list[Outline] = []
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    values = np.pad(mask[slices], ((0, 0), (1, 1), (1, 1))).astype(np.int32)
    while len(slices):
        labels = _components(values)
        closed, cuts = _closed(labels, slices)
        found += closed
        values = _cut(labels, cuts)
        left = values.any(axis=(1, 2))
        slices, values = slices[left], values[left]
    return tuple(sorted(found, key=lambda o: (o.slice, *o.points[0].tolist())))


def components(mask: Mask) -> NDArray[np.int32]:
    """Label voxels that hang together by their faces, in all three directions; 0 is outside."""
    return _components(mask.astype(np.int32), across=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loop:
    label: int
    """Piece it bounds."""
    slice: int
    points: Ints
    """As in `Outline`."""

    @property
    def is_hole(self) -> bool:
        return _doubled_area(self.points) < 0


def _closed(labels: NDArray[np.int32], slices: Ints) -> tuple[list[Outline], dict[int, int]]:
    """Outlines of the pieces that need no cut, and the column to cut each of the others at."""
    by_label: dict[int, list[_Loop]] = {}
    for loop in _loops(labels):
        by_label.setdefault(loop.label, []).append(loop)
    done, cuts = [], {}
    for label, loops in by_label.items():
        holes = [loop for loop in loops if loop.is_hole]
        if holes:
            cuts[label] = _middle_column(max(holes, key=lambda h: -_doubled_area(h.points)))
        elif len(loops[0].points) > MOST_POINTS:
            cuts[label] = _middle_column(loops[0])
        else:
            points = loops[0].points - 2  # of the padding
            done.append(Outline(slice=int(slices[loops[0].slice]), points=points))
    return done, cuts


def _middle_column(loop: _Loop) -> int:
    """First column right of a cut through the middle of ``loop``."""
    columns = loop.points[:, 1]
    return int(columns.min() + columns.max() + 2) // 4


def _cut(labels: NDArray[np.int32], cuts: dict[int, int]) -> NDArray[np.int32]:
    """Two values for each piece of ``cuts``, left and right of its column; 0 for all others."""
    if not cuts:
        return np.zeros_like(labels)
    at = np.full(int(labels.max()) + 1, -1, np.int32)
    at[list(cuts)] = list(cuts.values())
    column = at[labels]
    right = np.arange(labels.shape[2], dtype=np.int32) >= column
    return np.where(column >= 0, 2 * labels + right, 0).astype(np.int32)


def _loops(labels: NDArray[np.int32]) -> Iterator[_Loop]:
    """Walk along every boundary between a piece and what is not it, clockwise round the piece."""
    width = labels.shape[2]
    flat = labels.ravel()
    voxel, side = _cracks(flat, width)
    following, angle = _walk(flat, width, voxel, side)
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    corner = np.flatnonzero(angle[before] != angle)
    line, column = np.divmod(voxel[corner], width)
    layer, row = np.divmod(line, labels.shape[1])
    beyond = np.array(_BEYOND)[side[corner]]
    points = 2 * np.stack((row, column), axis=1) + beyond
    for chain in _chains(_next_corner(following, corner)):
        first = chain[0]
        yield _Loop(
            label=int(flat[voxel[corner[first]]]), slice=int(layer[first]), points=points[chain]
        )


def _cracks(flat: NDArray[np.int32], width: int) -> tuple[Ints, Ints]:
    """Voxel and side of every face between two labels, seen from each piece, in order."""
    inside = np.flatnonzero(flat)
    codes = [
        4 * inside[flat[inside] != flat[inside + row * width + column]] + side
        for side, (row, column) in enumerate(_BEYOND)
    ]
    code = np.sort(np.concatenate(codes))
    return code // 4, code % 4


def _walk(flat: NDArray[np.int32], width: int, voxel: Ints, side: Ints) -> tuple[Ints, Ints]:
    """Number of the crack after each, and the direction to it in eighths of a turn.

    Pieces hang together by faces: at a corner where two voxels touch by it alone, the walk stays
    with its own voxel, so that the outline does not touch itself.
    """
    offset = np.array([row * width + column for row, column in _BEYOND])
    own = flat[voxel]
    ahead = voxel + offset[(side + 1) % 4]
    aside = ahead + offset[side]
    turns_in = flat[ahead] != own
    turns_out = ~turns_in & (flat[aside] == own)
    code = 4 * ahead + side
    code[turns_in] = (4 * voxel + (side + 1) % 4)[turns_in]
    code[turns_out] = (4 * aside + (side + 3) % 4)[turns_out]
    angle = (2 * side + turns_in - turns_out) % 8
    return np.searchsorted(4 * voxel + side, code), angle


def _next_corner(following: Ints, corner: Ints) -> Ints:
    """For each corner the number, among corners, of the next one."""
    is_corner = np.zeros(len(following), bool)
    is_corner[corner] = True
    reached = following.copy()
    while not (at := is_corner[reached]).all():
        reached = np.where(at, reached, reached[reached])  # twice as far each time
    number = np.cumsum(is_corner) - 1
    return number[reached[corner]]


def _chains(following: Ints) -> Iterator[list[int]]:
    """Cycles of a permutation, each from its smallest member."""
    after = following.tolist()
    seen = bytearray(len(after))
    for start in range(len(after)):
        if seen[start]:
            continue
        chain, at = [], start
        while not seen[at]:
            seen[at] = 1
            chain.append(at)
            at = after[at]
        yield chain


def _components(values: NDArray[np.int32], *, across: bool = False) -> NDArray[np.int32]:
    """Label voxels of one value that hang together by faces, in a slice or also across slices."""
    inside = values != 0
    starts = inside.copy()
    starts[:, :, 1:] &= values[:, :, 1:] != values[:, :, :-1]
    runs = np.cumsum(starts, dtype=np.int32).reshape(values.shape)
    runs[~inside] = 0
    pairs = [_touching(values[:, 1:], values[:, :-1], runs[:, 1:], runs[:, :-1])]
    if across:
        pairs.append(_touching(values[1:], values[:-1], runs[1:], runs[:-1]))
    joined = _united(int(runs.max(initial=0)) + 1, np.concatenate(pairs, axis=1))
    return joined[runs]


def _touching(
    a: NDArray[np.int32], b: NDArray[np.int32], run_a: NDArray[np.int32], run_b: NDArray[np.int32]
) -> NDArray[np.int32]:
    """(2, n): runs of one value that lie side by side, named where their common part begins."""
    first = (a == b) & (a != 0)
    again = first[..., :-1].copy()
    for run in (run_a, run_b):
        again &= run[..., 1:] == run[..., :-1]
    first[..., 1:] &= ~again
    return np.stack((run_a[first], run_b[first]))


def _united(count: int, pairs: NDArray[np.int32]) -> NDArray[np.int32]:
    """A number for each of ``count`` runs, the same for all that pairs join; 0 stays 0."""
    root = np.arange(count, dtype=np.int32)
    a, b = pairs
    while (root[a] != root[b]).any():
        low = np.minimum(root[a], root[b])
        for end in (root[a], root[b]):
            np.minimum.at(root, end, low)
        while (root != root[root]).any():
            root = root[root]
    _, number = np.unique(root, return_inverse=True)
    return number.astype(np.int32)


def _doubled_area(points: Ints) -> int:
    """Twice the signed area (rows down, clockwise is positive), in quarter voxels."""
    row, column = points[:, 0], points[:, 1]
    return int((np.roll(row, -1) * column - row * np.roll(column, -1)).sum())
