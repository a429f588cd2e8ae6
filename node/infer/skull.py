"""Is the vault closed, and are its HU spread as in the model's population.

Both look at the upper part of the head alone, so that a long or a short field of view of the neck
makes no difference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

BONE_HU = 250.0
AIR_HU = -400.0
BINS_HU = (
    -1100.0,
    -600.0,
    -150.0,
    -60.0,
    -20.0,
    20.0,
    60.0,
    100.0,
    250.0,
    500.0,
    900.0,
    1400.0,
    3100.0,
)
"""Edges of the histogram a manifest keeps."""
CENTRE_MM = 60.0
"""The vault is searched from this far below the vertex, the histogram taken to twice of it."""
_RAYS = 900
_REACH_MM = 160.0
_STEP_MM = 0.75
# Frontal sinuses end lower than this below the vertex, or lie within this depth of the skin.
_NO_SINUS_MM, _DEEP_MM = 75.0, 20.0
# No skull with what covers it is as thick as this, and its base lies lower, also in small heads,
# along the head's own axis: with the face turned up by 10 degrees one label map has 1.8 ml of its
# base within 60 mm below the scanner's vertex, by 20 degrees 5.4 ml, and as air 5.9 and 16 ml.
_INNER_MM, _NO_BASE_MM = 25.0, 60.0
# Heads lie pitched by this much or less, either way; half the length of a head.
PITCH_DEG = 20
_PITCH_STEP_DEG = 5
_HALF_HEAD_MM = 100.0
# A body this thin below its top has no vault to look for.
_LEAST_MM = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """What the rays from inside the head met."""

    open_share: float
    """Share of the rays that left the body without meeting bone."""
    where: tuple[float, float, float] | None
    """Index of the middle of the open part on the body's surface; None when nothing is open."""


def look_at_vault(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> Vault | None:
    """Send rays up and to all sides; None where there is no head to look at.

    Rays that reach the end of the volume before they leave the body count as closed: what is cut
    off is another finding.
    """
    top = top_slice(body)
    tall = np.flatnonzero(body.any(axis=(1, 2)))
    if top is None or (top - tall[0]) * spacing_mm[0] < _LEAST_MM:
        return None
    level = int(top - CENTRE_MM / spacing_mm[0])
    rows, columns = np.nonzero(body[level])
    if not rows.size:
        return None
    centre = np.array([level, rows.mean(), columns.mean()])
    directions = _upper_directions(_RAYS) / np.array(spacing_mm)
    steps = np.arange(_STEP_MM, _REACH_MM, _STEP_MM)
    index = np.rint(centre + directions[:, None, :] * steps[None, :, None]).astype(int)
    shape = np.array(hu.shape)
    inside_volume = ((index >= 0) & (index < shape)).all(axis=2)
    safe = np.clip(index, 0, shape - 1)
    here = tuple(safe[..., n] for n in range(3))
    in_body = body[here] & inside_volume
    # From its first step outside the body on, a ray sees nothing of it any more.
    still = np.logical_and.accumulate(in_body, axis=1)
    bone = (still & (hu[here] > BONE_HU)).any(axis=1)
    cut = (still & ~np.roll(inside_volume, -1, axis=1)).any(axis=1)
    open_ = ~bone & ~cut
    if not open_.any():
        return Vault(open_share=0.0, where=None)
    ends = np.take_along_axis(safe, (still.sum(axis=1).clip(1) - 1)[:, None, None], axis=1)[:, 0]
    z, y, x = (float(v) for v in np.median(ends[open_], axis=0))
    return Vault(open_share=float(open_.mean()), where=(z, y, x))


def histogram(
    hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Shares of the upper head's voxels in each bin of `BINS_HU`; they sum to 1."""
    counts, _ = np.histogram(upper_head(hu, body, spacing_mm), BINS_HU)
    return np.asarray(counts / max(1, counts.sum()), np.float64)


def upper_head(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> Floats:
    """HU of the body from its top down to twice `CENTRE_MM`, one row of voxels."""
    top = top_slice(body)
    bottom = 0 if top is None else max(0, int(top - 2 * CENTRE_MM / spacing_mm[0]))
    return hu[bottom:][body[bottom:]]


def bone_level_hu(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> float | None:
    """Median HU of the upper head's bone; None where there is none."""
    part = upper_head(hu, body, spacing_mm)
    bone = part[part > BONE_HU]
    return float(np.median(bone)) if bone.size else None


def vault_air_ml(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Volume of air deep in the upper head, above all sinuses, where there is none.

    Signal that is missing inside a head comes out as air there.
    """
    return _deep_ml(hu < AIR_HU, body, spacing_mm, _NO_SINUS_MM, _DEEP_MM)


def vault_bone_ml(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Volume of bone inside the vault, deeper than any skull reaches and above its base.

    Signal that is missing inside a head may come out as bone there, which is as dark.
    """
    return _deep_ml(hu > BONE_HU, body, spacing_mm, _NO_BASE_MM, _INNER_MM)


def _deep_ml(
    what: Mask,
    body: Mask,
    spacing_mm: tuple[float, float, float],
    below_mm: float,
    depth_mm: float,
) -> float:
    """Volume of ``what`` deep in the vault, along the pitch of the head that shows the least.

    How a head is pitched nobody says, and a face turned up or down brings the base of the skull or
    a sinus above any level of the scanner's. Along the head's own axis there is none.
    """
    top = top_slice(body)
    if top is None:
        return 0.0
    reach = below_mm + np.sin(np.deg2rad(PITCH_DEG)) * _HALF_HEAD_MM
    low = max(0, int(top - reach / spacing_mm[0]))
    inside = body[low : top + 1]
    counts = (what[low : top + 1] & _deep(inside, spacing_mm, depth_mm)).sum(axis=2)
    seen = inside.any(axis=2)
    z, y = np.ogrid[: seen.shape[0], : seen.shape[1]]
    least = float("inf")
    for degrees in range(-PITCH_DEG, PITCH_DEG + 1, _PITCH_STEP_DEG):
        up, back = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        height = z * spacing_mm[0] * up + y * spacing_mm[1] * back
        least = min(least, float(counts[height >= height[seen].max() - below_mm].sum()))
    return least * float(np.prod(spacing_mm)) / 1000.0


def _deep(inside: Mask, spacing_mm: tuple[float, float, float], depth_mm: float) -> Mask:
    """What lies ``depth_mm`` or more from the surface on every axis; the head goes on below."""
    deep = inside.copy()
    for axis, step in enumerate(spacing_mm):
        n = max(1, round(depth_mm / step))
        along, whole = np.moveaxis(deep, axis, 0), np.moveaxis(inside, axis, 0)
        along[:-n] &= whole[n:]
        along[-n:] = False
        if axis:
            along[n:] &= whole[:-n]
            along[:n] = False
    return deep


def distance(shares: NDArray[np.float64], usual: NDArray[np.float64]) -> float:
    """Share of the voxels that would have to change bins: 0 equal, 1 nothing in common."""
    return float(np.abs(shares - usual).sum() / 2)


def top_slice(body: Mask) -> int | None:
    """Highest slice with a body of some size."""
    area = body.sum(axis=(1, 2))
    tall = np.flatnonzero(area > 0.02 * max(1, area.max()))
    return int(tall[-1]) if tall.size else None


def _upper_directions(count: int) -> NDArray[np.float64]:
    """Evenly spread unit vectors (slice, row, column) not below the horizontal."""
    n = np.arange(count) + 0.5
    up = n / count
    turn = np.pi * (1 + 5**0.5) * n
    flat = np.sqrt(1 - up**2)
    return np.stack([up, flat * np.sin(turn), flat * np.cos(turn)], axis=1)
