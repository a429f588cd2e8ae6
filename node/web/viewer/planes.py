"""One plane of a volume as PNG, for readers without scripts and for reports.

Planes are radiological: patient right on screen left, sagittal nose left, superior up.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.web.viewer.volumes import View

PLANES = ("axial", "coronal", "sagittal")
# Volume axes (slice, row, column) a plane cuts through, and what its sides are called:
# left, right, top, bottom.
_AXIS = {"axial": 0, "coronal": 1, "sagittal": 2}
_SIDES = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
# Level and width; uncertainty from nothing to the usual limit.
_WINDOWS_HU = {"sct": (40.0, 400.0), "uncertainty": (200.0, 400.0)}
_LEAST_WIDTH = 320
_LETTER = (155, 168, 181)


def plane_png(
    view: View, kind: str, plane: str, at_mm: float | None, window: tuple[float, float] | None
) -> bytes:
    """The plane at ``at_mm`` (None: the middle) with level and width ``window``."""
    axis = _AXIS[plane]
    shape, spacing = view.about["shape"], view.about["spacing_mm"]
    origin = view.about["origin_mm"][2 - axis]
    number = shape[axis] // 2 if at_mm is None else round((at_mm - origin) / spacing[axis])
    number = min(max(number, 0), shape[axis] - 1)
    cut = np.take(view.values(kind), number, axis=axis)
    if axis:  # superior up
        cut = cut[::-1]
    down, across = (spacing[a] for a in range(3) if a != axis)
    level, width = window or _WINDOWS_HU.get(kind, tuple(view.about["mr_window"]))
    return _png(cut, down / across, _SIDES[plane], level - width / 2, level + width / 2)


def _png(cut: NDArray[np.int16], aspect: float, sides: str, low: float, high: float) -> bytes:
    """``low`` is black and ``high`` white; ``aspect`` is a pixel's height over its width."""
    grey = np.clip((cut.astype(np.float32) - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0
    image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    # Enlarged before lettering, so that letters stay small beside the anatomy.
    factor = max(1.0, _LEAST_WIDTH / image.width)
    size = (round(image.width * factor), max(1, round(image.height * factor * aspect)))
    image = image.resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    width, height = size
    places = (
        ((2, height // 2), "lm"),
        ((width - 2, height // 2), "rm"),
        ((width // 2, 2), "mt"),
        ((width // 2, height - 2), "mb"),
    )
    for letter, (at, anchor) in zip(sides, places, strict=True):
        draw.text(at, letter, fill=_LETTER, anchor=anchor)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
