"""Acceptance checks of what the header says about pixel values: scale and storage."""

import numpy as np

from node.domain.checks.rules import Rules, uids_of
from node.domain.findings import Finding, Severity, finding
from node.domain.scaling import Scaling, Source, is_one, stack_scaling
from node.domain.stack import Stack


def scaling_invalid(stack: Stack, _rules: Rules) -> Finding | None:
    """A slope that is no number, or not above zero, scales nothing."""
    for attribute, name in (
        ("RescaleSlope", "rescale_slope"),
        ("RescaleIntercept", "rescale_intercept"),
    ):
        bad = [s for s in stack.slices if not _usable(attribute, getattr(s.frame, name))]
        if bad:
            value = getattr(bad[0].frame, name)
            text = "unreadable" if np.isnan(value) else value
            return finding(
                "SCALING_INVALID",
                attribute=attribute,
                value=text,
                count=len(bad),
                uids=uids_of(bad),
            )
    return None


def scaling_partly(stack: Stack, _rules: Rules) -> Finding | None:
    """A scale that some slices lack and others need."""
    bare = [s for s in stack.slices if not s.frame.rescale_stated]
    slopes = np.array([s.frame.rescale_slope for s in stack.slices])
    intercepts = np.array([s.frame.rescale_intercept for s in stack.slices])
    if not bare or np.isnan(slopes).any() or (is_one(slopes) and is_one(intercepts)):
        return None
    return finding(
        "SCALING_PARTLY",
        attribute="RescaleSlope",
        count=len(bare),
        total=len(stack.slices),
        uids=uids_of(bare),
    )


def scaling_varies(stack: Stack, rules: Rules) -> Finding | None:
    """Slices of different scale: applied slice by slice, and said."""
    if scaling_invalid(stack, rules) or scaling_partly(stack, rules):
        return None
    scaling = stack_scaling(stack)
    if scaling.source is Source.CONSTANT:
        return None
    private = scaling.source is Source.PHILIPS
    shown = 1.0 / scaling.slopes if private else scaling.slopes
    return finding(
        "SCALING_PRIVATE" if private else "SCALING_PER_SLICE",
        lowest=float(shown.min()),
        highest=float(shown.max()),
        severity=_severity(stack, scaling),
        uids=uids_of(stack.slices),
    )


def _severity(stack: Stack, scaling: Scaling) -> Severity | None:
    """Held where RescaleSlope differs between slices and Philips' own does not: one is untrue."""
    if scaling.confirmed:
        return Severity.INFO
    stated = np.array([s.frame.rescale_slope for s in stack.slices])
    contradicted = is_one(scaling.slopes) and not is_one(stated)
    return Severity.HOLD if scaling.source is Source.PHILIPS and contradicted else None


def pixels_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One volume is stored in one way."""
    for attribute, name in (
        ("PixelRepresentation", "pixel_representation"),
        ("BitsAllocated", "bits_allocated"),
        ("BitsStored", "bits_stored"),
    ):
        values = sorted({str(getattr(s.instance, name)) for s in stack.slices})
        if len(values) > 1:
            return finding(
                "PIXELS_MIXED", attribute=attribute, values=values, uids=uids_of(stack.slices)
            )
    return None


def frames_mismatch(stack: Stack, _rules: Rules) -> Finding | None:
    """As many frames as are described: PS3.3 C.7.6.6 and C.7.6.16.2."""
    for s in stack.slices:
        declared, described = s.instance.declared_frames, s.instance.number_of_frames
        if declared is not None and declared != described:
            return finding(
                "FRAMES_MISMATCH", declared=declared, described=described, uids=uids_of([s])
            )
    return None


def _usable(attribute: str, value: float) -> bool:
    return bool(np.isfinite(value)) and (attribute != "RescaleSlope" or value > 0)
