"""Synthetic MR/CT pairs: parameters are drawn first, applied second, so a seed is a pair."""

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray
from scipy import ndimage

from models.tissues import HU, Tissue, TissueMap

Floats = NDArray[np.float32]
_ORDER = tuple(Tissue)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParameters:
    """Everything that decides one pair."""

    seed: int
    """Seed of the smooth fields and the noise."""
    angles_rad: tuple[float, float, float]
    """Rotation about the slice, row and column axes."""
    scale: tuple[float, float, float]
    """Size factor along slice, row, column."""
    mirror: bool
    """Left and right exchanged."""
    warp_mm: float
    """Spread of the elastic displacement."""
    fat_depth_mm: float
    """Typical depth of the fat under the skin."""
    fat_share: float
    """0 to 1: fat between the muscles."""
    diploe: float
    """0 to 1: how much of thick cortical bone is marrow."""
    hu: dict[int, float] = field(repr=False)
    """This subject's HU of each tissue."""
    signal: dict[int, float] = field(repr=False)
    """MR signal of each tissue, white matter near 1."""
    bias: float
    """Spread of the logarithm of the receive field."""
    drop_mm: float
    """Length over which signal fades towards the neck; 0: none."""
    noise: float
    """Standard deviation of the Rician noise."""
    blur_mm: float
    """In-plane point spread, standard deviation."""
    slice_axis: int
    """Axis across slices."""
    slice_mm: float
    """Slice thickness."""
    ghost: float
    """Strength of the ghost along rows; 0: none."""
    deface: bool
    """Face removed as for publication."""
    cut: tuple[int, int, int, int]
    """Voxels cut from bottom, top, front, back."""


def draw(seed: int) -> PairParameters:
    """Draw the parameters of one pair."""
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(3))
    thick = rng.random() < 0.35
    return PairParameters(
        seed=seed,
        angles_rad=tuple(np.deg2rad(rng.normal(0, (5, 4, 8)))),
        scale=tuple(rng.normal(1.0, 0.06) * rng.normal(1, 0.025, 3)),
        mirror=bool(rng.random() < 0.5),
        warp_mm=float(rng.uniform(0.5, 3.5)),
        fat_depth_mm=float(rng.uniform(2, 9)),
        fat_share=float(rng.uniform(0.1, 0.5)),
        diploe=float(rng.uniform(0.2, 1.0)),
        hu={int(t): float(rng.normal(HU[t].mean, HU[t].subject_sd)) for t in _ORDER},
        signal=_draw_contrast(rng),
        bias=float(rng.choice([0.1, 0.25, 0.45])),
        drop_mm=float(rng.uniform(20, 70)) if rng.random() < 0.4 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.005), np.log(0.06)))),
        blur_mm=float(rng.uniform(0.3, 0.9)),
        slice_axis=axis,
        slice_mm=float(rng.uniform(2, 6)) if thick else float(rng.uniform(0.8, 1.6)),
        ghost=float(rng.uniform(0.02, 0.08)) if rng.random() < 0.2 else 0.0,
        deface=bool(rng.random() < 0.12),
        cut=_draw_cut(rng),
    )


def _draw_cut(rng: np.random.Generator) -> tuple[int, int, int, int]:
    bottom = int(rng.integers(0, 60)) if rng.random() < 0.5 else 0
    top = int(rng.integers(12, 50)) if rng.random() < 0.12 else 0
    front = int(rng.integers(10, 45)) if rng.random() < 0.15 else 0
    back = int(rng.integers(10, 30)) if rng.random() < 0.05 else 0
    return bottom, top, front, back


def _draw_contrast(rng: np.random.Generator) -> dict[int, float]:
    u = rng.uniform
    if rng.random() < 0.12:
        signal = {int(t): float(u(0.15, 1.3)) for t in _ORDER}
    else:
        grey = u(0.55, 0.85)
        signal = {
            Tissue.WHITE: 1.0,
            Tissue.GREY: grey,
            Tissue.DEEP_GREY: u(grey, 0.95),
            Tissue.CSF: u(0.1, 0.4),
            Tissue.EYE: u(0.1, 0.4),
            Tissue.MUSCLE: u(0.4, 0.8),
            Tissue.SOFT: u(0.4, 0.85),
            Tissue.SKIN: u(0.4, 1.5),
            Tissue.MUCOSA: u(0.35, 0.9),
            Tissue.VESSEL: u(1.2, 2.0) if rng.random() < 0.35 else u(0.08, 0.6),
            Tissue.NERVE: u(0.7, 1.05),
            Tissue.FAT: u(0.15, 0.5) if rng.random() < 0.25 else u(1.0, 2.4),
        }
        marrow = 0.3 + 0.7 * signal[Tissue.FAT] if rng.random() < 0.7 else u(0.2, 0.8)
        signal[Tissue.DIPLOE] = marrow * u(0.35, 0.85)
    dark = {Tissue.OUTSIDE: 0.0, Tissue.AIR: 0.0, Tissue.METAL: 0.0}
    dark[Tissue.CORTICAL] = u(0.0, 0.22)
    return {int(t): float(v) for t, v in (signal | dark).items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """An MR with its CT, 1 mm axial LPS."""

    mr: Floats
    """(slices, rows, columns) signal, white matter near 1 before bias."""
    ct: NDArray[np.int16]
    """Same lattice, HU."""
    tissues: TissueMap
    """Same lattice."""


def apply(parameters: PairParameters, tissues: TissueMap) -> Pair:
    """Make the pair the parameters describe from a subject's tissue map."""
    p = parameters
    rng = np.random.default_rng([p.seed, 1])
    moved = _split_tissues(p, _deform(p, tissues, rng), rng)
    if p.deface:
        moved = _deface(moved, rng)
    ct = _smooth(_paint(moved, p.hu, [HU[t].texture_sd for t in _ORDER], rng), 0.7)
    texture = [0.0 if t in (Tissue.OUTSIDE, Tissue.AIR) else 0.06 * p.signal[t] for t in _ORDER]
    mr = _acquire(p, _paint(moved, p.signal, texture, rng), rng)
    keep = _window(p, moved.shape)
    hu = np.clip(np.rint(ct[keep]), -1024, 3071).astype(np.int16)
    return Pair(mr=mr[keep], ct=hu, tissues=moved[keep])


def _window(p: PairParameters, shape: tuple[int, ...]) -> tuple[slice, ...]:
    bottom, top, front, back = p.cut
    return (slice(bottom, shape[0] - top), slice(front, shape[1] - back), slice(0, shape[2]))


def smooth_field(shape: tuple[int, ...], scale_mm: float, rng: np.random.Generator) -> Floats:
    """A smooth random field of unit spread with features of about ``scale_mm``."""
    coarse = [max(4, int(np.ceil(n / scale_mm)) + 3) for n in shape]
    noise = sitk.GetImageFromArray(rng.standard_normal(coarse).astype(np.float32))
    noise.SetOrigin([-scale_mm * float(rng.uniform(0.5, 1.5)) for _ in range(3)])
    noise.SetSpacing([scale_mm] * 3)
    size = [int(n) for n in shape[::-1]]
    field_ = sitk.Resample(noise, size, sitk.Transform(), sitk.sitkLinear, (0, 0, 0), (1, 1, 1))
    values = sitk.GetArrayFromImage(field_)
    return np.asarray(values / max(float(values.std()), 1e-6), np.float32)


def _deform(p: PairParameters, tissues: TissueMap, rng: np.random.Generator) -> TissueMap:
    source = tissues[:, :, ::-1] if p.mirror else tissues
    image = sitk.GetImageFromArray(np.ascontiguousarray(source))
    centre = [(n - 1) / 2 for n in source.shape[::-1]]
    affine = sitk.AffineTransform(3)
    turn = sitk.Euler3DTransform((0, 0, 0), p.angles_rad[2], p.angles_rad[1], p.angles_rad[0])
    matrix = np.array(turn.GetMatrix()).reshape(3, 3) @ np.diag(1 / np.array(p.scale[::-1]))
    affine.SetMatrix(matrix.ravel().tolist())
    affine.SetCenter(centre)
    mesh = [max(2, int(n // 32)) for n in source.shape[::-1]]
    elastic = sitk.BSplineTransformInitializer(image, mesh, 3)
    count = len(elastic.GetParameters())
    elastic.SetParameters((rng.standard_normal(count) * p.warp_mm).tolist())
    # The display of a B-spline over 10 M voxels is slow; a field at a quarter resolution is not.
    quarter = [max(2, n // 4 + 2) for n in image.GetSize()]
    shift = sitk.TransformToDisplacementField(
        elastic, sitk.sitkVectorFloat64, quarter, (0, 0, 0), (4, 4, 4)
    )
    both = sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(shift)])
    moved = sitk.Resample(image, image, both, sitk.sitkNearestNeighbor, 0)
    return np.asarray(sitk.GetArrayFromImage(moved), np.uint8)


def _distance(mask: NDArray[np.bool_], limit: int) -> Floats:
    """Distance in voxels to ``mask``, negative inside it, at most ``limit``."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    far = sitk.SignedMaurerDistanceMap(image, False, False, False)
    return np.asarray(np.minimum(sitk.GetArrayFromImage(far), limit), np.float32)


def _split_tissues(p: PairParameters, tissues: TissueMap, rng: np.random.Generator) -> TissueMap:
    """Tell fat from muscle, marrow from compacta, skin from what lies below it."""
    out = tissues.copy()
    room = tissues == Tissue.OUTSIDE
    depth = _distance(room, 40)
    coarse = smooth_field(tissues.shape, 18.0, rng)
    fine = smooth_field(tissues.shape, 5.0, rng)
    soft = tissues == Tissue.SOFT
    layer = p.fat_depth_mm * np.exp(0.4 * coarse)
    septa = np.abs(fine) < p.fat_share * 0.35
    blobs = (0.7 * coarse + 0.7 * fine) > 1.6 - 2.2 * p.fat_share
    eye = _distance(np.isin(tissues, (Tissue.EYE, Tissue.NERVE)), 14) < 12
    out[soft] = Tissue.MUSCLE
    out[soft & ((depth < layer + 2) | septa | blobs | eye)] = Tissue.FAT
    skin = tissues == Tissue.SKIN
    out[skin & (depth > 1.6 + 0.5 * fine)] = Tissue.FAT
    return _marrow(p, out, fine)


def _marrow(p: PairParameters, tissues: TissueMap, fine: Floats) -> TissueMap:
    bone = np.isin(tissues, (Tissue.CORTICAL, Tissue.DIPLOE))
    inner = -_distance(bone, 40)
    inside = bone & (inner > 2.6 - 1.2 * p.diploe + 0.5 * fine)
    tissues[bone & (inner <= 1.2)] = Tissue.CORTICAL
    tissues[inside] = Tissue.DIPLOE
    return tissues


def _deface(tissues: TissueMap, rng: np.random.Generator) -> TissueMap:
    out = tissues.copy()
    head = np.argwhere(np.isin(tissues, (Tissue.EYE,)))
    if head.size == 0:
        return out
    z, y = head[:, 0].mean(), head[:, 1].mean()
    slope = rng.uniform(0.1, 0.5)
    zz = np.arange(tissues.shape[0])[:, None]
    yy = np.arange(tissues.shape[1])[None, :]
    face = (yy < y + rng.uniform(-8, 6) + slope * (z - zz)) & (zz < z + rng.uniform(4, 25))
    out[np.broadcast_to(face[:, :, None], out.shape)] = Tissue.OUTSIDE
    return out


def _paint(
    tissues: TissueMap, means: dict[int, float], spread: list[float], rng: np.random.Generator
) -> Floats:
    table = np.array([means.get(int(t), 0.0) for t in _ORDER], np.float32)
    sd = np.array(spread, np.float32)
    field_ = 0.7 * smooth_field(tissues.shape, 9.0, rng) + 0.7 * smooth_field(
        tissues.shape, 3.0, rng
    )
    return np.asarray(table[tissues] + sd[tissues] * field_, np.float32)


def _smooth(values: Floats, sigma_mm: float) -> Floats:
    return np.asarray(ndimage.gaussian_filter(values, sigma_mm, truncate=3.0), np.float32)


def _acquire(p: PairParameters, signal: Floats, rng: np.random.Generator) -> Floats:
    """What the scanner makes of the true signal."""
    shape = signal.shape
    bias = np.exp(p.bias * 0.7 * smooth_field(shape, 80.0, rng))
    if p.drop_mm:
        height = np.arange(shape[0], dtype=np.float32) - p.cut[0] - 10
        bias *= (1 / (1 + np.exp(-height / (p.drop_mm / 3))))[:, None, None] + 0.05
    mr = _thick(_smooth(signal * bias, p.blur_mm), p.slice_axis, p.slice_mm)
    if p.ghost:
        mr = mr + p.ghost * np.roll(mr, shape[1] // 2, axis=1)
    real = mr + p.noise * rng.standard_normal(shape, dtype=np.float32)
    imaginary = p.noise * rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(np.sqrt(real**2 + imaginary**2), np.float32)


def _thick(mr: Floats, axis: int, slice_mm: float) -> Floats:
    """Slices of ``slice_mm``, then linear interpolation back to 1 mm, as the node does."""
    if slice_mm < 1.2:
        return mr
    blurred = ndimage.uniform_filter1d(mr, max(1, round(slice_mm)), axis=axis)
    length = mr.shape[axis]
    centres = np.arange(0, length - 1 + 1e-6, slice_mm)
    low = np.clip((np.arange(length) / slice_mm).astype(int), 0, len(centres) - 1)
    high = np.minimum(low + 1, len(centres) - 1)
    part = np.clip(np.arange(length) / slice_mm - low, 0, 1).astype(np.float32)
    stack = np.take(blurred, np.rint(centres).astype(int), axis=axis)
    shape = [1, 1, 1]
    shape[axis] = length
    weight = part.reshape(shape)
    mixed = np.take(stack, low, axis=axis) * (1 - weight) + np.take(stack, high, axis=axis) * weight
    return np.asarray(mixed, np.float32)
