"""The figures of one real slice and the answer to it, and tables of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.fields import distance
from models.skulls import BONE_HU, look, outline, places
from node.metrics.comparison import TISSUES
from node.metrics.geometry import dice

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

QUANTILES = (10, 25, 50, 75, 90)
# Vessels and sinuses of a head with contrast agent are brighter than this many times its brain. No
# header says so: of 120 patients' slices each centre has a gap around it, 1.57 to 1.66, 1.52 to
# 1.67 and 1.61 to 1.94. A slice may miss its vessels; bright white matter stays below.
ENHANCED = 1.63
_DEEP_MM = 22
# Below this a voxel of the body is air.
_AIR_HU = -400.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RealSlice:
    """One axial slice of a patient, (rows, columns) of 1 mm, rows to posterior."""

    patient: str
    """Name of the file; its first three letters are the centre's."""
    mr: Floats
    """Signal; its scale is another in each slice."""
    hu: Floats
    """CT registered to it, HU."""
    mask: Mask
    """Where the pair counts; reaches beyond the skin."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a generator says of a slice."""

    hu: Floats
    """HU."""
    half_hu: Floats | None
    """Half width of the central 68 % interval; None when the model has none."""
    body: Mask
    """Inside the generator's outline."""


def figures(real: RealSlice, answer: Answer) -> dict[str, float]:
    """Every figure of one slice; NaN where there is nothing to measure."""
    body = outline(real.hu, real.mask)
    error = answer.hu - real.hu
    return {
        "MAE in the mask": _mean(np.abs(error), real.mask),
        "ME in the mask": _mean(error, real.mask),
        "MAE in the body": _mean(np.abs(error), body),
        "ME in the body": _mean(error, body),
        "MAE outside the body": _mean(np.abs(error), real.mask & ~body),
        **_tissues(real.hu, error, body),
        **_bone(real.hu, answer.hu, body),
        **_skull(real.hu, answer.hu, body),
        **_contour(body, answer.body & real.mask),
        **_told(error, answer, body),
        "brightest of the brain": (bright := brightness(real.mr, real.hu, body)),
        "enhanced": float(bright > ENHANCED),
    }


def _mean(values: Floats, where: Mask) -> float:
    return float(values[where].mean(dtype=np.float64)) if where.any() else float("nan")


def _tissues(hu: Floats, error: Floats, body: Mask) -> dict[str, float]:
    """By what the CT shows: the node's tissues, and all bone."""
    limits = {name: TISSUES[name] for name in ("air", "fat", "soft tissue")}
    limits["bone"] = (BONE_HU, 4000.0)
    out = {}
    for name, (low, high) in limits.items():
        where = body & (hu >= low) & (hu < high)
        out[f"MAE of {name}"] = _mean(np.abs(error), where)
        out[f"ME of {name}"] = _mean(error, where)
    return out


def _bone(hu: Floats, ours: Floats, body: Mask) -> dict[str, float]:
    """Overlap, and the HU by quantile, of each and where both say bone."""
    true, said = body & (hu > BONE_HU), body & (ours > BONE_HU)
    both = true & said
    out = {"bone Dice": dice(true, said), "bone said for met": said.sum() / max(1, true.sum())}
    for q in QUANTILES:
        out[f"bone p{q}, CT"] = _quantile(hu[true], q)
        out[f"bone p{q}, sCT"] = _quantile(ours[said], q)
    out["bone of both, CT"] = _quantile(hu[both], 50)
    out["bone of both, sCT"] = _quantile(ours[both], 50)
    return {k: float(v) for k, v in out.items()}


def _quantile(values: NDArray[np.floating], q: float) -> float:
    return float(np.percentile(values, q)) if values.size else float("nan")


def _skull(hu: Floats, ours: Floats, body: Mask) -> dict[str, float]:
    """Thickness along the normals of the CT's outline, and where each table lies."""
    points, inward = places(body)
    true, said = look(hu, points, inward), look(ours, points, inward)
    there = np.isfinite(true.outer_mm)
    both = there & np.isfinite(said.outer_mm)
    thicker = (said.thickness_mm - true.thickness_mm)[both]
    outer, inner = (said.outer_mm - true.outer_mm)[both], (said.inner_mm - true.inner_mm)[both]
    return {
        "skull, CT, mm": _quantile(true.thickness_mm[there], 50),
        "skull, sCT, mm": _quantile(said.thickness_mm[both], 50),
        "skull thicker, mm": _quantile(thicker, 50),
        "outer table deeper, mm": _quantile(outer, 50),
        "inner table deeper, mm": _quantile(inner, 50),
        "outer table apart, mm": _quantile(np.abs(outer), 50),
        "inner table apart, mm": _quantile(np.abs(inner), 50),
        "no skull, %": 100 * float(1 - both.sum() / max(1, there.sum())),
    }


def _contour(body: Mask, ours: Mask) -> dict[str, float]:
    """How far the outline lies outside the CT's, along the CT's rim."""
    if not body.any() or not ours.any():
        return {"outline larger, mm": float("nan"), "outline apart, 95th, mm": float("nan")}
    rim = body & ~ndimage.binary_erosion(body)
    filled = ndimage.binary_fill_holes(ours)
    off = -distance(np.asarray(filled, bool), 100)[rim] - 0.5
    return {
        "outline larger, mm": _quantile(off, 50),
        "outline apart, 95th, mm": _quantile(np.abs(off), 95),
    }


def _told(error: Floats, answer: Answer, body: Mask) -> dict[str, float]:
    """Share of the errors within the half width told; where nothing is told, none is."""
    both = body & answer.body
    out = {
        "outside the answer's outline, %": 100 * float((body & ~both).sum() / max(1, body.sum()))
    }
    half = np.full(error.shape, np.nan) if answer.half_hu is None else answer.half_hu
    within = np.abs(error) <= half
    for name, where in (("where told", both), ("in the body", body)):
        share = _mean(within.astype(np.float32), where)
        out[f"within the half width {name}, %"] = (
            100 * share if answer.half_hu is not None else float("nan")
        )
    return out


def brightness(mr: Floats, hu: Floats, body: Mask) -> float:
    """Brightest signal deep in the head beside the median there: vessels hold contrast agent."""
    bone = body & (hu > BONE_HU)
    if not bone.any():
        return float("nan")
    away = distance(bone, 50) > 2
    deep = (-distance(body, 200) > _DEEP_MM) & away & (hu > -100) & (hu < 150)
    if deep.sum() < 1000:
        return float("nan")
    return float(np.percentile(mr[deep], 99.8)) / max(float(np.median(mr[deep])), 1e-6)


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Median of each figure over some slices."""
    keys = rows[0]
    stack = {k: np.array([row[k] for row in rows], np.float64) for k in keys}
    return {
        k: round(float(np.nanmedian(v)), 3) if np.isfinite(v).any() else float("nan")
        for k, v in stack.items()
    }


def table(told: dict[str, dict[str, dict[str, float]]]) -> str:
    """Both halves and their groups as one Markdown table, a row for each figure."""
    columns = [(half, group) for half, groups in told.items() for group in groups]
    lines = ["| |" + "".join(f" {h}: {g} |" for h, g in columns), "|---" * (len(columns) + 1) + "|"]
    for key in told[columns[0][0]][columns[0][1]]:
        cells = "".join(f" {told[h][g].get(key, float('nan')):.3g} |" for h, g in columns)
        lines.append(f"| {key} |{cells}")
    return "\n".join(lines)
