"""Another way to make an MR and a CT of a tissue map: by relaxation times and by densities.

`models.pairs` draws signals; here they follow from T1, T2* and proton density of each tissue under
a drawn sequence at 1.5 or 3 T, with a receive field that is a polynomial. Times after the usual
compilations (Stanisz 2005, Rooney 2007, Bottomley 1984), rounded.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.fields import Floats, smooth_field
from models.pairs import Pair
from models.tissues import Tissue, TissueMap

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What a scanner sees of one tissue."""

    t1_ms: tuple[float, float]
    """At 1.5 and 3 T."""
    t2_ms: float
    """T2* at short echo times."""
    protons: float
    """Density of mobile protons, water 1."""
    hu: float
    """Typical HU."""
    hu_sd: float
    """Spread from head to head."""


def _of(t1: tuple[float, float], t2: float, pd: float, hu: float, sd: float) -> Matter:
    return Matter(t1_ms=t1, t2_ms=t2, protons=pd, hu=hu, hu_sd=sd)


MATTER: dict[Tissue, Matter] = {
    Tissue.OUTSIDE: _of((1000, 1000), 50, 0.0, -1000, 0),
    Tissue.AIR: _of((1000, 1000), 50, 0.0, -1000, 0),
    Tissue.METAL: _of((1000, 1000), 50, 0.0, 3000, 0),
    Tissue.WHITE: _of((640, 840), 60, 0.70, 29, 2),
    Tissue.GREY: _of((1000, 1350), 60, 0.82, 37, 2),
    Tissue.DEEP_GREY: _of((880, 1150), 50, 0.78, 37, 2),
    Tissue.CSF: _of((4000, 4200), 500, 1.0, 7, 3),
    Tissue.EYE: _of((3500, 3800), 400, 1.0, 12, 3),
    Tissue.SOFT: _of((950, 1300), 40, 0.80, 45, 6),
    Tissue.SKIN: _of((800, 1100), 30, 0.70, 10, 20),
    Tissue.MUSCLE: _of((980, 1350), 35, 0.78, 55, 5),
    Tissue.MUCOSA: _of((1000, 1350), 60, 0.85, 35, 8),
    Tissue.VESSEL: _of((1400, 1800), 60, 0.45, 48, 6),
    Tissue.NERVE: _of((680, 900), 60, 0.72, 31, 3),
    Tissue.FAT: _of((270, 370), 60, 0.90, -98, 8),
    Tissue.DIPLOE: _of((320, 430), 25, 0.55, 420, 90),
    Tissue.CORTICAL: _of((300, 400), 1, 0.20, 1230, 110),
    Tissue.TOOTH: _of((300, 400), 1, 0.10, 1900, 150),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A T1-weighted sequence as drawn."""

    kind: str
    """``inversion`` (MPRAGE), ``spoiled`` gradient echo or ``spin`` echo."""
    field: int
    """0: 1.5 T, 1: 3 T."""
    tr_ms: float
    te_ms: float
    ti_ms: float
    """Of ``inversion``."""
    flip_deg: float
    """Of ``spoiled``."""
    slice_mm: float
    """Thickness along `axis`."""
    axis: int
    noise: float
    """Standard deviation, white matter 1."""
    shading: float
    """Size of the receive field's polynomial."""


def draw_scan(rng: Rng) -> Scan:
    """Draw a sequence as clinics use it."""
    u = rng.uniform
    kind = str(rng.choice(["inversion", "spoiled", "spin"], p=[0.5, 0.3, 0.2]))
    return Scan(
        kind=kind,
        field=int(rng.integers(2)),
        tr_ms=float({"inversion": u(2000, 2500), "spoiled": u(8, 25), "spin": u(450, 650)}[kind]),
        te_ms=float(u(8, 14) if kind == "spin" else u(2, 5)),
        ti_ms=float(u(950, 1150)),
        flip_deg=float(u(15, 28)),
        slice_mm=float(u(1.0, 3.0)),
        axis=int(rng.integers(3)),
        noise=float(u(0.008, 0.04)),
        shading=float(u(0.0, 0.35)),
    )


def signal(scan: Scan, matter: Matter) -> float:
    """Magnitude of one tissue's signal."""
    t1 = matter.t1_ms[scan.field]
    along = np.exp(-scan.tr_ms / t1)
    if scan.kind == "inversion":
        level = abs(1 - 2 * np.exp(-scan.ti_ms / t1) / (1 + along))
    elif scan.kind == "spoiled":
        flip = np.deg2rad(scan.flip_deg)
        level = np.sin(flip) * (1 - along) / (1 - np.cos(flip) * along)
    else:
        level = 1 - along
    return float(matter.protons * level * np.exp(-scan.te_ms / matter.t2_ms))


def signals(scan: Scan) -> dict[Tissue, float]:
    """Signal of every tissue, white matter 1; what is partly fat has its share of both."""
    white = signal(scan, MATTER[Tissue.WHITE])
    out = {tissue: signal(scan, matter) / white for tissue, matter in MATTER.items()}
    return _mixed(out)


def _mixed(values: dict[Tissue, float]) -> dict[Tissue, float]:
    muscle, fat = values[Tissue.MUSCLE], values[Tissue.FAT]
    shares = {Tissue.MARBLED_25: 0.25, Tissue.MARBLED_50: 0.5, Tissue.MARBLED_75: 0.75}
    return values | {t: (1 - s) * muscle + s * fat for t, s in shares.items()}


def paint(tissues: TissueMap, rng: Rng) -> Pair:
    """A T1-weighted MR and a CT of the same head."""
    scan = draw_scan(rng)
    fine = smooth_field(tissues.shape, 4.0, rng)
    hu = _mixed({t: float(rng.normal(m.hu, m.hu_sd)) for t, m in MATTER.items()})
    ct = _table(hu)[tissues]
    bone = ct > 200
    ct[bone] += 90 * fine[bone]
    ct = ndimage.gaussian_filter(ct, float(rng.uniform(0.45, 0.8)), truncate=3.0)
    ct += (tissues != Tissue.OUTSIDE) * np.float32(5) * _noise(tissues.shape, rng)
    tone = _table(signals(scan))[tissues] * (1 + np.float32(0.05) * fine)
    mr = ndimage.gaussian_filter(tone * _shading(scan, tissues.shape, rng), 0.55, truncate=3.0)
    if scan.slice_mm > 1.5:
        mr = ndimage.uniform_filter1d(mr, round(scan.slice_mm), axis=scan.axis)
    level = np.float32(scan.noise)
    mr = np.hypot(mr + level * _noise(mr.shape, rng), level * _noise(mr.shape, rng))
    return Pair(
        mr=np.asarray(mr, np.float32),
        ct=np.clip(np.rint(ct), -1024, 3071).astype(np.int16),
        tissues=tissues,
    )


def _table(values: dict[Tissue, float]) -> NDArray[np.float32]:
    return np.array([values[t] for t in Tissue], np.float32)


def _noise(shape: tuple[int, ...], rng: Rng) -> Floats:
    return rng.standard_normal(shape, dtype=np.float32)


def _shading(scan: Scan, shape: tuple[int, ...], rng: Rng) -> Floats:
    """A polynomial of second order whose logarithm reaches about ``shading``."""
    axes = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True
    )
    out = np.zeros(shape, np.float32)
    for n, first in enumerate(axes):
        out += np.float32(rng.normal(0, 0.5)) * first
        for second in axes[n:]:
            out += np.float32(rng.normal(0, 0.35)) * first * second
    return np.asarray(np.exp(scan.shading * out), np.float32)
