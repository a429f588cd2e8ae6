"""What the label maps lack: neck and jaw, fat, marrow, skulls of other thickness, surgery.

Every function takes a tissue map (slice to superior, row to posterior, column to left, 1 mm) and
gives another. Shapes are rough on purpose: they teach a network what is plausible there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.fields import Floats, distance, smooth_field
from models.tissues import FAT_SHARE, Tissue, TissueMap

Mask = NDArray[np.bool_]
_BONE = (Tissue.CORTICAL, Tissue.DIPLOE)
_MARBLED = np.array(list(FAT_SHARE), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Everything of a subject that its label map does not decide."""

    neck_mm: int
    """Length of the neck added below the map's end; 0: none."""
    jaw_mm: float
    """How far down the chin reaches."""
    teeth: float
    """0 to 1: share of the row that is there."""
    skin_mm: float
    """How deep skin reaches; the rest of what the maps call skin is fat."""
    fat_depth_mm: float
    """Typical depth of the fat under the skin; 0: none."""
    fat_share: float
    """0 to 1: fat between the muscles."""
    fat_edge: float
    """0 to 1: how gradually muscle turns into fat."""
    orbit_fat: bool
    """Whether what lies around the eyes is all fat."""
    atrophy_mm: float
    """Cortex given to the CSF beside it."""
    diploe: float
    """0 to 1: how much of thick cortical bone is marrow; 0: only what the maps call so."""
    skull_mm: float
    """Bone added to (above 0) or taken from the skull's outside."""
    swollen: float
    """0 to 1: share of the cavities filled with mucosa or fluid."""
    cells: float
    """0 to 1: share of the temporal bone's marrow that is air cells."""
    metal: bool
    """A dental or surgical implant: dense in CT, a void in MR."""
    flap: bool
    """The ring of a craniotomy."""
    deface: bool
    """Face removed as for publication."""
    tilted: bool
    """Whether the field of view ends below in a plane that is not axial."""


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw the anatomy of one subject."""
    return Anatomy(
        neck_mm=int(rng.uniform(30, 100)) if rng.random() < 0.7 else 0,
        jaw_mm=float(rng.uniform(38, 55)),
        teeth=float(rng.uniform(0.3, 1.0)),
        skin_mm=float(rng.uniform(1.2, 2.5) if rng.random() < 0.5 else rng.uniform(2.5, 6.0)),
        fat_depth_mm=float(rng.uniform(1, 9)) if rng.random() < 0.65 else 0.0,
        fat_share=float(rng.uniform(0.1, 0.7)),
        fat_edge=float(rng.uniform(0.02, 1.0)),
        orbit_fat=bool(rng.random() < 0.8),
        atrophy_mm=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.4 else 0.0,
        diploe=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.7 else 0.0,
        skull_mm=float(rng.uniform(-0.6, 2.0)),
        swollen=float(rng.uniform(0.1, 0.8)) if rng.random() < 0.3 else 0.0,
        cells=float(rng.uniform(0.0, 0.6)),
        metal=bool(rng.random() < 0.06),
        flap=bool(rng.random() < 0.05),
        deface=bool(rng.random() < 0.12),
        tilted=bool(rng.random() < 0.2),
    )


def refine(a: Anatomy, tissues: TissueMap, rng: np.random.Generator) -> TissueMap:
    """Everything that is done after the deformation."""
    coarse = smooth_field(tissues.shape, 18.0, rng)
    fine = smooth_field(tissues.shape, 5.0, rng)
    out = _thicken(a, tissues, coarse)
    if a.atrophy_mm:
        near = distance(out == Tissue.CSF, 4)
        out[(out == Tissue.GREY) & (near <= a.atrophy_mm + 0.5 * coarse)] = Tissue.CSF
    depth = distance(out == Tissue.OUTSIDE, 60)
    out = _fat(a, out, depth, coarse, fine)
    out = _marrow(a, out, fine)
    out = _cavities(a, out, coarse, fine)
    if a.flap:
        out = _flap(out, depth, rng)
    if a.metal:
        out = _metal(out, depth, rng)
    return out


def beyond(a: Anatomy, tissues: TissueMap, rng: np.random.Generator) -> Mask:
    """Where the MR was not measured or was blanked: its signal there is zero, its edge sharp."""
    gone = np.zeros(tissues.shape, bool)
    if a.deface:
        gone |= _face(tissues, rng)
    if a.tilted:
        gone |= _below(tissues.shape, rng)
    return gone


def add_neck(a: Anatomy, tissues: TissueMap, rng: np.random.Generator) -> TissueMap:
    """Draw neck, jaw and teeth below the end of the map."""
    if not a.neck_mm:
        return tissues
    base = ndimage.binary_fill_holes(tissues[2] != Tissue.OUTSIDE)
    where = np.argwhere(base)
    if len(where) < 1000:
        return tissues
    neck = _Neck(a, base, _cord_row(tissues, where), rng)
    return np.concatenate([neck.draw()[::-1], tissues])


def _cord_row(tissues: TissueMap, where: NDArray[np.int64]) -> float:
    middle = where[:, 1].mean()
    cord = np.argwhere(np.isin(tissues[:4], (Tissue.NERVE, Tissue.WHITE)))
    near = cord[np.abs(cord[:, 2] - middle) < 12] if len(cord) else cord
    low, high = where[:, 0].min(), where[:, 0].max()
    guess = low + 0.62 * (high - low)
    row = float(np.median(near[:, 1])) if len(near) > 20 else guess
    return row if abs(row - guess) < 30 else guess


class _Neck:
    """The slices below the map, first the highest; coordinates relative to the spinal cord."""

    def __init__(self, a: Anatomy, base: Mask, cord_row: float, rng: np.random.Generator) -> None:
        self.a, self.base, self.rng = a, base, rng
        rows, columns = (np.arange(n, dtype=np.float32) for n in base.shape)
        where = np.argwhere(base)
        self.x = (columns - where[:, 1].mean())[None, None, :]
        self.y = (rows - cord_row)[None, :, None]
        self.d = np.arange(1, a.neck_mm + 1, dtype=np.float32)[:, None, None]
        self.front = float(where[:, 0].min() - cord_row)
        self.back = float(where[:, 0].max() - cord_row)
        self.half = float(np.ptp(where[:, 1]) / 2)

    def draw(self) -> TissueMap:
        inside = self._outline()
        out = np.where(inside, Tissue.SOFT, Tissue.OUTSIDE).astype(np.uint8)
        depth = -distance(inside, 60)
        deep = depth > 6
        self._jaw(out, deep)
        self._spine(out, deep)
        airway = (self.x / 9) ** 2 + ((self.y + 40) / 6) ** 2 + 0 * self.d
        out[deep & (airway < 2.0)] = Tissue.MUCOSA
        out[deep & (airway < 1.0)] = Tissue.AIR
        out[inside & (depth < 3.0)] = Tissue.SKIN
        return out

    def _outline(self) -> Mask:
        jaw = 1 / (1 + np.exp((self.d - self.a.jaw_mm) / 3))
        front = jaw * self.front + (1 - jaw) * -58
        low = 1 / (1 + np.exp((self.d - 20) / 8))
        back = low * self.back + (1 - low) * 48
        half = low * self.half + (1 - low) * 58
        middle, length = (front + back) / 2, (back - front) / 2
        shape = np.abs(self.x / half) ** 2.6 + np.abs((self.y - middle) / length) ** 2.6
        return np.asarray((shape < 1) & self.base[None], bool)

    def _jaw(self, out: TissueMap, deep: Mask) -> None:
        bend = 55.0 / 42.0**2
        curve = self.y - (self.front + 16 + bend * self.x**2)
        off = np.abs(curve) / np.sqrt(1 + (2 * bend * self.x) ** 2)
        tongue = (np.abs(self.x) < 24) & (curve > 8) & (self.y < -48) & (self.d < 40)
        out[deep & tongue] = Tissue.MUSCLE
        side = (np.abs(self.x) > 30) & (self.d <= 14)
        body = (self.d > 14) & (self.d < self.a.jaw_mm - 10)
        reach = np.abs(self.x) < 45
        out[deep & reach & (off < 4.5) & (side | body)] = Tissue.CORTICAL
        gone = self.rng.random(12) > self.a.teeth
        number = np.clip((self.x + 30) // 5, 0, 11).astype(int)
        row = (np.abs(self.x) < 28) & (off < 3.5) & (self.d > 2) & (self.d <= 14)
        between = np.mod(self.x, 5) > 4.2
        out[deep & row & ~gone[number] & ~between] = Tissue.TOOTH

    def _spine(self, out: TissueMap, deep: Mask) -> None:
        disc = np.mod(self.d + float(self.rng.uniform(0, 18)), 18) < 4.5
        radius = np.sqrt(self.x**2 + self.y**2)
        body = (self.x / 13) ** 2 + ((self.y + 19) / 10) ** 2
        spine = (np.abs(self.x) < 4) & (self.y > 8) & (self.y < 30)
        arch = (radius < 12.5) | spine
        out[deep & (body < 1) & (disc | (self.d < 0))] = Tissue.MUCOSA
        out[deep & arch & ~disc] = Tissue.CORTICAL
        out[deep & (body < 1) & ~disc] = Tissue.DIPLOE
        out[deep & (radius < 9) & (self.d > 0)] = Tissue.CSF
        out[deep & (radius < 5.5) & (self.d > 0)] = Tissue.NERVE


def _thicken(a: Anatomy, tissues: TissueMap, coarse: Floats) -> TissueMap:
    """Move the skull's outer face; skin and what lies inside keep their place."""
    out = tissues.copy()
    bone = np.isin(tissues, _BONE)
    move = np.clip(a.skull_mm + 0.5 * coarse, -0.9, 3.0)
    out[(tissues == Tissue.SOFT) & (distance(bone, 5) <= move)] = Tissue.CORTICAL
    near_soft = distance(tissues == Tissue.SOFT, 3) <= 1.0
    out[bone & near_soft & (move < -0.4)] = Tissue.SOFT
    return out


def _fat(a: Anatomy, tissues: TissueMap, depth: Floats, coarse: Floats, fine: Floats) -> TissueMap:
    """Tell fat from muscle, by shares where one runs into the other, and skin from fat.

    Where fat lies is not the same in every subject, so that only the MR tells.
    """
    out = tissues.copy()
    soft = tissues == Tissue.SOFT
    layer = a.fat_depth_mm * np.exp(0.6 * coarse)
    under = (layer + 2 - depth) / (0.5 + 5 * a.fat_edge)
    between = (0.7 * coarse + 0.7 * fine - 1.6 + 2.2 * a.fat_share) / (0.1 + 2 * a.fat_edge)
    share = np.clip(0.5 + np.maximum(under, between), 0, 1)
    share[np.abs(fine) < a.fat_share * 0.35 * (1 - a.fat_edge)] = 1.0
    if a.orbit_fat:
        share[_orbit(tissues)] = 1.0
    steps = np.rint(share * (len(_MARBLED) - 1)).astype(np.uint8)
    out[soft] = _MARBLED[steps][soft]
    out[(tissues == Tissue.SKIN) & (depth > a.skin_mm + 0.5 * fine)] = Tissue.FAT
    return out


def _orbit(tissues: TissueMap) -> Mask:
    eyes = tissues == Tissue.EYE
    near = distance(np.isin(tissues, (Tissue.EYE, Tissue.NERVE)), 14) < 12
    return np.asarray(near & (np.cumsum(eyes.any(axis=(1, 2))) > 0)[:, None, None], bool)


def _marrow(a: Anatomy, tissues: TissueMap, fine: Floats) -> TissueMap:
    bone = np.isin(tissues, _BONE)
    inner = -distance(bone, 40)
    inside = bone & (inner > 2.6 - 1.2 * a.diploe + 0.5 * fine)
    tissues[bone & (inner <= 1.2)] = Tissue.CORTICAL
    if a.diploe:
        tissues[inside] = Tissue.DIPLOE
    return tissues


def _cavities(a: Anatomy, tissues: TissueMap, coarse: Floats, fine: Floats) -> TissueMap:
    """Swell or fill the sinuses; open air cells in the marrow beside air that is there."""
    air = tissues == Tissue.AIR
    if not air.any():
        return tissues
    near = distance(air, 30)
    marrow = (tissues == Tissue.DIPLOE) & _temporal(tissues)
    tissues[marrow & (near < 20) & (fine > 1.6 - 1.2 * a.cells)] = Tissue.AIR
    if a.swollen:
        share = float(np.quantile(coarse[air], 1 - a.swollen))
        tissues[air & ((coarse > share) | (near > -2.5))] = Tissue.MUCOSA
    return tissues


def _temporal(tissues: TissueMap) -> Mask:
    """Roughly where the temporal bones are: behind the eyes, not far below them, off the middle."""
    eyes = np.argwhere(tissues == Tissue.EYE)
    if not len(eyes):
        return np.zeros(tissues.shape, bool)
    z, y, x = (np.arange(n) - c for n, c in zip(tissues.shape, eyes.mean(axis=0), strict=True))
    height, rows, columns = np.abs(z + 10) < 30, (y > 45) & (y < 110), np.abs(x) > 22
    return np.asarray(height[:, None, None] & rows[None, :, None] & columns[None, None], bool)


def _ball(shape: tuple[int, ...], centre: NDArray[np.int64]) -> Floats:
    z, y, x = (np.arange(n, dtype=np.float32) - c for n, c in zip(shape, centre, strict=True))
    return np.asarray(
        np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None] ** 2), np.float32
    )


def _flap(tissues: TissueMap, depth: Floats, rng: np.random.Generator) -> TissueMap:
    """Cut a ring out of the vault."""
    skull = np.argwhere(np.isin(tissues, _BONE) & (depth > 4))
    vault = skull[skull[:, 0] > np.quantile(skull[:, 0], 0.6)] if len(skull) else skull
    if not len(vault):
        return tissues
    away = _ball(tissues.shape, vault[int(rng.integers(len(vault)))])
    ring = np.abs(away - rng.uniform(20, 35)) < rng.uniform(0.8, 2.0)
    tissues[ring & np.isin(tissues, _BONE) & (depth < 25)] = Tissue.MUSCLE
    return tissues


def _metal(tissues: TissueMap, depth: Floats, rng: np.random.Generator) -> TissueMap:
    """A bead of metal in bone or teeth; the scanner makes a larger void of it."""
    hard = np.argwhere(np.isin(tissues, (*_BONE, Tissue.TOOTH)) & (depth > 5))
    if not len(hard):
        return tissues
    away = _ball(tissues.shape, hard[int(rng.integers(len(hard)))])
    tissues[(away < rng.uniform(1.5, 4.0)) & (tissues != Tissue.OUTSIDE)] = Tissue.METAL
    return tissues


def _face(tissues: TissueMap, rng: np.random.Generator) -> Mask:
    eyes = np.argwhere(tissues == Tissue.EYE)
    if eyes.size == 0:
        return np.zeros(tissues.shape, bool)
    z, y = eyes[:, 0].mean(), eyes[:, 1].mean()
    slope = rng.uniform(0.1, 0.5)
    zz = np.arange(tissues.shape[0])[:, None]
    yy = np.arange(tissues.shape[1])[None, :]
    face = (yy < y + rng.uniform(-8, 6) + slope * (z - zz)) & (zz < z + rng.uniform(4, 25))
    return np.broadcast_to(face[:, :, None], tissues.shape)


def _below(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Everything below a plane that is tilted towards front or back, a little to the side."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    level = rng.uniform(0.02, 0.22) * shape[0]
    pitch, roll = rng.normal(0, 0.25), rng.normal(0, 0.06)
    plane = level + pitch * (y - shape[1] / 2) + roll * (x - shape[2] / 2)
    return np.asarray(z < plane, bool)
