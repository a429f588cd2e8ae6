"""Which linear scale brings the stored values of each slice to one signal.

PS3.3 C.11.1: output = slope * stored + intercept. Philips also writes the scale of its own raw
signal, (stored - intercept) / slope with (2005,100D) and (2005,100E); where both do not agree from
slice to slice, Philips' own is the one that is comparable.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from node.domain.instance import Slice
from node.domain.stack import Stack

# Slopes are written with 6 to 16 digits; a thousandth is far below the noise of any MR.
SAME_SCALE = 1e-3


class Source(StrEnum):
    """Where the scale comes from."""

    CONSTANT = "constant"
    """One RescaleSlope and RescaleIntercept for all slices."""
    PER_SLICE = "per slice"
    """Each slice has its own."""
    PHILIPS = "philips"
    """Philips' private scale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaling:
    """One line for each slice of a stack."""

    source: Source
    slopes: NDArray[np.float64]
    """Shape (slices,)."""
    intercepts: NDArray[np.float64]
    """Shape (slices,)."""
    confirmed: bool
    """Whether Philips' private scale says the same as RescaleSlope."""


def stack_scaling(stack: Stack) -> Scaling:
    """Decide for the whole stack, so that no slice is scaled by another rule than its neighbour."""
    slopes = np.array([s.frame.rescale_slope for s in stack.slices], np.float64)
    intercepts = np.array([s.frame.rescale_intercept for s in stack.slices], np.float64)
    raw = _philips(stack.slices)
    agrees = raw is not None and is_one(slopes * raw[1])
    if raw is not None and not agrees:
        own = 1.0 / raw[1]
        return Scaling(source=Source.PHILIPS, slopes=own, intercepts=-raw[0] * own, confirmed=False)
    one = is_one(slopes) and is_one(intercepts)
    source = Source.CONSTANT if one else Source.PER_SLICE
    return Scaling(source=source, slopes=slopes, intercepts=intercepts, confirmed=agrees)


def is_one(values: NDArray[np.float64]) -> bool:
    """Whether all values are the same, up to how they are written."""
    return bool(np.ptp(values) <= SAME_SCALE * max(float(np.abs(values).max()), 1e-12))


def _philips(slices: tuple[Slice, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Scale intercepts and slopes where every slice has a usable one."""
    pairs = [s.frame.philips_scale for s in slices]
    known = np.array([p for p in pairs if p is not None], np.float64).reshape(-1, 2)
    if len(known) < len(slices) or not np.isfinite(known).all() or known[:, 1].min() <= 0:
        return None
    return known[:, 0], known[:, 1]
