"""Acceptance checks that let one statement of geometry be judged by another.

ImagePositionPatient decides where a slice is. Where SliceLocation, InstanceNumber, SliceThickness,
SpacingBetweenSlices, PatientOrientation or ReconstructionDiameter say otherwise, one of them is
wrong, and nobody but the scanner's people can know which.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.checks.geometry import regular_ground, steps_mm
from node.domain.checks.rules import Rules, place, uids_of
from node.domain.findings import Finding, Severity, finding
from node.domain.geometry import slice_normal
from node.domain.instance import Frame, Slice
from node.domain.stack import Stack, distances_mm

# Rounding of positions in real series stays below 0.01 mm; half a millimetre is what we promise.
SIDEWAYS_TOLERANCE_MM = 0.2
# A witness that contradicts more slices than this is not a witness.
_WITNESS_SHARE = 0.25
_LOCATION_TOLERANCE_MM = 0.3
# Scanners write distances and diameters to a thousandth; 0.3 % of 200 mm from the middle is 0.3 mm.
_DISTANCE_TOLERANCE = 0.003
_DIAMETER_TOLERANCE = 0.003
_NAMED = 5
# Letters of PatientOrientation, PS3.3 C.7.6.1.1.1.
_LETTERS = {
    "L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1),
    "F": (0, 0, -1),
}  # fmt: skip
# The first letter is the nearest patient axis: at least 1/sqrt(3) along it, less a margin.
_LEAST_ALONG = 0.5


def position_sideways(stack: Stack, _rules: Rules) -> Finding | None:
    """A slice beside the line of the others shifts its anatomy, however even the distances are."""
    if not regular_ground(stack) or len(stack.slices) < 4:
        return None
    positions = np.array([s.frame.position_mm for s in stack.slices], np.float64)
    along = distances_mm(stack)
    offsets = np.linalg.norm([_residuals(along, positions[:, axis]) for axis in range(3)], axis=0)
    return _named(
        "POSITION_SIDEWAYS",
        stack,
        offsets > SIDEWAYS_TOLERANCE_MM,
        offset_mm=round(float(offsets.max()), 3),
    )


def position_contradicted(stack: Stack, _rules: Rules) -> Finding | None:
    """SliceLocation of most slices follows their positions, and of some does not."""
    locations = [s.frame.slice_location_mm for s in stack.slices]
    known = np.array([v for v in locations if v is not None], np.float64)
    if not regular_ground(stack) or len(known) < max(4, len(stack.slices)):
        return None
    off = _off_the_line(distances_mm(stack), known, _LOCATION_TOLERANCE_MM)
    return _named("POSITION_CONTRADICTED", stack, off, attribute="SliceLocation")


def number_contradicted(stack: Stack, _rules: Rules) -> Finding | None:
    """InstanceNumber counts most slices in order along the stack, and some elsewhere.

    Less than a refusal: the standard gives the number no meaning (PS3.3 C.7.6.1). Frames have
    InStackPositionNumber in its place.
    """
    frames = stack.header.number_of_frames > 1
    attribute = "InStackPositionNumber" if frames else "InstanceNumber"
    numbers = [
        s.frame.in_stack_position if frames else s.instance.instance_number for s in stack.slices
    ]
    known = np.array([n for n in numbers if n is not None], np.float64)
    if not regular_ground(stack) or len(known) < max(4, len(stack.slices)):
        return None
    if len(set(known.tolist())) < len(known):
        return None
    off = _off_the_line(distances_mm(stack), known, 0.5)
    return _named("POSITION_CONTRADICTED", stack, off, attribute=attribute, severity=Severity.HOLD)


def orientation_contradicted(stack: Stack, _rules: Rules) -> Finding | None:
    """PatientOrientation names the axes in letters; nonsense there is let pass."""
    odd = [s for s in stack.slices if _contradicts(s)]
    if not odd:
        return None
    return finding(
        "ORIENTATION_CONTRADICTED",
        said="\\".join(odd[0].instance.patient_orientation),
        meant="\\".join(_letters(odd[0].frame)),
        count=len(odd),
        uids=uids_of(odd),
    )


def thickness_differs(stack: Stack, _rules: Rules) -> Finding | None:
    """Gaps or overlap between slices; their positions decide."""
    steps, thickness = steps_mm(stack), stack.first.frame.slice_thickness_mm
    if steps is None or not thickness:
        return None
    step = float(np.median(steps))
    if abs(step - thickness) <= _DISTANCE_TOLERANCE * step:
        return None
    return finding("SLICE_THICKNESS_DIFFERS", thickness_mm=thickness, spacing_mm=step)


def spacing_contradicted(stack: Stack, _rules: Rules) -> Finding | None:
    """SpacingBetweenSlices is the distance of centres (PS3.3 C.7.6.2); some write the gap."""
    steps, said = steps_mm(stack), stack.first.frame.spacing_between_slices_mm
    if steps is None or not said:
        return None
    step, thickness = float(np.median(steps)), stack.first.frame.slice_thickness_mm or 0.0
    meant = (step, step - thickness)
    if any(abs(abs(said) - value) <= _DISTANCE_TOLERANCE * step for value in meant):
        return None
    return finding(
        "SPACING_CONTRADICTED", said_mm=said, spacing_mm=step, uids=uids_of(stack.slices)
    )


def fov_contradicted(stack: Stack, _rules: Rules) -> Finding | None:
    """ReconstructionDiameter is the larger side of the image on the scanners that write it."""
    said, size = stack.header.reconstruction_diameter_mm, _size_mm(stack)
    if not said or size is None:
        return None
    possible = (*size, float(np.hypot(*size)))
    if any(abs(said - value) <= _DIAMETER_TOLERANCE * said for value in possible):
        return None
    return finding(
        "FOV_CONTRADICTED", said_mm=said, width_mm=size[1], height_mm=size[0],
        uids=uids_of(stack.slices),
    )  # fmt: skip


def fov_small(stack: Stack, rules: Rules) -> Finding | None:
    """A field of view that cannot hold the region the model was made for."""
    size = _size_mm(stack)
    if size is None or not rules.least_fov_mm or min(size) >= rules.least_fov_mm:
        return None
    return finding(
        "FOV_SMALL",
        width_mm=round(size[1], 1),
        height_mm=round(size[0], 1),
        region=rules.region,
        least_mm=rules.least_fov_mm,
    )


def oblique(stack: Stack, _rules: Rules) -> Finding | None:
    """How far the slices are tilted, for the record: they are resampled to axial."""
    if not regular_ground(stack):
        return None
    normal = slice_normal(stack.first.frame.orientation or ())
    angle = float(np.degrees(np.arccos(min(1.0, float(np.abs(normal).max())))))
    return finding("STACK_OBLIQUE", angle_deg=round(angle, 1)) if angle > 1.0 else None


def not_square(stack: Stack, _rules: Rules) -> Finding | None:
    """Pixels that are not square, for the record: they are resampled."""
    spacing = stack.first.frame.pixel_spacing_mm
    if spacing is None or min(spacing) <= 0 or abs(spacing[0] / spacing[1] - 1) <= 0.005:
        return None
    return finding("PIXELS_NOT_SQUARE", row_mm=spacing[0], column_mm=spacing[1])


def _residuals(along: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of ``values`` from a line over ``along`` that a few outliers do not move.

    The slope is the median over pairs half the stack apart (Theil and Sen).
    """
    half = len(along) // 2
    run = along[half:] - along[:-half]
    apart = np.abs(run) > 1e-6
    rise = (values[half:] - values[:-half])[apart]
    slope = float(np.median(rise / run[apart])) if apart.any() else 0.0
    rest = values - slope * along
    residuals: NDArray[np.float64] = rest - np.median(rest)
    return residuals


def _off_the_line(
    along: NDArray[np.float64], values: NDArray[np.float64], tolerance: float
) -> NDArray[np.bool_]:
    """Which values leave the line of the rest; none where no line describes most of them."""
    off: NDArray[np.bool_] = np.abs(_residuals(along, values)) > tolerance
    rising = np.ptp(values) > tolerance
    believable = rising and off.sum() <= max(2, _WITNESS_SHARE * len(values))
    return off if believable else np.zeros(len(values), bool)


def _named(
    code: str,
    stack: Stack,
    off: NDArray[np.bool_],
    *,
    severity: Severity | None = None,
    **values: str | float,
) -> Finding | None:
    odd = [s for s, is_off in zip(stack.slices, off, strict=True) if is_off]
    if not odd:
        return None
    where = [place(s) for s in odd[:_NAMED]]
    told: dict[str, Any] = {"count": len(odd), "slices": where, **values}
    return finding(code, severity=severity, uids=uids_of(odd), **told)


def _contradicts(s: Slice) -> bool:
    """Whether both letters are meaningful and one points away from its cosines."""
    said, cosines = s.instance.patient_orientation, s.frame.orientation
    if len(said) != 2 or cosines is None:
        return False
    axes = [_LETTERS.get(text[:1]) for text in said]
    if axes[0] is None or axes[1] is None or np.dot(axes[0], axes[1]) != 0:
        return False
    along = (np.dot(axes[0], cosines[:3]), np.dot(axes[1], cosines[3:]))
    return bool(min(along) < _LEAST_ALONG)


def _letters(frame: Frame) -> Sequence[str]:
    cosines = np.array(frame.orientation or (), np.float64).reshape(-1, 3)
    return [max(_LETTERS, key=lambda k: float(np.dot(_LETTERS[k], row))) for row in cosines]


def _size_mm(stack: Stack) -> tuple[float, float] | None:
    """Height and width of the images."""
    spacing = stack.first.frame.pixel_spacing_mm
    if spacing is None:
        return None
    return stack.header.rows * spacing[0], stack.header.columns * spacing[1]
