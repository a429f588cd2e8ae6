"""Does a synthetic CT end where its MR does: edge against edge, along the outline's normals.

An edge lies half-way between the values just inside and just outside at that very place, so that
neither a coil nor a fading neck moves it, between samples of the image's own lattice. Distances are
mm along the normal, outwards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.geometry import Affine, index_from_lps, lps_from_index
from node.domain.volume import Volume

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

PLACES = 20_000
"""At most this many places of the outline are looked at, drawn evenly."""
AIR_EDGE_HU = -500.0
"""Half-way between air and soft tissue."""
_STEP_MM = 0.1
_REACH_MM = 8.0
_SEARCH_MM = 4.0
# What counts as just inside and just outside, from the edge: deeper lies fat, brighter than skin.
_INSIDE_MM, _OUTSIDE_MM = (-2.0, -0.8), (2.0, 5.0)
_ALONG = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM / 2, _STEP_MM)
_NORMAL_MM = 2.0
_SKIN_MM = 2.0
# Below this step of the signal, as a share of the inner level, there is no edge to place.
_CONTRAST = 0.5
# Samples further apart along the normal do not place an edge to a few tenths of a millimetre.
_COARSE_MM = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contour:
    """How far the sCT's edge lies outside the MR's."""

    off_mm: Reals
    """(places,), along the outward normal; a place whose sCT has no edge nearby counts as infinite.
    """
    normals: Reals
    """(places, 3), LPS, length 1."""
    cut: float
    """Share of the places left out because the MR's field of view ends there."""
    folded: float
    """The same because the body does not simply end there: ears, nostrils, a cut's rim."""
    faint: float
    """The same because the MR shows no edge: a ghost, a void, a neck without signal."""
    coarse: float
    """The same because the MR's samples lie over 2.5 mm apart across the edge: thick slices."""

    @property
    def left_out(self) -> float:
        """Share of the places that are not compared."""
        return self.cut + self.folded + self.faint + self.coarse

    @property
    def median_mm(self) -> float:
        """How much larger the sCT is."""
        return float(np.median(self.off_mm))

    @property
    def typical_mm(self) -> float:
        """Median distance, in or out."""
        return float(np.median(np.abs(self.off_mm)))

    @property
    def far_mm(self) -> float:
        """95th percentile of the distance."""
        return float(np.percentile(np.abs(self.off_mm), 95))

    @property
    def shift_mm(self) -> Reals:
        """LPS vector that best explains the offsets beside growth, by least absolute distance."""
        finite = np.isfinite(self.off_mm)
        off, normals = self.off_mm[finite], self.normals[finite]
        columns = np.concatenate([normals, np.ones((len(off), 1))], axis=1)
        weight = np.ones(len(off))
        for _ in range(10):
            found = np.linalg.lstsq(columns * weight[:, None], off * weight, rcond=None)[0]
            weight = 1 / np.sqrt(np.maximum(np.abs(off - columns @ found), 0.05))
        return np.asarray(found[:3])


def compare(mr: Volume, sct: Volume, body: Mask) -> Contour:
    """Compare the outlines of two volumes, each on its own lattice; ``body`` stands on the sCT's.

    ``body`` only says where to look.
    """
    points, normals = _places(body, sct.affine)
    inside = _profiles(body, sct.affine, points, normals) >= 0.5
    signal = _profiles(mr.values, mr.affine, points, normals, order=3)
    ours = _crossing(_profiles(sct.values, sct.affine, points, normals), AIR_EDGE_HU)
    edge, sharp = _half_way(signal)
    reasons = {
        "cut": np.isnan(signal).any(axis=1),
        "folded": ~_ends_there(inside),
        "coarse": _sampling_mm(mr.affine, normals) > _COARSE_MM,
        "faint": ~sharp,
    }
    kept, shares = np.ones(len(points), bool), {}
    for name, found in reasons.items():
        shares[name] = float((found & kept).mean())
        kept &= ~found
    off = np.where(np.isnan(ours), np.inf, ours - edge)[kept]
    return Contour(off_mm=off, normals=normals[kept], **shares)


def _ends_there(inside: Mask) -> Mask:
    """Whether all is body a little inwards and none is a little outwards."""
    far = np.abs(_ALONG) > _REACH_MM - _SKIN_MM
    inner, outer = (_ALONG < -_SKIN_MM) & ~far, (_ALONG > _SKIN_MM) & ~far
    return np.asarray(inside[:, inner].all(axis=1) & ~inside[:, outer].any(axis=1))


def _sampling_mm(affine: Affine, normals: Reals) -> Reals:
    """How far a voxel reaches along each normal."""
    return np.asarray(np.linalg.norm(normals @ affine[:3, :3], axis=1))


def _places(body: Mask, affine: Affine) -> tuple[Reals, Reals]:
    """Voxels of the body's rim in LPS mm, and the normals of its smoothed shape."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rim = np.argwhere(body & ~ndimage.binary_erosion(body, border_value=1))
    rim = np.random.default_rng(1).permutation(rim)[:PLACES]
    smooth = ndimage.gaussian_filter(body.astype(np.float32), _NORMAL_MM / spacing, mode="nearest")
    fall = -np.stack([slope[tuple(rim.T)] for slope in np.gradient(smooth)], axis=1)
    normals = (fall / spacing) @ (affine[:3, :3] / spacing).T
    length = np.linalg.norm(normals, axis=1)
    sound = length > 1e-3
    return lps_from_index(affine, rim[sound]), normals[sound] / length[sound, None]


def _profiles(
    values: NDArray[np.generic], affine: Affine, points: Reals, normals: Reals, order: int = 1
) -> Reals:
    """(places, samples) along the normals, by splines of ``order``; NaN beyond the lattice."""
    where = points[:, None, :] + _ALONG[None, :, None] * normals[:, None, :]
    index = index_from_lps(affine, where.reshape(-1, 3))
    read = ndimage.map_coordinates(
        values.astype(np.float32), index.T, order=order, mode="constant", cval=np.nan
    )
    return np.asarray(read.reshape(where.shape[:2]), np.float64)


def _half_way(signal: Reals) -> tuple[Reals, Mask]:
    """Where each profile falls to half, and whether it has an edge there at all.

    The levels are taken from where the edge was found before, first from the outline given.
    """
    edge = np.zeros(len(signal))
    for _ in range(3):
        inner, outer = _mean(signal, edge, _INSIDE_MM), _mean(signal, edge, _OUTSIDE_MM)
        found = _crossing(signal, (inner + outer)[:, None] / 2)
        edge = np.nan_to_num(found)
    return edge, np.asarray(~np.isnan(found) & (inner - outer > _CONTRAST * inner))


def _mean(profile: Reals, edge: Reals, part: tuple[float, float]) -> Reals:
    away = _ALONG[None, :] - edge[:, None]
    within = (away >= part[0]) & (away <= part[1])
    return np.asarray((profile * within).sum(axis=1) / np.maximum(within.sum(axis=1), 1))


def _crossing(profile: Reals, level: Reals | float) -> Reals:
    """The outermost place near the outline where a profile falls below its level, or NaN."""
    near = np.abs(_ALONG) <= _SEARCH_MM
    above, along = (profile - level)[:, near], _ALONG[near]
    falls = (above[:, :-1] > 0) & (above[:, 1:] <= 0)
    last = falls.shape[1] - 1 - falls[:, ::-1].argmax(axis=1)
    row, found = np.arange(len(above)), falls.any(axis=1)
    high, low = above[row, last], above[row, last + 1]
    share = high / np.where(found, high - low, 1)
    return np.where(found, along[last] + share * _STEP_MM, np.nan)
