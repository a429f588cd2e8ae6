"""Frames of an accepted stack -> one MR `Volume`."""

import math
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from node.domain.budget import BUDGET, require_frame
from node.domain.checks import pixels
from node.domain.checks.pixels import Pixels
from node.domain.errors import Rejected
from node.domain.findings import Finding, Unusable, refused
from node.domain.instance import Slice
from node.domain.scaling import stack_scaling
from node.domain.stack import Stack, distances_mm, stack_grid
from node.domain.volume import Unit, Volume

# Positions nearer to an even lattice than this are on it: how positions are written.
EVEN_TOLERANCE_MM = 0.02

# Whatever a codec raises on damaged data: there is no common base among the decoders.
_UNDECODABLE = (ValueError, RuntimeError, AttributeError, TypeError, EOFError, IndexError, OSError)


def read_volume(
    stack: Stack, datasets: Mapping[str, Dataset]
) -> tuple[Volume, tuple[Finding, ...]]:
    """Decode ``stack`` and say what its pixels show; see `mr_volume` and `check_pixels`."""
    slices = _slices(stack, datasets)
    return _volume(stack, slices.values), pixels.run(slices)


def mr_volume(stack: Stack, datasets: Mapping[str, Dataset]) -> Volume:
    """Decode ``stack`` into one volume of signal, float32, (slice, row, column).

    Each slice is scaled by itself, so that per-slice scaling (Philips) does not step from slice to
    slice. Slices whose distances vary are brought to even ones by linear interpolation between
    their true positions. ``datasets`` maps SOP Instance UID to data set. Raises `Unusable` with
    code PIXELS_UNDECODABLE.
    """
    return _volume(stack, _slices(stack, datasets).values)


def _volume(stack: Stack, values: NDArray[np.float32]) -> Volume:
    return Volume(
        values=_evenly_placed(stack, values),
        affine=stack_grid(stack).affine,
        frame_of_reference_uid=stack.header.frame_of_reference_uid,
        unit=Unit.SIGNAL,
    )


def _slices(stack: Stack, datasets: Mapping[str, Dataset]) -> Pixels:
    shape = stack_grid(stack).shape
    if math.prod(shape) > BUDGET.volume_voxels:
        size = " by ".join(map(str, shape))
        reason = f"{size} voxels are declared, and {BUDGET.volume_voxels} are held in memory"
        raise _undecodable(stack.slices[0], reason)
    values = np.empty(shape, np.float32)
    low, high = (np.zeros(len(stack.slices), np.int64) for _ in range(2))
    scaling = stack_scaling(stack)
    for n, element in enumerate(stack.slices):
        stored = _decode(element, datasets[element.instance.sop_instance_uid])
        low[n], high[n] = stored.min(), stored.max()
        # PS3.3 C.11.1.1.2: output = slope * stored + intercept
        values[n] = stored * scaling.slopes[n] + scaling.intercepts[n]
    return Pixels(stack=stack, values=values, stored_low=low, stored_high=high)


def _evenly_placed(stack: Stack, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """``values`` at the even positions of `stack_grid`; as they are where they lie there."""
    at = distances_mm(stack)
    even = np.linspace(at[0], at[-1], len(at))
    if np.abs(at - even).max() <= EVEN_TOLERANCE_MM or np.diff(at).min() <= 0:
        return values
    above = np.clip(np.searchsorted(at, even, side="right"), 1, len(at) - 1)
    share = ((even - at[above - 1]) / (at[above] - at[above - 1])).astype(np.float32)
    placed = np.empty_like(values)
    for n, (k, weight) in enumerate(zip(above, share, strict=True)):
        placed[n] = values[k - 1] * (1 - weight) + values[k] * weight
    return placed


def _decode(element: Slice, dataset: Dataset) -> NDArray[np.generic]:
    instance = element.instance
    index = element.frame.number if instance.number_of_frames > 1 else 0
    try:
        require_frame(instance.rows, instance.columns, 1, instance.bits_allocated)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = pixel_array(dataset, index=index)
    except Rejected as error:
        raise _undecodable(element, error.message.rstrip(".")) from None
    except _UNDECODABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _undecodable(element, reason.rstrip(".")) from error
    if frame.shape != (instance.rows, instance.columns):
        size = " by ".join(map(str, frame.shape))
        raise _undecodable(
            element, f"{size} pixels came out, not {instance.rows} by {instance.columns}"
        )
    return frame


def _undecodable(element: Slice, reason: str) -> Unusable:
    instance = element.instance
    return refused(
        "PIXELS_UNDECODABLE",
        transfer_syntax=instance.transfer_syntax_uid,
        reason=reason,
        uids=[instance.sop_instance_uid],
    )
