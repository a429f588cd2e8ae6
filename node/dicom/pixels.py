"""Frames of an accepted stack -> one MR `Volume`."""

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from node.domain.errors import Rejected
from node.domain.instance import Slice
from node.domain.stack import Stack, stack_grid
from node.domain.volume import Unit, Volume

# Whatever a codec raises on damaged data: there is no common base among the decoders.
_UNDECODABLE = (ValueError, RuntimeError, AttributeError, TypeError, EOFError, IndexError, OSError)


def mr_volume(stack: Stack, datasets: Mapping[str, Dataset]) -> Volume:
    """Decode ``stack`` into one volume of signal, float32, (slice, row, column).

    The rescale of each frame is applied to it alone, so that per-slice scaling (Philips) does not
    step from slice to slice. ``datasets`` maps SOP Instance UID to data set. Raises `Rejected`
    (PIXELS_UNDECODABLE, PIXELS_CONSTANT).
    """
    grid = stack_grid(stack)
    values = np.empty(grid.shape, np.float32)
    for n, element in enumerate(stack.slices):
        values[n] = _signal(element, datasets[element.instance.sop_instance_uid])
    if values.min() == values.max():
        value = float(values.flat[0])
        raise Rejected(
            f"Every pixel of the series has the value {value:g}.", code="PIXELS_CONSTANT"
        )
    return Volume(
        values=values,
        affine=grid.affine,
        frame_of_reference_uid=stack.header.frame_of_reference_uid,
        unit=Unit.SIGNAL,
    )


def _signal(element: Slice, dataset: Dataset) -> NDArray[np.float32]:
    stored = _decode(element, dataset)
    frame = element.frame
    # PS3.3 C.11.1.1.2: output = slope * stored + intercept
    return np.asarray(stored, np.float32) * np.float32(frame.rescale_slope) + np.float32(
        frame.rescale_intercept
    )


def _decode(element: Slice, dataset: Dataset) -> NDArray[np.generic]:
    instance = element.instance
    index = element.frame.number if instance.number_of_frames > 1 else 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = pixel_array(dataset, index=index)
    except _UNDECODABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Rejected(
            f"Pixel data of {instance.sop_instance_uid} in {instance.transfer_syntax_uid} cannot "
            f"be decoded: {reason}",
            code="PIXELS_UNDECODABLE",
        ) from error
    if frame.shape != (instance.rows, instance.columns):
        raise Rejected(
            f"Pixel data of {instance.sop_instance_uid} decodes to {frame.shape}, not to "
            f"{instance.rows} by {instance.columns}.",
            code="PIXELS_UNDECODABLE",
        )
    return frame
