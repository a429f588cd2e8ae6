"""The phantom's voxels, painted shape by shape."""

from enum import IntEnum

import numpy as np

from node.demo.shapes import Field, Shape


class Tissue(IntEnum):
    """What a voxel of the phantom is."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    CSF = 6
    GREY = 7
    WHITE = 8
    DEEP_GREY = 9
    VITREOUS = 10
    LENS = 11
    MUCOSA = 12
    CARTILAGE = 13
    TEETH = 14
    VESSEL = 15


class Canvas:
    """Tissue of every voxel, painted shape by shape; later paint covers earlier."""

    def __init__(
        self, shape: tuple[int, int, int], first: tuple[float, ...], spacing_mm: float
    ) -> None:
        self.tissue = np.zeros(shape, np.uint8)
        self.axes = [
            (first[axis] + spacing_mm * np.arange(shape[2 - axis])).astype(np.float32)
            for axis in range(3)
        ]
        self.skin_depth: Field = np.zeros(0, np.float32)

    def window(
        self, shape: Shape, margin: float = 0.0
    ) -> tuple[tuple[slice, slice, slice], tuple[Field, Field, Field]]:
        """Index of the box around a shape in (z, y, x), and its coordinates x, y, z."""
        low, high = shape.bounds()
        parts = []
        for axis, values in enumerate(self.axes):
            start = int(np.searchsorted(values, low[axis] - margin - 1))
            stop = int(np.searchsorted(values, high[axis] + margin + 1))
            parts.append(slice(start, max(stop, start)))
        index = (parts[2], parts[1], parts[0])
        x, y, z = (values[part] for values, part in zip(self.axes, parts, strict=True))
        return index, (x[None, None, :], y[None, :, None], z[:, None, None])

    def paint(
        self,
        tissue: Tissue,
        shape: Shape,
        *,
        grow: float = 0.0,
        over: tuple[Tissue, ...] = (),
        skin_mm: float = 0.0,
    ) -> None:
        """Fill a shape grown by ``grow`` mm: over some tissues, ``skin_mm`` below the surface."""
        index, place = self.window(shape, grow)
        inside = shape.distance(*place) < grow
        if over:
            inside &= np.isin(self.tissue[index], over)
        if skin_mm:
            inside &= self.skin_depth[index] < -skin_mm
        self.tissue[index][inside] = tissue
