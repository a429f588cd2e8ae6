"""Acceptance checks of geometry: what would move, bend or scale anatomy."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from node.domain.checks.rules import Rules, place, uids_of
from node.domain.clusters import clusters
from node.domain.findings import Finding, finding
from node.domain.geometry import slice_normal
from node.domain.instance import Slice
from node.domain.stack import SAME_POSITION_MM, TRIED, Stack, coinciding, distances_mm

# Cosines are written with 6 to 16 characters; real scanners stay within 1e-4 of orthonormal.
ORTHONORMAL_TOLERANCE = 1e-3
# Half a degree moves the edge of a 250 mm image by 2 mm; scanners stay within 0.001 degree.
PARALLEL_TOLERANCE_DEG = 0.05
# Sideways drift of a stack: 0.1 degree over 200 mm is 0.35 mm.
SKEW_TOLERANCE_DEG = 0.1
SPACING_TOLERANCE_MM = 1e-3
# Slice distances: below 1 % is rounding, above 5 % no regular grid describes the stack.
JITTER_WARN = 0.01
JITTER_REFUSE = 0.05
# Distances that are all a little long on one side of the stack move its middle by this much.
DRIFT_WARN_MM = 0.25
# A missing slice doubles a distance; 1.5 tells the two apart.
GAP_FACTOR = 1.5


def position_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """Without a position a slice could be anywhere."""
    bare = [s for s in stack.slices if s.frame.position_mm is None]
    return finding("POSITION_MISSING", count=len(bare), uids=uids_of(bare)) if bare else None


def orientation_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """Without an orientation left and right are a guess."""
    bare = [s for s in stack.slices if s.frame.orientation is None]
    return finding("ORIENTATION_MISSING", count=len(bare), uids=uids_of(bare)) if bare else None


def spacing_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """Without a spacing there are no millimetres."""
    bare = [s for s in stack.slices if s.frame.pixel_spacing_mm is None]
    return finding("SPACING_MISSING", count=len(bare), uids=uids_of(bare)) if bare else None


def spacing_invalid(stack: Stack, _rules: Rules) -> Finding | None:
    """Zero, negative or absurd spacing: MR pixels lie between 0.05 and 20 mm."""
    for s in stack.slices:
        spacing = s.frame.pixel_spacing_mm
        if spacing and not all(0.05 <= v <= 20.0 for v in spacing):
            return finding("SPACING_INVALID", value=spacing, uids=uids_of([s]))
    return None


def frame_of_reference_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """The sCT must name the space of the MR."""
    bare = [s for s in stack.slices if not s.instance.frame_of_reference_uid]
    if not bare:
        return None
    return finding("FRAME_OF_REFERENCE_MISSING", count=len(bare), uids=uids_of(bare))


def frame_of_reference_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One volume lives in one space."""
    spaces = Counter(s.instance.frame_of_reference_uid for s in stack.slices)
    spaces.pop("", None)
    if len(spaces) < 2:
        return None
    common = spaces.most_common(1)[0][0]
    odd = [s for s in stack.slices if s.instance.frame_of_reference_uid != common]
    return finding(
        "FRAME_OF_REFERENCE_MIXED", count=len(spaces), values=sorted(spaces), uids=uids_of(odd)
    )


def orientation_not_orthonormal(stack: Stack, _rules: Rules) -> Finding | None:
    """PS3.3 C.7.6.2.1.1: row and column direction are perpendicular unit vectors."""
    for s in stack.slices:
        if s.frame.orientation is None:
            continue
        row, column = np.array(s.frame.orientation[:3]), np.array(s.frame.orientation[3:])
        error = max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
        if error > ORTHONORMAL_TOLERANCE:
            return finding(
                "ORIENTATION_NOT_ORTHONORMAL",
                value=s.frame.orientation,
                error=float(error),
                uids=uids_of([s]),
            )
    return None


def orientation_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """All slices of a volume are parallel and turned alike."""
    known = [s for s in stack.slices if s.frame.orientation]
    if len(known) < 2:
        return None
    cosines = np.array([s.frame.orientation for s in known])
    reference = np.median(cosines, axis=0)
    angles = np.degrees(
        np.maximum(_angles(cosines[:, :3], reference[:3]), _angles(cosines[:, 3:], reference[3:]))
    )
    odd = [s for s, angle in zip(known, angles, strict=True) if angle > PARALLEL_TOLERANCE_DEG]
    if not odd:
        return None
    return finding(
        "ORIENTATION_MIXED",
        outliers=len(odd),
        count=len(known),
        angle_deg=round(float(angles.max()), 2),
        uids=uids_of(odd),
    )


def spacing_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """All slices of a volume have one pixel spacing."""
    known = [s for s in stack.slices if s.frame.pixel_spacing_mm]
    values = np.array([s.frame.pixel_spacing_mm for s in known]).reshape(-1, 2)
    if len(known) < 2 or np.ptp(values, axis=0).max() <= SPACING_TOLERANCE_MM:
        return None
    off = np.abs(values - np.median(values, axis=0)).max(axis=1) > SPACING_TOLERANCE_MM
    odd = [s for s, is_off in zip(known, off, strict=True) if is_off]
    words = sorted({"\\".join(f"{v:g}" for v in s.frame.pixel_spacing_mm or ()) for s in known})
    return finding("SPACING_MIXED", values=words, uids=uids_of(odd))


def matrix_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """All slices of a volume have one matrix."""
    sizes = Counter((s.instance.rows, s.instance.columns) for s in stack.slices)
    if len(sizes) == 1:
        return None
    common = sizes.most_common(1)[0][0]
    odd = [s for s in stack.slices if (s.instance.rows, s.instance.columns) != common]
    return finding(
        "MATRIX_MIXED", values=[f"{r} by {c}" for r, c in sorted(sizes)], uids=uids_of(odd)
    )


def multiple_volumes(stack: Stack, _rules: Rules) -> Finding | None:
    """Every position taken equally often: whole volumes that nothing tells apart."""
    count = _volumes(stack)
    if count < 2:
        return None
    return finding("MULTIPLE_VOLUMES", count=count, tried=TRIED, uids=uids_of(stack.slices))


def position_duplicate(stack: Stack, _rules: Rules) -> Finding | None:
    """Two images at one place: which of them is the anatomy cannot be known."""
    pairs = coinciding(stack.slices)
    if not pairs or _volumes(stack) >= 2:
        return None
    places = [place(b) for _, b in pairs[:5]]
    both = [s for pair in pairs for s in pair]
    return finding("POSITION_DUPLICATE", count=len(pairs), positions=places, uids=uids_of(both))


def slice_gap(stack: Stack, _rules: Rules) -> Finding | None:
    """A slice that is missing inside the stack; nothing is interpolated over it."""
    steps = steps_mm(stack)
    if steps is None:
        return None
    regular = float(np.median(steps))
    wide = [n for n, step in enumerate(steps) if step > GAP_FACTOR * regular]
    if not wide:
        return None
    ordered = _distinct(stack)
    missing = sum(round(float(steps[n]) / regular) - 1 for n in wide)
    gaps = [f"{place(ordered[n])} – {place(ordered[n + 1])}: {steps[n]:.6g} mm" for n in wide[:5]]
    around = [s for n in wide for s in (ordered[n], ordered[n + 1])]
    return finding(
        "SLICE_GAP", missing=missing, gaps=gaps, spacing_mm=regular, uids=uids_of(around)
    )


def slice_spacing(stack: Stack, _rules: Rules) -> Finding | None:
    """Distances that vary: a little is warned of, more makes no regular grid."""
    steps = steps_mm(stack)
    if steps is None:
        return None
    regular = float(np.median(steps))
    within = steps[steps <= GAP_FACTOR * regular]
    spread = float(np.abs(within - regular).max() / regular)
    # Where slices are missing, places beyond the gap are no drift: the gap says it.
    drift = _drift_mm(steps) if len(within) == len(steps) else 0.0
    if spread <= JITTER_WARN and drift <= DRIFT_WARN_MM:
        return None
    code = "SLICE_SPACING_IRREGULAR" if spread > JITTER_REFUSE else "SLICE_SPACING_JITTER"
    return finding(
        code,
        lowest_mm=float(within.min()),
        highest_mm=float(within.max()),
        spacing_mm=regular,
        percent=round(100 * spread, 2),
        limit_percent=100 * JITTER_REFUSE,
        uids=uids_of(stack.slices),
    )


def _drift_mm(steps: NDArray[np.float64]) -> float:
    """How far slices leave even places between the first and the last; small steps add up."""
    along = np.concatenate([[0.0], np.cumsum(steps)])
    return float(np.abs(along - np.linspace(0.0, along[-1], len(along))).max())


def stack_skewed(stack: Stack, _rules: Rules) -> Finding | None:
    """The step from slice to slice must follow their normal."""
    if not regular_ground(stack) or len(stack.slices) < 2:
        return None
    first, last = stack.slices[0].frame, stack.slices[-1].frame
    step = np.subtract(last.position_mm or (), first.position_mm or ())
    if not np.any(step):
        return None
    normal = slice_normal(first.orientation or ())
    angle = float(np.degrees(_angles(step[None] / np.linalg.norm(step), normal)[0]))
    if angle <= SKEW_TOLERANCE_DEG:
        return None
    return finding("STACK_SKEWED", angle_deg=round(angle, 3), uids=uids_of(stack.slices))


def too_few_slices(stack: Stack, rules: Rules) -> Finding | None:
    """A few slices show no body part as a whole."""
    count = len(_distinct(stack))
    extent = _extent_mm(stack)
    if count >= rules.least_slices and (extent is None or extent >= rules.least_extent_mm):
        return None
    return finding(
        "TOO_FEW_SLICES",
        count=count,
        extent_mm="unknown" if extent is None else round(extent, 1),
        least=rules.least_slices,
        least_mm=rules.least_extent_mm,
        uids=uids_of(stack.slices),
    )


def slices_thick(stack: Stack, rules: Rules) -> Finding | None:
    """Slices further apart than the model was made for blur bone and air."""
    steps = steps_mm(stack)
    if steps is None or float(np.median(steps)) <= rules.thickest_mm + 1e-3:
        return None
    return finding(
        "SLICES_THICK",
        spacing_mm=float(np.median(steps)),
        limit_mm=rules.thickest_mm,
        uids=uids_of(stack.slices),
    )


def regular_ground(stack: Stack) -> bool:
    """Positions everywhere and one orientation: distances along the normal mean something."""
    if not all(s.frame.position_mm and s.frame.orientation for s in stack.slices):
        return False
    return orientation_not_orthonormal(stack, Rules()) is None and (
        orientation_mixed(stack, Rules()) is None
    )


def _distinct(stack: Stack) -> list[Slice]:
    """One slice for each position, in order."""
    twins = {id(b) for _, b in coinciding(stack.slices)}
    return [s for s in stack.slices if id(s) not in twins]


def steps_mm(stack: Stack) -> NDArray[np.float64] | None:
    """Distances between neighbouring positions along the normal; None where they mean nothing."""
    if not regular_ground(stack):
        return None
    distinct = Stack(slices=tuple(_distinct(stack)), label=stack.label)
    steps = np.diff(distances_mm(distinct))
    return steps if len(steps) else None


def _extent_mm(stack: Stack) -> float | None:
    steps = steps_mm(stack)
    return None if steps is None else float(steps.sum() + np.median(steps))


def _volumes(stack: Stack) -> int:
    """How many images every single position has; 0 when that differs or there is one slice."""
    if not regular_ground(stack) or len(stack.slices) < 2:
        return 0
    places = Counter(clusters(distances_mm(stack).tolist(), SAME_POSITION_MM))
    counts = set(places.values())
    return counts.pop() if len(counts) == 1 else 0


def _angles(vectors: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles in radians between unit ``vectors`` (n, 3) and ``reference`` (3,).

    The arcus tangent keeps small angles exact where the arcus cosine loses them.
    """
    unit = reference / max(float(np.linalg.norm(reference)), 1e-12)
    across = np.linalg.norm(np.cross(vectors, unit), axis=-1)
    angles: NDArray[np.float64] = np.arctan2(across, vectors @ unit)
    return angles
