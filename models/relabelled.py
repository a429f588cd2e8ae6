"""Label maps of subjects nobody learnt from, in another pose and with another make of soft tissue.

What `models.pairs` does to a map is left out: here it is turned, bent by waves and filled anew.
"""

import numpy as np
from scipy import ndimage

from models.fields import Floats, distance, smooth_field
from models.tissues import Tissue, TissueMap

Rng = np.random.Generator


def repose(tissues: TissueMap, rng: Rng) -> TissueMap:
    """Turn about the left-right axis most of all, scale, and bend by waves of some millimetres."""
    pitch, roll, yaw = np.deg2rad([rng.normal(0, 7), rng.normal(0, 3), rng.normal(0, 5)])
    c, s = np.cos, np.sin
    about_x = np.array([[c(pitch), s(pitch), 0], [-s(pitch), c(pitch), 0], [0, 0, 1]])
    about_y = np.array([[c(roll), 0, s(roll)], [0, 1, 0], [-s(roll), 0, c(roll)]])
    about_z = np.array([[1, 0, 0], [0, c(yaw), s(yaw)], [0, -s(yaw), c(yaw)]])
    turn = about_x @ about_y @ about_z @ np.diag(1 / rng.uniform(0.95, 1.05, 3))
    padded = np.pad(tissues, ((0, 22), (14, 14), (10, 10)))
    middle = (np.array(padded.shape) - 1) / 2
    axes = [np.arange(n, dtype=np.float32) for n in padded.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    grid = [v - np.float32(m) for v, m in zip((z, y, x), middle, strict=True)]
    where = np.stack(
        [
            sum(np.float32(t) * g for t, g in zip(row, grid, strict=True)) + np.float32(m)
            for row, m in zip(turn, middle, strict=True)
        ]
    )
    for axis, along in ((0, y), (1, x), (2, z)):
        length, phase = float(rng.uniform(90, 160)), float(rng.uniform(0, 6.3))
        wave = np.sin(along * np.float32(2 * np.pi / length) + np.float32(phase))
        where[axis] += np.float32(rng.uniform(0.5, 3.0)) * wave
    # Below the map's end nothing is known: its lowest slice goes on there.
    where[0] = np.maximum(where[0], 0)
    return np.asarray(ndimage.map_coordinates(padded, where, order=0), np.uint8)


def refill(tissues: TissueMap, rng: Rng) -> TissueMap:
    """Soft tissue as patches of fat and muscle, skin of another depth, marrow in thick bone."""
    out = tissues.copy()
    fine = smooth_field(out.shape, float(rng.uniform(4, 9)), rng)
    soft = (out == Tissue.SOFT) | (out == Tissue.MUSCLE)
    share = float(rng.uniform(0.0, 1.2))
    out[soft] = np.select(
        [fine[soft] > share + 0.5, fine[soft] > share],
        [Tissue.FAT, Tissue.MARBLED_50],
        Tissue.MUSCLE,
    )
    depth = distance(out == Tissue.OUTSIDE, 20)
    out[(out == Tissue.SKIN) & (depth > rng.uniform(1.5, 4.0))] = Tissue.FAT
    out[_marrow(out, fine, rng)] = Tissue.DIPLOE
    return out


def _marrow(tissues: TissueMap, fine: Floats, rng: Rng) -> np.ndarray:
    bone = (tissues == Tissue.CORTICAL) | (tissues == Tissue.DIPLOE)
    inner = -distance(bone, 20)
    return np.asarray(bone & (inner > rng.uniform(1.2, 2.4) + 0.4 * fine), bool)
