"""What the plots beside the viewer show: shares of HU, areas and uncertainty by slice."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray

from node.domain.figures import HISTOGRAM_HU
from node.infer.preprocess import body_mask

# Between air and the fat below the skin: where the sCT's own outer contour runs.
_SKIN_HU = -250


def statistics(
    volumes: Mapping[str, NDArray[np.int16]],
    body: NDArray[np.bool_] | None,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything the plots need, as JSON values.

    Parameters
    ----------
    volumes
        ``mr`` and, where there are, ``sct`` and ``uncertainty``: (slices, rows, columns) int16.
    body
        Inside the MR's outer contour as the generator saw it; None: found anew.
    about
        ``spacing_mm`` and ``origin_mm`` of the volumes.
    """
    slices = volumes["mr"].shape[0]
    step, height, width = about["spacing_mm"]
    if body is None:
        body = body_mask(volumes["mr"].astype(np.float32), (step, height, width))
    z_mm = [round(about["origin_mm"][2] + step * n, 3) for n in range(slices)]
    cm2 = height * width / 100.0
    found: dict[str, Any] = {
        "z_mm": z_mm,
        "mr_area_cm2": _rounded(body.sum(axis=(1, 2)) * cm2, 1),
    }
    if "sct" in volumes:
        hu = volumes["sct"]
        found["sct_area_cm2"] = _rounded(_outline(hu).sum(axis=(1, 2)) * cm2, 1)
        found["histogram"] = _histogram(hu, body)
    if "uncertainty" in volumes:
        found["uncertainty_hu"] = _by_slice(volumes["uncertainty"], body)
        found["uncertainty_slice_max"] = _worst(volumes["uncertainty"], body)
    return found


def _outline(hu: NDArray[np.int16]) -> NDArray[np.bool_]:
    """The sCT's own outer contour, filled slice by slice."""
    filled = np.zeros(hu.shape, np.bool_)
    for number, values in enumerate(hu):
        inside = values > _SKIN_HU
        if inside.any():
            image = sitk.GetImageFromArray(inside.astype(np.uint8))
            filled[number] = sitk.GetArrayFromImage(sitk.BinaryFillhole(image)) > 0
    return filled


def _histogram(hu: NDArray[np.int16], body: NDArray[np.bool_]) -> dict[str, list[float]]:
    first, last, width = HISTOGRAM_HU
    inside = hu[body]
    edges = np.arange(first, last + width, width)
    counts, _ = np.histogram(inside, edges)
    share = 100.0 * counts / max(1, inside.size)
    return {"hu": [float(e) + width / 2 for e in edges[:-1]], "percent": _rounded(share, 5)}


def _by_slice(scale: NDArray[np.int16], body: NDArray[np.bool_]) -> list[float]:
    """95th percentile inside the body of each slice; 0 where there is none."""
    return [
        float(np.percentile(values[inside], 95)) if inside.any() else 0.0
        for values, inside in zip(scale, body, strict=True)
    ]


def _worst(scale: NDArray[np.int16], body: NDArray[np.bool_]) -> list[int]:
    """(slice, row, column) of the middle of what is most uncertain inside the body."""
    inside = np.where(body, scale, 0)
    number = int(np.argmax([np.percentile(s, 99.5) for s in inside]))
    smooth = sitk.GetArrayFromImage(
        sitk.DiscreteGaussian(sitk.GetImageFromArray(inside[number].astype(np.float32)), 9.0)
    )
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return [number, int(row), int(column)]


def _rounded(values: NDArray[Any], digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]
