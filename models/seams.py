"""Whole against tiled, mirrored and repeated answers, and the outline, head by head.

``python -m models.seams onnx/head-t1/1.3.0 HEAD...`` prints a Markdown table. A head is a folder, a
file or an archive of DICOM, or a pair's folder (`models.heads`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.heads import name_of, read_head
from node.domain.geometry import Grid, axial_grid
from node.domain.volume import Volume
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.preprocess import body_mask, resample
from node.infer.registry import ModelFolder
from node.infer.sliding import padded_shape

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

PARTS = 2
"""The tiled answer gets this share of the memory that the whole head takes."""
_SOLID_HU = -500.0


def tiles_budget(shape: tuple[int, ...], model: ModelFolder) -> int:
    """Bytes for which a head of that shape is cut at least `PARTS` times."""
    voxels = int(
        np.prod(padded_shape(shape, model.manifest.stride, model.manifest.stack_reach_voxels))
    )
    return voxels * model.manifest.bytes_per_voxel // PARTS


def worst_seam(
    whole: NDArray[np.floating], tiled: NDArray[np.floating], body: Mask
) -> tuple[float, float]:
    """How much steps of the tiled answer exceed the same of the whole: mean of a plane, voxel.

    Looked for between any two neighbouring planes of any axis: wherever the tiles' borders lie, a
    seam at one of them is no larger.
    """
    plane, voxel = 0.0, 0.0
    for axis in range(3):
        ours, theirs = np.moveaxis(tiled, axis, 0), np.moveaxis(whole, axis, 0)
        inside = np.moveaxis(body, axis, 0)
        both = inside[1:] & inside[:-1]
        excess = np.abs(np.diff(ours.astype(np.float32), axis=0))
        excess -= np.abs(np.diff(theirs.astype(np.float32), axis=0))
        excess[~both] = 0.0
        means = excess.sum(axis=(1, 2)) / np.maximum(both.sum(axis=(1, 2)), 1)
        plane, voxel = max(plane, float(means.max())), max(voxel, float(excess.max()))
    return plane, voxel


def outline_off_mm(hu: Floats, signal: Floats, body: Mask) -> tuple[float, float]:
    """Distance of the outlines' centres along the worst axis, and their mean distance in depth.

    Both outlines are found anew: the sCT's from its HU, the MR's at half of the body's signal.
    """
    skin = 0.5 * float(np.median(signal[body]))
    ours, theirs = (_outline(v) for v in (hu > _SOLID_HU, signal > skin))
    apart = np.abs(_centre(ours) - _centre(theirs)).max()
    crossings = sum(int((np.diff(theirs, axis=axis)).sum()) for axis in range(3))
    # Seen along an axis a surface shows the cosine of its tilt; over all directions three halves.
    return float(apart), abs(float(ours.sum()) - float(theirs.sum())) / (crossings / 1.5)


def _outline(solid: Mask) -> Mask:
    return body_mask(np.where(solid, 1000.0, 0.0).astype(np.float32), (1.0, 1.0, 1.0))


def _centre(mask: Mask) -> NDArray[np.float64]:
    return np.array([float(w.mean()) for w in np.nonzero(mask)])


def mirrored(mr: Volume) -> Volume:
    """The same voxels with left and right exchanged about the volume's middle."""
    return replace(mr, values=np.ascontiguousarray(mr.values[:, :, ::-1]))


def measure(model: ModelFolder, mr: Volume, threads: int = 0) -> dict[str, float]:
    """The figures of one head on its 1 mm axial lattice."""
    grid: Grid = axial_grid(mr.grid, spacing_mm=model.manifest.spacing_mm, max_matrix=100_000)
    signal = resample(mr, grid)
    lying = replace(mr, values=signal, affine=grid.affine)
    whole = Generator(model, providers=["cpu"], threads=threads)
    first, again = (whole.synthesise(lying, grid) for _ in range(2))
    turned = whole.synthesise(mirrored(lying), grid)
    body = first.body
    box = [int(np.ptp(w)) + 1 for w in np.nonzero(body)]
    budget = tiles_budget(tuple(box), model)
    small = Generator(model, providers=["cpu"], memory_budget_bytes=budget, threads=threads)
    tiled = small.synthesise(lying, grid)
    off = np.abs(tiled.sct.values.astype(np.float64) - first.sct.values)[body]
    flipped = np.abs(turned.sct.values[:, :, ::-1].astype(np.float64) - first.sct.values)[body]
    plane, voxel = worst_seam(first.sct.values, tiled.sct.values, body)
    apart, depth = outline_off_mm(first.sct.values.astype(np.float32), signal, body)
    tiles = next((w for w in tiled.runtime.split(", ") if "tiles" in w), "0").split()[0]
    return {
        "tiles": float(tiles),
        "within 1 HU, %": 100 * float((off <= 1).mean()),
        "largest, HU": float(off.max()),
        "seam, plane's mean, HU": plane,
        "seam, one voxel, HU": voxel,
        "mirrored: mean, HU": float(flipped.mean()),
        "mirrored: 95th, HU": float(np.percentile(flipped, 95)),
        "centres, mm": apart,
        "depth, mm": depth,
        "same bits": float(first.sct.values.tobytes() == again.sct.values.tobytes()),
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    """Rows by head as Markdown."""
    keys = list(next(iter(rows.values())))
    lines = [f"| head | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{row[k]:.4g}' for k in keys)} |" for name, row in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("heads", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=0, help="of the runtime; 0: every core")
    given = parser.parse_args()
    model = ModelFolder(path=given.model, manifest=read_manifest(given.model / "manifest.json"))
    rows = {name_of(path): measure(model, read_head(path), given.threads) for path in given.heads}
    print(table(rows))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
