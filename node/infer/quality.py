"""What the result says of itself: is this the body region the model was made for, is it complete.

Limits come from the manifest, so from the model's own population.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.findings import Finding, finding
from node.domain.geometry import Grid, lps_from_index
from node.infer.contour_agreement import SKIN_MM, shift_mm, spilt_ml, surface_bone
from node.infer.contrast import bright_skew
from node.infer.fov_edges import SIDES, faces, height_mm
from node.infer.manifest import Manifest, Quality
from node.infer.skull import (
    bone_level_hu,
    distance,
    histogram,
    look_at_vault,
    vault_air_ml,
    vault_bone_ml,
)
from node.infer.slice_order import MOST

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

BRAIN_HU = (0.0, 80.0)
BONE_HU = 250.0
AIR_HU = -400.0
# Share of signal that counts as "gives signal": of the median of the bright half of the body.
_DARK_SHARE = 0.12
# Body on this share of an outer face of the field of view counts as cut off there.
_EDGE_SHARE = 0.01
# Nothing is written outside the body on purpose; less than this is rounding.
_SPILT_ML = 0.05
# Body on a face beyond this share of its largest section: a head cut off. Four real heads gave 0.07
# at most (ears); a centimetre of the head missing gives about this, half of it 0.6 to 1.
CUT_SHARE = 0.25
# Four real heads and a dozen synthetic ones had none; a hole of 40 mm in the MR gave 11 ml.
_VAULT_AIR_ML = 1.0
# From the vertex to the skull base are some 130 mm; with less than this no vault can be judged.
_LEAST_HEIGHT_MM = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """What the checks look at, all on the working grid."""

    hu: Floats
    """(slices, rows, columns) HU."""
    scale: Floats | None
    """Half width of the central 68 % interval in HU; None when the model has none."""
    body: Mask
    """Inside the outer contour."""
    signal: Floats
    """The MR."""
    work: Grid
    """Where these voxels are."""
    source: Grid
    """Where the MR's voxels are: its field of view."""
    disorder: float | None = None
    """How unlike neighbouring slices of the MR are; see `slice_order`. None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The figures the limits apply to."""

    body_ml: float
    """Volume of the body."""
    solidity: float
    """Share of the body that gives signal."""
    brain: float
    """Share of the body from 0 to 80 HU."""
    bone: float
    """Share of the body above 250 HU."""
    air: float
    """Share of the body below -400 HU."""
    unsure: float
    """Share of the body with a half width above the limit."""


def measure(case: Examined, uncertain_hu: float) -> Shares:
    """Measure one result; the body must not be empty."""
    hu, signal = case.hu[case.body], case.signal[case.body]
    bright = float(np.median(signal[signal >= np.median(signal)]))
    unsure = 0.0
    if case.scale is not None:
        unsure = float((case.scale[case.body] > uncertain_hu).mean())
    return Shares(
        body_ml=float(case.body.sum()) * case.work.voxel_volume_mm3 / 1000.0,
        solidity=float((signal > _DARK_SHARE * bright).mean()),
        brain=float(((hu >= BRAIN_HU[0]) & (hu <= BRAIN_HU[1])).mean()),
        bone=float((hu > BONE_HU).mean()),
        air=float((hu < AIR_HU).mean()),
        unsure=unsure,
    )


def check(case: Examined, manifest: Manifest) -> tuple[Finding, ...]:
    """Every finding of one result."""
    quality = manifest.quality
    if quality is None:
        return ()
    if not case.body.any():
        return (finding("BODY_NOT_FOUND"),)
    looks: tuple[Callable[[], Sequence[Finding | None]], ...] = (
        lambda: _shares(case, quality, manifest),
        lambda: [_vault(case, quality)],
        lambda: [_vault_air(case, manifest), _vault_bone(case, quality)],
        lambda: [_histogram(case, quality)],
        lambda: [_outline(case, quality)],
        lambda: [_bare(case, quality)],
        lambda: [_spilt(case, manifest)],
        lambda: [_order(case), _contrast(case, quality)],
        lambda: [_bone_level(case, quality)],
        lambda: _edge(case, manifest),
    )
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        found = list(threads.map(lambda look: look(), looks))
    return tuple(f for part in found for f in part if f is not None)


def _shares(case: Examined, quality: Quality, manifest: Manifest) -> list[Finding | None]:
    shares = measure(case, quality.uncertain_hu)
    return [
        _region(shares, quality, manifest),
        _share("BONE_SHARE", shares.bone, quality.bone_share),
        _share("AIR_SHARE", shares.air, quality.air_share),
        _unsure(shares, quality),
    ]


def _region(shares: Shares, quality: Quality, manifest: Manifest) -> Finding | None:
    reasons = []
    low, high = quality.body_ml
    if not low <= shares.body_ml <= high:
        reasons.append(f"it fills {shares.body_ml:.0f} ml, usual is {low:.0f} to {high:.0f}")
    if shares.solidity < quality.solidity:
        reasons.append(
            f"{100 * shares.solidity:.0f} % of it gives signal, at least "
            f"{100 * quality.solidity:.0f} % is usual"
        )
    low, high = quality.brain_share
    if not low <= shares.brain <= high:
        reasons.append(
            f"{100 * shares.brain:.0f} % of it looks like brain or muscle, usual is "
            f"{100 * low:.0f} to {100 * high:.0f} %"
        )
    if not reasons:
        return None
    return finding(
        "NOT_BODY_REGION",
        region=manifest.region,
        model=f"{manifest.name} {manifest.version}",
        reason="; ".join(reasons),
    )


def _share(code: str, share: float, limits: tuple[float, float]) -> Finding | None:
    if limits[0] <= share <= limits[1]:
        return None
    low, high = (round(100 * limit, 1) for limit in limits)
    return finding(code, share_percent=round(100 * share, 1), low_percent=low, high_percent=high)


def _unsure(shares: Shares, quality: Quality) -> Finding | None:
    if shares.unsure <= quality.uncertain_share:
        return None
    return finding(
        "UNCERTAINTY_HIGH",
        share_percent=round(100 * shares.unsure, 1),
        limit_hu=quality.uncertain_hu,
        limit_percent=round(100 * quality.uncertain_share, 1),
    )


def _vault(case: Examined, quality: Quality) -> Finding | None:
    if quality.open_share is None:
        return None
    vault = look_at_vault(case.hu, case.body, case.work.spacing_mm)
    if vault is None or vault.where is None or vault.open_share <= quality.open_share:
        return None
    x, y, z = (float(v) for v in lps_from_index(case.work.affine, np.array([vault.where]))[0])
    return finding(
        "SKULL_OPEN",
        share_percent=round(100 * vault.open_share, 1),
        limit_percent=round(100 * quality.open_share, 1),
        where_mm=(round(x, 1), round(y, 1), round(z, 1)),
    )


def _vault_air(case: Examined, manifest: Manifest) -> Finding | None:
    volume = vault_air_ml(case.hu, case.body, case.work.spacing_mm)
    if manifest.region != "head" or volume <= _VAULT_AIR_ML:
        return None
    return finding("AIR_IN_VAULT", volume_ml=round(volume, 1), limit_ml=_VAULT_AIR_ML)


def _vault_bone(case: Examined, quality: Quality) -> Finding | None:
    if quality.vault_bone_ml is None:
        return None
    volume = vault_bone_ml(case.hu, case.body, case.work.spacing_mm)
    if volume <= quality.vault_bone_ml:
        return None
    return finding("BONE_IN_VAULT", volume_ml=round(volume, 1), limit_ml=quality.vault_bone_ml)


def _histogram(case: Examined, quality: Quality) -> Finding | None:
    if quality.histogram is None or quality.histogram_distance is None:
        return None
    shares = histogram(case.hu, case.body, case.work.spacing_mm)
    off = distance(shares, np.array(quality.histogram))
    if off <= quality.histogram_distance:
        return None
    return finding(
        "HU_UNUSUAL",
        share_percent=round(100 * off, 1),
        limit_percent=round(100 * quality.histogram_distance, 1),
    )


def _outline(case: Examined, quality: Quality) -> Finding | None:
    if quality.shift_mm is None:
        return None
    along = shift_mm(case.hu, case.body, case.work.spacing_mm)
    worst = max(along, key=abs)
    if abs(worst) <= quality.shift_mm:
        return None
    axis = SIDES[2 - along.index(worst)]
    return finding(
        "OUTLINE_SHIFTED",
        shift_mm=round(abs(worst), 2),
        sides=axis[int(worst > 0)],
        limit_mm=quality.shift_mm,
    )


def _bare(case: Examined, quality: Quality) -> Finding | None:
    if quality.surface_bone is None:
        return None
    share = surface_bone(case.hu, case.body, case.work.spacing_mm)
    if share <= quality.surface_bone:
        return None
    return finding(
        "BONE_BARE",
        share_percent=round(100 * share, 1),
        limit_percent=round(100 * quality.surface_bone, 1),
        depth_mm=SKIN_MM,
    )


def _spilt(case: Examined, manifest: Manifest) -> Finding | None:
    if not manifest.body_mask:
        return None
    volume = spilt_ml(case.hu, case.body, case.work.voxel_volume_mm3)
    return finding("OUTSIDE_NOT_AIR", volume_ml=round(volume, 2)) if volume > _SPILT_ML else None


def _order(case: Examined) -> Finding | None:
    if case.disorder is None or case.disorder <= MOST:
        return None
    return finding("SLICES_DISORDERED", ratio=round(case.disorder, 2), limit=MOST)


def _bone_level(case: Examined, quality: Quality) -> Finding | None:
    if quality.bone_hu is None:
        return None
    level = bone_level_hu(case.hu, case.body, case.work.spacing_mm)
    low, high = quality.bone_hu
    if level is None or low <= level <= high:
        return None
    return finding(
        "BONE_HU_UNUSUAL", median_hu=round(level), low_hu=round(low), high_hu=round(high)
    )


def _contrast(case: Examined, quality: Quality) -> Finding | None:
    if quality.bright_skew is None:
        return None
    ratio = bright_skew(case.signal, case.body, case.work.spacing_mm)
    if ratio is None or ratio <= quality.bright_skew:
        return None
    return finding("CONTRAST_UNUSUAL", ratio=round(ratio, 2), limit=quality.bright_skew)


def _edge(case: Examined, manifest: Manifest) -> list[Finding]:
    """What the field of view cuts off: a little is a warning, a good part of the head is not."""
    ends = faces(case.body, case.work, case.source)
    # The neck always leaves a head's field of view at the bottom, the trunk at both ends.
    open_ends = ("bottom",) if manifest.region == "head" else ("bottom", "top")
    ends = tuple(face for face in ends if face.side not in open_ends)
    cut = {face.side: face.of_section for face in ends if face.of_section > CUT_SHARE}
    out = []
    if height_mm(case.body, case.work) < _LEAST_HEIGHT_MM:
        out.append(
            finding(
                "BODY_SHORT",
                height_mm=round(height_mm(case.body, case.work)),
                least_mm=round(_LEAST_HEIGHT_MM),
            )
        )
    if cut:
        out.append(
            finding(
                "BODY_CUT_OFF",
                sides=_listed(cut),
                share_percent=round(100 * max(cut.values())),
                limit_percent=round(100 * CUT_SHARE),
            )
        )
    near = [f.side for f in ends if f.of_face > _EDGE_SHARE and f.side not in cut]
    if near:
        out.append(finding("BODY_AT_EDGE", sides=_listed(near)))
    return out


def _listed(sides: Iterable[str]) -> str:
    order = [name for pair in reversed(SIDES) for name in pair]
    return " and ".join(sorted(sides, key=order.index))
