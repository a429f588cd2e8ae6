"""A head made by code: anatomical enough to know brain, skull and air at sight; nobody's head.

Coordinates are LPS mm; the origin lies in the middle of the head, level with the brain's base.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.demo.canvas import Canvas, Tissue
from node.demo.face import airways, eyes, face_bones, neck
from node.demo.shapes import (
    Blend,
    Ellipsoid,
    Field,
    Mirrored,
    Tube,
    soft_intersection,
    soft_union,
    union,
    waves,
)

# Signal of a T1-weighted gradient echo with inversion (MPRAGE), arbitrary units.
SIGNAL: dict[Tissue, float] = {
    Tissue.AIR: 0, Tissue.SKIN: 420, Tissue.FAT: 900, Tissue.MUSCLE: 400, Tissue.BONE: 45,
    Tissue.MARROW: 420, Tissue.CSF: 200, Tissue.GREY: 470, Tissue.WHITE: 720,
    Tissue.DEEP_GREY: 560, Tissue.VITREOUS: 190, Tissue.LENS: 330, Tissue.MUCOSA: 430,
    Tissue.CARTILAGE: 330, Tissue.TEETH: 20, Tissue.VESSEL: 180,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The phantom on its grid: axial, rows to the left, columns to posterior, slices upwards."""

    tissue: NDArray[np.uint8]
    """(z, y, x) values of `Tissue`."""
    signal: NDArray[np.float32]
    """(z, y, x) MR signal, at least 0."""
    first_mm: tuple[float, float, float]
    """LPS mm of the centre of voxel (0, 0, 0)."""
    spacing_mm: float


def make_head(
    shape: tuple[int, int, int] = (256, 256, 192),
    spacing_mm: float = 1.0,
    centre_mm: tuple[float, float, float] = (0.0, -10.0, -12.0),
    *,
    seed: int = 7,
) -> Head:
    """Build the phantom on an axial grid of ``shape`` (z, y, x) about ``centre_mm``."""
    middle = [(n - 1) / 2 * spacing_mm for n in shape[::-1]]
    first = tuple(float(c - m) for c, m in zip(centre_mm, middle, strict=True))
    canvas = Canvas(shape, first, spacing_mm)
    _outside(canvas)
    neck(canvas, seed)
    _cranium(canvas, seed)
    face_bones(canvas)
    _brain(canvas, seed)
    eyes(canvas)
    airways(canvas, seed)
    signal = _signal(canvas, seed)
    return Head(
        tissue=canvas.tissue,
        signal=signal,
        first_mm=(first[0], first[1], first[2]),
        spacing_mm=spacing_mm,
    )


_CRANIUM = Blend(
    (
        Ellipsoid((0, 8, 28), (66, 84, 64)),
        Ellipsoid((0, -22, 26), (56, 62, 56)),
        Mirrored(Ellipsoid((34, 2, -6), (27, 42, 24))),
        Mirrored(Ellipsoid((24, 50, -16), (32, 34, 30))),
    ),
    18.0,
)
"""Inside of the skull: cerebrum, temporal and posterior fossae."""

_HEAD = Blend(
    (
        Ellipsoid((0, 8, 28), (79, 98, 78)),
        Ellipsoid((0, -26, 20), (67, 76, 66)),
        Ellipsoid((0, 40, -20), (66, 58, 46)),
        Ellipsoid((0, -46, -42), (60, 58, 52)),
        Ellipsoid((0, -62, -84), (40, 44, 34)),
        Mirrored(Ellipsoid((34, -42, -62), (30, 46, 40))),
    ),
    22.0,
)
_NOSE = Tube(((0, -97, -6), (0, -110, -30), (0, -114, -40), (0, -103, -46)), (6, 8, 10, 11))
_LIPS = Ellipsoid((0, -102, -66), (22, 8, 10))
_CHIN = Ellipsoid((0, -96, -94), (20, 14, 15))
_BROW = Ellipsoid((0, -93, 2), (40, 8, 9))
_NECK = Tube(((0, 26, -50), (0, 22, -100), (0, 24, -160)), (52, 54, 60))
_EARS = Mirrored(
    Blend((Ellipsoid((77, 27, -14), (5.0, 15, 25)), Ellipsoid((73, 20, -36), (5, 8, 10))), 6.0)
)


def _outside(canvas: Canvas) -> None:
    """Skin, fat below it, muscle below that."""
    x, y, z = (
        canvas.axes[0][None, None, :],
        canvas.axes[1][None, :, None],
        canvas.axes[2][:, None, None],
    )
    depth = soft_union(_HEAD.distance(x, y, z), _NECK.distance(x, y, z), 26.0)
    for part, soft in ((_NOSE, 12.0), (_LIPS, 10.0), (_CHIN, 14.0), (_BROW, 12.0), (_EARS, 7.0)):
        index, place = canvas.window(part, 25.0)
        depth[index] = soft_union(depth[index], part.distance(*place), soft)
    canvas.skin_depth = depth
    canvas.tissue[depth < 0] = Tissue.SKIN
    # Fat is thick on cheeks and neck and thin on the scalp.
    thick = 4.5 + 4.0 * np.clip((-30.0 - z) / 40.0, 0.0, 1.0)
    canvas.tissue[depth < -1.8] = Tissue.FAT
    canvas.tissue[depth < -(1.8 + thick)] = Tissue.MUSCLE
    canvas.paint(Tissue.CARTILAGE, _EARS, grow=-2.2, over=(Tissue.SKIN, Tissue.FAT))
    canvas.paint(Tissue.CARTILAGE, _NOSE, grow=-4.0)


def _cranium(canvas: Canvas, seed: int) -> None:
    """Inner table, diploe and outer table around the cavity, of varying thickness."""
    index, (x, y, z) = canvas.window(_CRANIUM, 14.0)
    inner = _CRANIUM.distance(x, y, z) - 2.0
    uneven = waves(x, y, z, length_mm=55.0, count=7, seed=seed)
    # The vault is thicker at the back than at the temples; the base is uneven.
    temple = np.exp(-(((np.abs(x) - 66) / 22) ** 2) - ((y + 8) / 34) ** 2)
    thick = 6.4 + 0.8 * uneven + 1.2 * np.clip(y / 80, 0, 1) - 2.4 * temple
    tissue = canvas.tissue[index]
    below = canvas.skin_depth[index] < -3.5
    tissue[(inner < thick) & below] = Tissue.BONE
    table = 1.9 + 0.2 * uneven
    tissue[(inner > table) & (inner < thick - table) & below & (thick > 4.6)] = Tissue.MARROW
    tissue[inner < 0] = Tissue.CSF
    canvas.paint(Tissue.CSF, Tube(((0, 34, -30), (0, 42, -58)), (13, 9)))
    # Petrous bones, dense, and mastoids.
    petrous = Mirrored(Tube(((62, 30, -26), (36, 14, -22), (16, 0, -18)), (11, 9, 5)))
    canvas.paint(Tissue.BONE, petrous, skin_mm=6.0)
    canvas.paint(Tissue.BONE, Mirrored(Tube(((60, 32, -28), (54, 32, -52)), (13, 7))), skin_mm=6.0)
    canvas.paint(Tissue.BONE, Tube(((0, -20, -12), (0, 16, -22), (0, 24, -44)), (13, 9, 6)))
    canvas.paint(Tissue.MARROW, Tube(((0, 4, -20), (0, 18, -26), (0, 24, -40)), (5, 6, 3.5)))


def _brain(canvas: Canvas, seed: int) -> None:
    """Folded cortex on white matter, deep nuclei, ventricles, cerebellum, stem and cord."""
    index, (x, y, z) = canvas.window(_CRANIUM)
    cavity = _CRANIUM.distance(x, y, z)
    tissue = canvas.tissue[index]
    tentorium = -14.0 + 0.35 * (y - 20) - 0.08 * np.abs(x)
    behind = np.maximum(18.0 - y, z - (tentorium - 2.0))
    _cerebrum(tissue, cavity, x, y, z, behind=behind, seed=seed)
    stem = Tube(
        ((0, 18, 0), (0, 21, -14), (0, 30, -34), (0, 42, -60), (0, 43, -160)), (15, 14, 11, 6, 5.2)
    )
    _cerebellum(tissue, soft_intersection(cavity + 2.5, behind, 6.0), x, y, z)
    canvas.paint(Tissue.WHITE, stem)
    canvas.paint(Tissue.DEEP_GREY, stem, grow=-9.0)
    nuclei = (
        Ellipsoid((11, 13, 14), (8, 14, 9)),
        Tube(((12, -20, 20), (14, -4, 30), (20, 22, 30)), (6.5, 5, 3)),
        Ellipsoid((26, -2, 13), (6, 17, 10)),
        Ellipsoid((25, 2, -12), (9, 15, 8)),
    )
    for nucleus in nuclei:
        canvas.paint(Tissue.DEEP_GREY, Mirrored(nucleus), over=(Tissue.WHITE, Tissue.GREY))
    horns = Mirrored(
        Tube(
            ((5, -30, 22), (8, -12, 32), (11, 16, 36), (21, 38, 26), (19, 62, 17)),
            (5, 5.5, 5, 7.5, 3),
        )
    )
    temporal = Mirrored(Tube(((22, 38, 24), (30, 22, -2), (29, 0, -14)), (6, 3, 2.4)))
    for water in (
        horns,
        temporal,
        Ellipsoid((0, 8, 12), (2.6, 15, 10)),
        Ellipsoid((0, 39, -22), (7, 5, 11)),
    ):
        canvas.paint(Tissue.CSF, water)


def _cerebrum(
    tissue: NDArray[np.uint8],
    cavity: Field,
    x: Field,
    y: Field,
    z: Field,
    *,
    behind: Field,
    seed: int,
) -> None:
    """Cortex follows the surface and both walls of every sulcus.

    The sulci are sheets where smooth noise is zero; the long one between the hemispheres is where
    x is zero, above the callosum.
    """
    length = 25.0
    folds = waves(x, y, z, length_mm=length, count=12, seed=seed)
    folds += 0.3 * waves(x, y, z, length_mm=length / 2, count=6, seed=seed + 1)
    surface = cavity + 2.0
    # The mean slope of such noise turns its value into mm from the sheet.
    sulcus = np.abs(folds) * np.float32(length / (2 * np.pi))
    sulcus = soft_intersection(sulcus - 0.9, -(surface + 17.0 + 4.0 * folds), 3.0)
    callosum = Ellipsoid((0, 10, 12), (60, 40, 31)).distance(x, y, z)
    fissure = np.maximum(np.abs(x + 1.2 * folds) - 1.3, -callosum)
    sylvian = np.maximum(
        np.abs(z - 2 - 0.30 * (y - 2) + 2.5 * folds) - 1.3,
        np.maximum(36 - np.abs(x), np.abs(y - 2) - 32),
    )
    insula = np.maximum(
        np.abs(np.abs(x) - 37 + 2.0 * folds) - 1.2,
        np.maximum(np.abs(y - 2) - 22, np.abs(z - 6) - 12),
    )
    water = union(sulcus, fissure, sylvian, insula)
    pial = np.maximum(surface, np.maximum(-water, -behind))
    tissue[pial < 0] = Tissue.GREY
    tissue[pial < -3.1] = Tissue.WHITE


def _cerebellum(tissue: NDArray[np.uint8], depth: Field, x: Field, y: Field, z: Field) -> None:
    """Fine leaves of grey matter around a tree of white matter."""
    around = np.sqrt((y - 36) ** 2 + (z + 12) ** 2)
    leaves = np.cos(around * (2 * np.pi / 7.0) + 0.08 * np.abs(x))
    tissue[depth < 0] = Tissue.GREY
    tissue[(depth < 0) & (depth > -7) & (leaves < -0.80)] = Tissue.CSF
    tissue[(depth < -2.5) & (leaves > 0.55)] = Tissue.WHITE
    tissue[depth < -13.0] = Tissue.WHITE


def _signal(canvas: Canvas, seed: int) -> NDArray[np.float32]:
    """Signal with partial volume, uneven coil sensitivity and the noise of a magnitude image."""
    table = np.array([SIGNAL[Tissue(value)] for value in range(len(Tissue))], np.float32)
    signal = table[canvas.tissue]
    x, y, z = (
        canvas.axes[0][None, None, :],
        canvas.axes[1][None, :, None],
        canvas.axes[2][:, None, None],
    )
    texture = waves(x, y, z, length_mm=22.0, count=5, seed=seed + 9)
    signal *= 1.0 + 0.035 * texture
    signal = _blurred(signal)
    # Coils lie close to the head's surface; the neck is far from them.
    signal *= 1.08 - 0.10 * np.exp(-((x / 60) ** 2) - (y / 70) ** 2 - ((z - 20) / 60) ** 2)
    signal *= 0.35 + 0.65 / (1.0 + np.exp(-(z + 118.0) / 14.0))
    random = np.random.default_rng(seed)
    real = signal + random.standard_normal(signal.shape, np.float32) * 9.0
    imaginary = random.standard_normal(signal.shape, np.float32) * 9.0
    result: NDArray[np.float32] = np.hypot(real, imaginary)
    return result


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in range(3):
        padded = np.pad(values, [(1, 1) if other == axis else (0, 0) for other in range(3)], "edge")
        count = values.shape[axis]
        before, after = (padded.take(range(at, at + count), axis) for at in (0, 2))
        values = 0.56 * values + 0.22 * (before + after)
    return values.astype(np.float32)
