"""Air of synthetic CTs: the room around a head, and the sinuses and airways in it.

``python -m models.studies.air onnx/head-t1/1.3.0 HEAD...``. A head is what `models.heads` reads.
Whether a cavity is where the patient has one only a CT can tell; here it is asked what it is filled
with.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import NDArray

from models.heads import name_of, read_head
from models.studies.template import table
from node.domain.geometry import axial_grid
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.registry import ModelFolder

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIR_HU = -900.0
"""Below this is air."""
CAVITY_HU, CAVITY_ML = -500.0, 0.5
"""A cavity's edge, half-way from air to tissue, and the smallest one that counts."""
EDGE_MM = 2.0
"""Nearer to an edge a voxel may hold some of what is beyond it."""


def figures(hu: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    """Room and cavities of one head; ``hu`` and ``body`` as (slices, rows, columns).

    Percentages of voxels below `AIR_HU` and medians in HU of what is `EDGE_MM` and more from an
    edge; NaN for a head without such voxels.
    """
    room = hu[_depth_mm(~body, spacing_mm) >= EDGE_MM]
    cavities, count = _cavities((hu < CAVITY_HU) & body, spacing_mm)
    core = hu[cavities & (_depth_mm(cavities, spacing_mm) >= EDGE_MM)]
    return {
        "room below -900 HU, %": _share(room),
        "room, highest HU": float(room.max()) if room.size else float("nan"),
        "cavities": float(count),
        "their volume, ml": float(cavities.sum() * np.prod(spacing_mm) / 1000.0),
        "2 mm inside them below -900 HU, %": _share(core),
        "2 mm inside them, median HU": float(np.median(core)) if core.size else float("nan"),
    }


def _share(values: Floats) -> float:
    return 100.0 * float(np.mean(values < AIR_HU)) if values.size else float("nan")


def _depth_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> Floats:
    """How far each voxel lies from what is not of ``mask``; 0 outside."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    away = sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, useImageSpacing=True)
    return np.asarray(sitk.GetArrayFromImage(away), np.float32)


def _cavities(air: Mask, spacing_mm: tuple[float, float, float]) -> tuple[Mask, int]:
    """The pieces that are large enough, and their number."""
    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(air.astype(np.uint8)))
    least = int(np.ceil(CAVITY_ML * 1000.0 / np.prod(spacing_mm)))
    kept = sitk.GetArrayFromImage(sitk.RelabelComponent(pieces, minimumObjectSize=least))
    return kept > 0, int(kept.max())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("heads", type=Path, nargs="+")
    given = parser.parse_args()
    model = ModelFolder(path=given.model, manifest=read_manifest(given.model / "manifest.json"))
    generator = Generator(model, providers=["cpu"])
    rows = {}
    for path in given.heads:
        mr = read_head(path)
        grid = axial_grid(mr.grid, spacing_mm=1.0, max_matrix=100_000)
        result = generator.synthesise(mr, grid)
        hu = result.sct.values.astype(np.float32)
        rows[name_of(path)] = figures(hu, result.body, grid.spacing_mm)
    print(table(rows))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
