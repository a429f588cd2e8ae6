"""Synthetic MR/CT pairs: parameters are drawn first, applied second, so a seed is a pair."""

from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray
from scipy import ndimage

from models.anatomy import Anatomy, add_neck, beyond, draw_anatomy, refine
from models.fields import Floats, distance, smooth_field
from models.tissues import FAT_SHARE, HU, Tissue, TissueMap

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
    anatomy: Anatomy
    """What the label map does not decide."""
    hu: dict[int, float] = field(repr=False)
    """This subject's HU of each tissue."""
    signal: dict[int, float] = field(repr=False)
    """MR signal of each tissue, white matter near 1."""
    t1_like: bool
    """Whether that is a T1-weighted contrast; else any tissue may have any signal."""
    bias: float
    """Spread of the logarithm of the receive field."""
    coil: float
    """How much brighter the skin is than the depth, for surface coils; 0: not."""
    coil_mm: float
    """Depth over which that fades."""
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
    cut: tuple[int, int, int, int]
    """Voxels cut from bottom, top, front, back."""


def draw(seed: int) -> PairParameters:
    """Draw the parameters of one pair."""
    rng = np.random.default_rng(seed)
    axis = int(rng.integers(3))
    thick = rng.random() < 0.3
    return PairParameters(
        seed=seed,
        angles_rad=tuple(np.deg2rad(rng.normal(0, (5, 4, 8)))),
        scale=tuple(rng.normal(1.0, 0.06) * rng.normal(1, 0.025, 3)),
        mirror=bool(rng.random() < 0.5),
        warp_mm=float(rng.uniform(0.5, 3.5)),
        anatomy=draw_anatomy(rng),
        hu=_marbled({int(t): float(rng.normal(HU[t].mean, HU[t].subject_sd)) for t in _ORDER}),
        signal=(signal := _draw_contrast(rng)),
        t1_like=signal[Tissue.WHITE] == 1.0,
        bias=float(rng.choice([0.08, 0.2, 0.4])),
        coil=float(rng.uniform(0.2, 1.8)) if rng.random() < 0.4 else 0.0,
        coil_mm=float(rng.uniform(12, 40)),
        drop_mm=float(rng.uniform(20, 70)) if rng.random() < 0.4 else 0.0,
        noise=float(np.exp(rng.uniform(np.log(0.005), np.log(0.06)))),
        blur_mm=float(rng.uniform(0.45, 1.1)),
        slice_axis=axis,
        slice_mm=float(rng.uniform(2, 6)) if thick else float(rng.uniform(0.8, 1.6)),
        ghost=float(rng.uniform(0.02, 0.08)) if rng.random() < 0.2 else 0.0,
        cut=_draw_cut(rng),
    )


def _marbled(values: dict[int, float]) -> dict[int, float]:
    """Give what is partly fat the mixture of muscle's and fat's value."""
    muscle, fat = values[Tissue.MUSCLE], values[Tissue.FAT]
    return values | {int(t): (1 - s) * muscle + s * fat for t, s in FAT_SHARE.items()}


def _draw_cut(rng: np.random.Generator) -> tuple[int, int, int, int]:
    bottom = int(rng.integers(0, 50)) if rng.random() < 0.2 else 0
    top = int(rng.integers(12, 50)) if rng.random() < 0.12 else 0
    front = int(rng.integers(10, 45)) if rng.random() < 0.15 else 0
    back = int(rng.integers(10, 30)) if rng.random() < 0.05 else 0
    return bottom, top, front, back


def _draw_contrast(rng: np.random.Generator) -> dict[int, float]:
    u = rng.uniform
    if rng.random() < 0.05:
        signal = {int(t): float(u(0.15, 1.3)) for t in _ORDER}
    else:
        grey = u(0.5, 0.92)
        signal = {
            Tissue.WHITE: 1.0,
            Tissue.GREY: grey,
            Tissue.DEEP_GREY: u(grey, 0.95),
            Tissue.CSF: u(0.08, 0.45),
            Tissue.EYE: u(0.08, 0.45),
            Tissue.MUSCLE: u(0.35, 0.8),
            Tissue.SOFT: u(0.4, 0.85),
            Tissue.SKIN: u(0.35, 1.2),
            Tissue.MUCOSA: u(0.35, 0.9),
            Tissue.VESSEL: u(1.2, 2.0) if rng.random() < 0.35 else u(0.08, 0.6),
            Tissue.NERVE: u(0.7, 1.05),
            Tissue.FAT: u(0.18, 0.5) if rng.random() < 0.15 else u(1.0, 2.4),
        }
        marrow = 0.3 + 0.7 * signal[Tissue.FAT] if rng.random() < 0.7 else u(0.2, 0.8)
        signal[Tissue.DIPLOE] = marrow * u(0.4, 0.95)
    dark = {Tissue.OUTSIDE: 0.0, Tissue.AIR: 0.0, Tissue.METAL: 0.0}
    # Water keeps a little signal at the usual inversion times, compact bone almost none.
    dark[Tissue.CORTICAL] = u(0.0, 0.13)
    dark[Tissue.TOOTH] = u(0.0, 0.12)
    return _marbled({int(t): float(v) for t, v in (signal | dark).items()})


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
    whole = refine(p.anatomy, _deform(p, add_neck(p.anatomy, tissues, rng), rng), rng)
    gone = beyond(p.anatomy, whole, rng)
    moved = np.where(gone, Tissue.OUTSIDE, whole).astype(np.uint8)
    ct = _smooth(_paint(moved, p.hu, [HU[t].texture_sd for t in _ORDER], rng), 0.7)
    texture = [0.0 if t in (Tissue.OUTSIDE, Tissue.AIR) else 0.06 * p.signal[t] for t in _ORDER]
    mr = _acquire(p, whole, _void(whole, _paint(whole, p.signal, texture, rng)), rng)
    mr[gone] = 0.0
    keep = _window(p, moved.shape)
    hu = np.clip(np.rint(ct[keep]), -1024, 3071).astype(np.int16)
    return Pair(mr=mr[keep], ct=hu, tissues=moved[keep])


def _window(p: PairParameters, shape: tuple[int, ...]) -> tuple[slice, ...]:
    bottom, top, front, back = p.cut
    return (slice(bottom, shape[0] - top), slice(front, shape[1] - back), slice(0, shape[2]))


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


def repaint(p: PairParameters, tissues: TissueMap, counts: NDArray[np.int64]) -> Floats:
    """Another MR of a part of a subject, near the normalised scale of the whole.

    ``counts`` are the whole subject's voxels of each tissue: they give the level that becomes 1.
    Coil and fading towards the neck need the whole head and are left out.
    """
    rng = np.random.default_rng([p.seed, 2])
    values = np.array([p.signal[int(t)] for t in _ORDER])
    body = np.where(np.array(_ORDER) == Tissue.OUTSIDE, 0, counts)
    order = np.argsort(values)
    share = np.cumsum(body[order]) / max(1, body.sum())
    level = float(values[order][np.searchsorted(share, 0.8)])
    plain = replace(p, coil=0.0, drop_mm=0.0, ghost=0.0)
    texture = [0.0 if t in (Tissue.OUTSIDE, Tissue.AIR) else 0.06 * p.signal[t] for t in _ORDER]
    mr = _acquire(plain, tissues, _paint(tissues, p.signal, texture, rng), rng)
    return np.asarray(mr / max(level, 1e-3), np.float32)


def _void(tissues: TissueMap, signal: Floats) -> Floats:
    """Take the signal around metal away."""
    metal = tissues == Tissue.METAL
    return np.where(distance(metal, 12) < 9, 0.0, signal) if metal.any() else signal


def _acquire(
    p: PairParameters, tissues: TissueMap, signal: Floats, rng: np.random.Generator
) -> Floats:
    """What the scanner makes of the true signal."""
    shape = signal.shape
    bias = np.exp(p.bias * 0.7 * smooth_field(shape, 80.0, rng))
    if p.coil:
        bias *= 1 + p.coil * np.exp(-distance(tissues == Tissue.OUTSIDE, 120) / p.coil_mm)
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
