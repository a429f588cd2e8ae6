"""The demonstration's head with a synthetic CT of known voxels, for pictures and stories."""

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from node.demo.canvas import Tissue
from node.demo.phantom import Head, make_head
from node.demo.series import write_series
from node.domain.findings import Finding, finding
from node.domain.geometry import Grid, lps_from_index
from node.domain.volume import Volume
from tests.web.shelf import Doubt, Hu

HU: dict[Tissue, int] = {
    Tissue.AIR: -1000, Tissue.SKIN: 20, Tissue.FAT: -90, Tissue.MUSCLE: 55, Tissue.BONE: 1100,
    Tissue.MARROW: 250, Tissue.CSF: 8, Tissue.GREY: 38, Tissue.WHITE: 30, Tissue.DEEP_GREY: 36,
    Tissue.VITREOUS: 10, Tissue.LENS: 70, Tissue.MUCOSA: 40, Tissue.CARTILAGE: 120,
    Tissue.TEETH: 1900, Tissue.VESSEL: 45,
}  # fmt: skip
WARNINGS: tuple[Finding, ...] = (
    finding("BODY_AT_EDGE", sides="front", where_mm=(0.0, -118.0, -40.0)),
    finding("UNCERTAINTY_HIGH", share_percent=12.4, limit_hu=80.0, limit_percent=10.0),
)


@cache
def head(shape: tuple[int, int, int] = (256, 256, 192), spacing_mm: float = 1.0) -> Head:
    """The phantom, made once."""
    return make_head(shape, spacing_mm)


def datasets(made: Head) -> list[FileDataset]:
    """Its MR series, as a scanner sends it."""
    with TemporaryDirectory() as folder:
        return [
            pydicom.dcmread(io.BytesIO(path.read_bytes()))
            for path in write_series(made, Path(folder))
        ]


def hounsfield(made: Head) -> Hu:
    """HU of each voxel from its tissue, with a little noise."""
    table = np.zeros(256, np.int16)
    for tissue, value in HU.items():
        table[int(tissue)] = value

    def hu(_mr: Volume, grid: Grid) -> NDArray[np.int16]:
        values = table[made.tissue]
        assert values.shape == grid.shape
        noise = np.random.default_rng(3).normal(0, 6, values.shape)
        inside = values > -900
        return np.asarray(np.where(inside, values + noise, values), np.int16)

    return hu


def doubt(made: Head) -> Doubt:
    """Uncertain at bone and air, most of all in the face."""

    def uncertainty(grid: Grid) -> NDArray[np.float32]:
        base = np.where(made.tissue == int(Tissue.BONE), 60.0, 14.0)
        base[made.tissue == int(Tissue.AIR)] = 0.0
        index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
        near = np.linalg.norm(lps_from_index(grid.affine, index) - (18.0, -80.0, -48.0), axis=-1)
        return np.asarray(base * (1 + 2.2 * np.exp(-((near / 26.0) ** 2))), np.float32)

    return uncertainty
