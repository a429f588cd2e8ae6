"""Three planes of MR and sCT, and the contours of the sCT over the MR."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.structures import Region

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_WINDOW_HU = (-260.0, 340.0)  # soft tissue and skull both seen: level 40, width 600
_MARGIN = 10
"""Voxels shown around the body."""
_BRIGHTEST = 99.5
"""Per cent of the body's signal that is darker than white."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """What is drawn, on one axial grid of cubic voxels: (slices, rows, columns), foot to head."""

    mr: NDArray[np.floating]
    hu: NDArray[np.integer]
    body: Mask
    structures: tuple[Region, ...]


def pictures(planes: Planes) -> dict[str, tuple[Picture, Picture, Picture]]:
    """MR, sCT and MR with contours of each plane through the middle of the body, as RGB.

    Seen from the feet, from the front and from the left: the patient's right is on the left.
    """
    planes = _cropped(planes)
    mr = _signal(planes.mr, planes.body)
    ct = _grey(planes.hu.astype(np.float32), *_WINDOW_HU)
    found = {}
    for name, axis in (("axial", 0), ("coronal", 1), ("sagittal", 2)):
        at = _middle(planes.body, axis)
        grey, bones = (_turned(np.take(v, at, axis=axis), axis) for v in (mr, ct))
        over = _rgb(grey)
        for structure, mask in planes.structures:
            over[_edge(_turned(np.take(mask, at, axis=axis), axis))] = structure.colour
        found[name] = (_rgb(grey), _rgb(bones), over)
    return found


def _cropped(planes: Planes) -> Planes:
    """What lies around the body and no farther."""
    if not planes.body.any():
        return planes
    box = []
    for axis in range(3):
        where = np.flatnonzero(planes.body.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(int(where[0]) - _MARGIN, 0), int(where[-1]) + 1 + _MARGIN))
    at = tuple(box)
    return Planes(
        mr=planes.mr[at],
        hu=planes.hu[at],
        body=planes.body[at],
        structures=tuple((structure, mask[at]) for structure, mask in planes.structures),
    )


def grid_of(found: dict[str, tuple[Picture, Picture, Picture]], *, gap: int = 6) -> Picture:
    """All pictures in one, a row a plane, on black."""
    tallest = [max(p.shape[0] for p in row) for row in found.values()]
    widest = max(p.shape[1] for row in found.values() for p in row)
    shape = (sum(tallest) + gap * (len(tallest) - 1), 3 * widest + 2 * gap, 3)
    whole = np.zeros(shape, np.uint8)
    top = 0
    for row, height in zip(found.values(), tallest, strict=True):
        _row(whole[top : top + height], row, widest + gap)
        top += height + gap
    return whole


def _row(target: Picture, row: Sequence[Picture], step: int) -> None:
    for n, picture in enumerate(row):
        rows, columns = picture.shape[:2]
        left = n * step + (step - columns) // 2
        target[:rows, left : left + columns] = picture[:, : target.shape[1] - left]


def _turned(plane: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
    """Head up, in coronal and sagittal planes; an axial one lies as it is stored."""
    return plane if axis == 0 else plane[::-1]


def _middle(body: Mask, axis: int) -> int:
    """Index of the plane through the middle of the body; of the volume where there is none."""
    others = tuple(a for a in range(3) if a != axis)
    where = np.flatnonzero(body.any(axis=others))
    return int(where[0] + where[-1]) // 2 if where.size else body.shape[axis] // 2


def _signal(mr: NDArray[np.floating], body: Mask) -> Picture:
    inside = mr[body] if body.any() else mr.ravel()
    return _grey(mr, 0.0, float(np.percentile(inside, _BRIGHTEST)) or 1.0)


def _grey(values: NDArray[np.floating], low: float, high: float) -> Picture:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    levels: Picture = np.rint(255.0 * share).astype(np.uint8)
    return levels


def _rgb(grey: NDArray[np.generic]) -> Picture:
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8)


def _edge(mask: NDArray[np.generic]) -> Mask:
    """Voxels of the mask with a neighbour, or the picture's edge, outside of it."""
    inside = np.pad(mask.astype(bool), 1)
    core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    edge: Mask = inside[1:-1, 1:-1] & ~core
    return edge
