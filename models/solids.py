"""Heads from solids: skull, brain, face and neck as shapes in space, with no label map behind them.

A second population for the checks after synthesis, independent of the one the network learns from:
another anatomy, another contrast (`models.relaxation`). Coordinates are mm of an upright head: x to
the left, y to posterior, z up, the ears' canals near the origin.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.fields import Floats, distance, smooth_field
from models.tissues import Tissue, TissueMap

Mask = NDArray[np.bool_]
Rng = np.random.Generator
Three = tuple[float, float, float]

_PIVOT_MM = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What one head is built of."""

    size: Three
    """Factors along x, y, z."""
    angles_deg: Three
    """Pitch (chin up above 0), roll, yaw."""
    skull_mm: float
    """Typical thickness of the vault."""
    scalp_mm: float
    """Typical thickness of skin, fat and muscle over it."""
    marrow: float
    """0 to 1: how much of the skull is marrow."""
    gyri_mm: float
    """Width of a fold of the cortex."""
    ventricles: float
    """Size factor."""
    sinuses: float
    """Size factor of the air-filled cavities of the face; 0: none of the frontal bone."""
    neck_mm: float
    """How far below the ears the field of view ends."""


def draw_build(rng: Rng) -> Build:
    """Draw one head."""
    u = rng.uniform
    return Build(
        size=(u(0.94, 1.06), u(0.94, 1.06), u(0.94, 1.06)),
        angles_deg=(float(np.clip(rng.normal(2, 7), -12, 18)), rng.normal(0, 3), rng.normal(0, 5)),
        skull_mm=float(u(4.0, 7.5)),
        scalp_mm=float(u(4.5, 9.0)),
        marrow=float(u(0.2, 0.9)),
        gyri_mm=float(u(7.0, 11.0)),
        ventricles=float(u(0.7, 1.7)),
        sinuses=float(u(0.6, 1.2)),
        neck_mm=float(u(50.0, 85.0)),
    )


class _Space:
    """Coordinates of every voxel in the head's own axes, and shapes in them."""

    def __init__(self, b: Build) -> None:
        self.shape = (int(b.neck_mm) + 130, 230, 184)
        self._middle = np.array([self.shape[2] / 2, 122.0, b.neck_mm])
        z, y, x = (
            np.arange(n, dtype=np.float32) - np.float32(c)
            for n, c in zip(self.shape, self._middle[::-1], strict=True)
        )
        self._turn = _rotation(b.angles_deg) / np.array(b.size)[:, None]
        grid = (x[None, None, :], y[None, :, None], z[:, None, None] - np.float32(_PIVOT_MM))
        rows = [_along(row, grid) for row in self._turn]
        self.x, self.y, self.z = rows[0], rows[1], rows[2] + np.float32(_PIVOT_MM)
        self.ax = np.abs(self.x)

    def egg(self, centre: Three, half: Three, power: float = 2.0, *, both: bool = False) -> Mask:
        """An ellipsoid; ``both``: one on either side."""
        out = np.zeros(self.shape, bool)
        for side in (1, -1) if both else (1,):
            middle = (side * centre[0], centre[1], centre[2])
            box = self._box(middle, half)
            away = np.zeros(out[box].shape, np.float32)
            for v, c, h in zip((self.x, self.y, self.z), middle, half, strict=True):
                off = (v[box] - np.float32(c)) * np.float32(1 / h)
                away += off * off if power == 2 else np.abs(off) ** np.float32(power)
            out[box] |= away < 1
        return out

    def _box(self, centre: Three, half: Three) -> tuple[slice, ...]:
        """Where a shape can be, as slices of the lattice."""
        pivot = np.array([0, 0, _PIVOT_MM])
        found = np.linalg.solve(self._turn, np.array(centre) - pivot) + pivot + self._middle
        reach = np.abs(np.linalg.inv(self._turn)) @ np.array(half) + 2
        ends = zip(found[::-1], reach[::-1], self.shape, strict=True)
        return tuple(
            slice(int(np.clip(c - r, 0, n)), int(np.clip(c + r, 0, n))) for c, r, n in ends
        )

    def shell(self, centre: Three, half: Three, wall: float, *, both: bool = False) -> Mask:
        """Its wall, outwards."""
        wide = (half[0] + wall, half[1] + wall, half[2] + wall)
        return self.egg(centre, wide, both=both) & ~self.egg(centre, half, both=both)


def _along(row: NDArray[np.float64], grid: tuple[Floats, Floats, Floats]) -> Floats:
    """One coordinate of every voxel."""
    x, y, z = (np.float32(t) * g for t, g in zip(row, grid, strict=True))
    return np.asarray(x + y + z, np.float32)


def _rotation(angles_deg: Three) -> NDArray[np.float64]:
    """From the scanner's axes to the head's."""
    pitch, roll, yaw = np.deg2rad(angles_deg)
    c, s = np.cos, np.sin
    about_x = np.array([[1, 0, 0], [0, c(pitch), s(pitch)], [0, -s(pitch), c(pitch)]])
    about_y = np.array([[c(roll), 0, s(roll)], [0, 1, 0], [-s(roll), 0, c(roll)]])
    about_z = np.array([[c(yaw), s(yaw), 0], [-s(yaw), c(yaw), 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z)


def build(b: Build, rng: Rng) -> TissueMap:
    """The tissue map of one head."""
    space = _Space(b)
    coarse, fine = (smooth_field(space.shape, scale, rng) for scale in (25.0, 4.0))
    cavity = _cavity(space)
    away = distance(cavity, 60)
    skull = ~cavity & (away <= b.skull_mm * np.exp(0.18 * coarse))
    skull |= _base(space, cavity)
    skull &= ~_foramen(space)
    head = _surface(b, space, away, skull, coarse)
    out = _soft(b, head, skull | cavity, coarse, fine)
    _face(b, space, out, fine)
    _neck(space, out)
    _bone(b, space, out, skull & head, fine)
    _brain(b, space, out, cavity, away, rng)
    out[~head] = Tissue.OUTSIDE
    return out


def _cavity(s: _Space) -> Mask:
    """What holds the brain: an egg above a floor in three steps."""
    egg = s.egg((0, 8, 38), (66, 84, 70), 2.2)
    front = np.float32(14) + np.float32(0.002) * s.ax**2
    middle = np.where(s.ax > 14, np.float32(-14), np.float32(2))
    behind = np.float32(-38) + np.float32(0.012) * (s.ax**2 + (s.y - 42) ** 2)
    floor = np.where(s.y < -22, front, np.where(s.y < 12, middle, behind))
    ridge = (s.ax > 14) & (np.abs(s.y - 8 - 0.28 * s.ax) < 7 - (s.z + 14) / 4) & (s.z < 8)
    stem = s.egg((0, 26, -40), (15, 15, 40))
    return np.asarray((egg & (s.z > floor) & ~ridge) | stem, bool)


def _foramen(s: _Space) -> Mask:
    return np.asarray((np.hypot(s.x, s.y - 26) < 14) & (s.z < -20), bool)


def _base(s: _Space, cavity: Mask) -> Mask:
    """Petrous bones, clivus and mastoids."""
    petrous = s.egg((36, 16, -10), (30, 11, 11), both=True)
    mastoid = s.egg((54, 32, -22), (13, 15, 20), both=True)
    clivus = (s.ax < 13) & (np.abs(s.y - 4 + (s.z + 12) * 0.5) < 6) & (s.z > -36) & (s.z < 2)
    return np.asarray((petrous | mastoid | clivus) & ~cavity, bool)


def _surface(b: Build, s: _Space, away: Floats, skull: Mask, coarse: Floats) -> Mask:
    scalp = b.skull_mm + b.scalp_mm * np.exp(0.2 * coarse)
    cranium = (away <= scalp) & ((s.z > -28) | (s.y > 20))
    face = s.egg((0, -34, -30), (62, 62, 72), 2.4)
    nose = s.egg((0, -92, -24), (13, 20, 20))
    ears = s.egg((72, 16, -4), (8, 15, 25), both=True)
    neck = (np.abs(s.x / 60) ** 2.4 + np.abs((s.y - 18) / 56) ** 2.4 < 1) & (s.z < 0)
    return np.asarray(cranium | face | nose | ears | neck | skull, bool)


def _soft(b: Build, head: Mask, hard: Mask, coarse: Floats, fine: Floats) -> TissueMap:
    """Skin, the fat under it, and muscle with fat between."""
    out = np.where(head, Tissue.MUSCLE, Tissue.OUTSIDE).astype(np.uint8)
    depth = distance(~head, 40)
    to_bone = distance(hard, 30)
    out[head & (fine > 1.1)] = Tissue.MARBLED_50
    out[head & (fine > 1.5)] = Tissue.FAT
    out[head & (depth < 2 + 0.6 * b.scalp_mm * np.exp(0.4 * coarse)) & (to_bone > 1.5)] = Tissue.FAT
    out[head & (depth <= 1.5 + 0.4 * fine)] = Tissue.SKIN
    return out


def _face(b: Build, s: _Space, out: TissueMap, fine: Floats) -> None:
    """Orbits, nose, jaws and the cavities between them."""
    k = b.sinuses
    walls = s.egg((30, -56, -4), (21, 30, 20), both=True) & (s.y > -76)
    orbit = s.egg((30, -58, -4), (18, 30, 17), both=True) & (s.y > -80)
    upper = (s.ax < 50) & (s.y > -82) & (s.y < -30) & (s.z < -16) & (s.z > -50)
    maxilla = upper & (s.ax < 44 - 0.02 * (s.y + 30) ** 2 * 0.3)
    cheek = s.shell((0, -28, -20), (58, 48, 12), 4) & (np.abs(s.z + 20) < 5) & (s.ax > 30)
    nasal = (s.ax < 13) & (s.y > -84) & (s.y < -28) & (s.z > -42) & (s.z < 4)
    out[walls] = Tissue.CORTICAL
    out[(maxilla & ~nasal) | cheek] = Tissue.CORTICAL
    out[orbit] = Tissue.FAT
    out[s.egg((31, -50, -4), (4, 26, 5), both=True)] = Tissue.NERVE
    out[s.egg((31, -68, -3), (12.5, 12.5, 12.5), both=True)] = Tissue.EYE
    out[s.egg((31, -58, -32), (13 * k, 16 * k, 14 * k), both=True) & (s.ax > 17)] = Tissue.AIR
    out[nasal] = Tissue.MUCOSA
    turns = np.sin(s.z * 0.55 + 0.2 * fine) * np.cos(s.ax * 0.3) > 0.35
    out[nasal & (s.ax > 1.5) & turns] = Tissue.AIR
    out[nasal & (s.ax < 12) & (s.z > -10) & (fine > 0.9)] = Tissue.CORTICAL
    out[(s.ax < 34) & (np.abs(s.z + 46) < 2) & (s.y < -30) & (s.y > -78)] = Tissue.CORTICAL
    arch = np.abs(np.hypot(s.x / 30, (s.y + 38) / 42) - 1) * 34
    teeth = (arch < 4) & (s.y < -40) & (s.z < -48) & (s.z > -62) & (np.mod(s.x, 7) > 0.8)
    out[teeth] = Tissue.TOOTH
    jaw = (arch < 5) & (s.y < -20) & (s.z < -64) & (s.z > -92)
    ramus = (np.abs(s.ax - 46) < 4) & (np.abs(s.y + 14) < 14) & (s.z < -18) & (s.z > -80)
    out[jaw | ramus] = Tissue.CORTICAL
    sphenoid = ((0.0, -12.0, -10.0), (11 * k, 10 * k, 9 * k))
    out[s.shell(*sphenoid, 1.6)] = Tissue.CORTICAL
    out[s.egg(*sphenoid)] = Tissue.AIR


def _neck(s: _Space, out: TissueMap) -> None:
    """Spine and airway below the skull."""
    low = s.z < -44
    disc = np.mod(s.z, 18) < 4
    out[low & s.egg((0, -10, -90), (9, 6, 52), 4)] = Tissue.AIR
    body = np.hypot(s.x / 12, (s.y - 8) / 9) < 1
    ring = np.hypot(s.x, s.y - 26)
    arch = (ring < 13) | ((s.ax < 4) & (s.y > 30) & (s.y < 54))
    out[low & arch & ~disc] = Tissue.CORTICAL
    out[low & body] = np.where(disc, Tissue.MUCOSA, Tissue.DIPLOE)[low & body]
    out[low & (ring < 9)] = Tissue.CSF
    out[low & (ring < 5)] = Tissue.NERVE


def _bone(b: Build, s: _Space, out: TissueMap, skull: Mask, fine: Floats) -> None:
    """Two tables with marrow between them; mastoids and frontal sinuses within."""
    out[skull] = Tissue.CORTICAL
    inner = -distance(skull, 30)
    out[skull & (inner > 2.0 - b.marrow + 0.3 * fine)] = Tissue.DIPLOE
    mastoid = s.egg((53, 30, -18), (11, 13, 17), both=True)
    frontal = s.egg((12, -82, 22), (12 * b.sinuses, 14, 13 * b.sinuses), both=True)
    out[skull & (inner > 1.2) & ((mastoid & (fine > -0.2)) | frontal)] = Tissue.AIR


def _brain(b: Build, s: _Space, out: TissueMap, cavity: Mask, away: Floats, rng: Rng) -> None:
    """Folds of the cortex, ventricles, deep grey matter, cerebellum and stem."""
    folds = smooth_field(s.shape, b.gyri_mm, rng)
    depth = -away
    out[cavity] = Tissue.WHITE
    sulcus = (np.abs(folds) < 0.12) & (depth < 18)
    cortex = (depth < 5.5) | ((np.abs(folds) < 0.55) & (depth < 20))
    out[cavity & cortex] = Tissue.GREY
    out[cavity & (sulcus | (depth < 2.2))] = Tissue.CSF
    small = cavity & (s.z < 4) & (s.y > 14)
    leaves = np.mod(np.hypot(s.y - 20, s.z + 10) + folds, 5.0) > 2.2
    out[small & (depth >= 2.2)] = np.where(leaves, Tissue.GREY, Tissue.WHITE)[
        small & (depth >= 2.2)
    ]
    v = b.ventricles
    for centre, half in (
        ((15.0, -14.0, 42.0), (6.0, 10.0, 4.5)),
        ((13.0, 8.0, 46.0), (8.0, 10.0, 4.5)),
    ):
        out[s.egg((centre[0], centre[1], centre[2] - 8), (8, 16, 11), both=True)] = Tissue.DEEP_GREY
        out[s.egg(centre, (half[0] * v, half[1] * 2, half[2] * v), both=True)] = Tissue.CSF
    out[s.egg((0, 2, 26), (2.5 * v, 14, 9))] = Tissue.CSF
    stem = s.egg((0, 20, -26), (11, 11, 34)) & cavity
    out[stem] = Tissue.NERVE
    out[cavity & (s.ax < 0.8) & (depth < 30) & (s.z > 30)] = Tissue.MUCOSA
    sinus = s.egg((0, 8, 38), (6, 84, 70), 2.2) & ~s.egg((0, 8, 38), (66, 80, 66), 2.2)
    out[cavity & sinus & (s.z > 20)] = Tissue.VESSEL
