"""A picture of MR, synthetic CT and both on top of each other, in three planes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.domain.geometry import Grid, bounds_mm, index_from_lps
from node.domain.volume import Volume

_PANEL_PX = 360
_MARGIN_PX = 10
_HEADING_PX = 30
_PAPER, _INK, _FAINT = (17, 19, 22), (236, 238, 240), (150, 156, 162)
# Level and width of a window that shows soft tissue and bone at once.
_LOW_HU, _HIGH_HU = -600.0, 1400.0
_BONE_HU = 250.0


def draw(mr: Volume, sct: Volume, path: Path) -> None:
    """Write the picture of three mid planes to ``path`` (PNG); the MR is sampled on the planes."""
    titles = ("MR", "synthetic CT", "MR with bone of the synthetic CT")
    panel, gap = _PANEL_PX, _MARGIN_PX
    size = (3 * panel + 4 * gap, 3 * (panel + gap) + gap + 2 * _HEADING_PX)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    bright = float(np.percentile(mr.values[mr.values > np.percentile(mr.values, 60)], 98))
    for column, title in enumerate(titles):
        pen.text((gap + column * (panel + gap), gap), title, fill=_INK)
    for row, points in enumerate(_planes(sct.grid)):
        signal = np.clip(sample(mr, points) / bright, 0, 1)
        hu = sample(sct, points, outside=-1000.0)
        grey = np.clip((hu - _LOW_HU) / (_HIGH_HU - _LOW_HU), 0, 1)
        top = gap + _HEADING_PX + row * (panel + gap)
        for column, colours in enumerate((_grey(signal), _grey(grey), _overlay(signal, hu))):
            image = Image.fromarray(np.uint8(colours * 255))
            sheet.paste(image, (gap + column * (panel + gap), top))
    foot = f"window {_LOW_HU:g} to {_HIGH_HU:g} HU; bone from {_BONE_HU:g} HU; not for clinical use"
    pen.text((gap, size[1] - _HEADING_PX + 2), foot, fill=_FAINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def sample(
    volume: Volume, points_mm: NDArray[np.float64], outside: float = 0.0
) -> NDArray[np.float64]:
    """Interpolate ``volume`` linearly at (..., 3) LPS mm; ``outside`` where it does not reach."""
    index = index_from_lps(volume.affine, points_mm)
    shape = np.asarray(volume.values.shape)
    reached = ((index >= -0.5) & (index <= shape - 0.5)).all(axis=-1)
    index = np.clip(index, 0, shape - 1)
    base = np.minimum(index.astype(int), np.maximum(shape - 2, 0))
    part = index - base
    total = np.zeros(index.shape[:-1])
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=-1)
        where = np.minimum(base + corner, shape - 1)
        total += weight * volume.values[where[..., 0], where[..., 1], where[..., 2]]
    return np.where(reached, total, outside)


def _planes(grid: Grid) -> Sequence[NDArray[np.float64]]:
    """LPS mm of the pixels of an axial, a coronal and a sagittal plane, a little off the middle.

    Each is a square panel that holds the longest side of the volume, as a radiologist looks at it:
    the patient's right on the left, head up, face to the left.
    """
    low, high = bounds_mm(grid)
    middle, half = (low + high) / 2, float((high - low).max()) / 2
    steps = np.linspace(-half, half, _PANEL_PX)
    across, down = np.meshgrid(steps, steps)
    # Exactly between the hemispheres there is little to see.
    aside = np.full_like(across, 0.03 * half)
    offsets = (
        (across, down, 0.35 * half + 0 * down),
        (across, aside, -down),
        (aside, across, -down),
    )
    return [middle + np.stack(offset, axis=-1) for offset in offsets]


def _grey(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(values[..., None], 3, axis=-1)


def _overlay(signal: NDArray[np.float64], hu: NDArray[np.float64]) -> NDArray[np.float64]:
    amount = 0.75 * np.clip((hu - _BONE_HU) / 500.0, 0, 1)[..., None]
    return _grey(signal) * (1 - amount) + np.array([1.0, 0.72, 0.25]) * amount
