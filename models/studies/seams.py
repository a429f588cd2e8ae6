"""Whole against tiled, mirrored and repeated answers, and the outline, head by head.

``python -m models.studies.seams onnx/head-t1/1.3.0 HEAD...`` prints Markdown tables. A head is a
folder, a file or an archive of DICOM, or a pair's folder (`models.heads`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.contours import compare
from models.heads import name_of, read_head
from node.domain.geometry import Grid, axial_grid
from node.domain.plan import SctResult
from node.domain.volume import Volume
from node.infer.generator import DEFAULT_BUDGET_BYTES, Generator
from node.infer.manifest import read_manifest
from node.infer.preprocess import resample
from node.infer.registry import ModelFolder
from node.infer.sliding import padded_shape

Figures = dict[str, float]
Mask = NDArray[np.bool_]

PARTS = 2
"""The tiled answer gets this share of the memory that the whole head takes."""
SURE_HU = 30.0
"""Half width below which the model counts as sure of a voxel."""


def tiles_budget(shape: tuple[int, ...], model: ModelFolder) -> int:
    """Bytes for which a head of that shape is cut at least `PARTS` times."""
    m = model.manifest
    slices, rows, columns = padded_shape(shape, m.stride, m.stack_reach_voxels)
    voxels = (slices + 2 * m.stack_context_voxels) * rows * columns
    return voxels * m.bytes_per_voxel // PARTS


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


def mirrored(mr: Volume) -> Volume:
    """The same voxels with left and right exchanged about the volume's middle."""
    return replace(mr, values=np.ascontiguousarray(mr.values[:, :, ::-1]))


def measure(model: ModelFolder, mr: Volume, threads: int = 0) -> dict[str, Figures]:
    """The tables' figures of one head on its 1 mm axial lattice."""
    grid: Grid = axial_grid(mr.grid, spacing_mm=model.manifest.spacing_mm, max_matrix=100_000)
    signal = resample(mr, grid)
    lying = replace(mr, values=signal, affine=grid.affine)
    one = DEFAULT_BUDGET_BYTES
    whole = Generator(model, providers=["cpu"], memory_budget_bytes=one, threads=threads)
    first, again = (whole.synthesise(lying, grid) for _ in range(2))
    turned = whole.synthesise(mirrored(lying), grid)
    box = [int(np.ptp(w)) + 1 for w in np.nonzero(first.body)]
    budget = tiles_budget(tuple(box), model)
    small = Generator(model, providers=["cpu"], memory_budget_bytes=budget, threads=threads)
    tiled = small.synthesise(lying, grid)
    same = first.sct.values.tobytes() == again.sct.values.tobytes()
    return {
        "seams": tiled_off(first, tiled) | {"same bits": float(same)},
        "mirrored": mirrored_off(first, turned),
        "outline": outline(mr, first),
    }


def tiled_off(whole: SctResult, tiled: SctResult) -> Figures:
    """How far the tiled answer is from the whole one."""
    off = np.abs(tiled.sct.values.astype(np.float64) - whole.sct.values)[whole.body]
    plane, voxel = worst_seam(whole.sct.values, tiled.sct.values, whole.body)
    tiles = next((w for w in tiled.runtime.split(", ") if "tiles" in w), "0").split()[0]
    return {
        "tiles": float(tiles),
        "within 1 HU, %": 100 * float((off <= 1).mean()),
        "largest, HU": float(off.max()),
        "seam, plane's mean, HU": plane,
        "seam, one voxel, HU": voxel,
    }


def mirrored_off(first: SctResult, turned: SctResult) -> Figures:
    """How far the answer to the mirrored MR, turned back, is from the answer; all in the body.

    Sure is what the model tells less than `SURE_HU` of; beyond told is further off than that.
    """
    body = first.body
    off = np.abs(turned.sct.values[:, :, ::-1].astype(np.float64) - first.sct.values)[body]
    figures = {"mean, HU": float(off.mean()), "95th, HU": float(np.percentile(off, 95))}
    if first.uncertainty is None:
        return figures
    told = first.uncertainty.values[body]
    sure = told < SURE_HU
    return figures | {
        "sure, % of the body": 100 * float(sure.mean()),
        "sure: mean, HU": float(off[sure].mean()),
        "sure: 95th, HU": float(np.percentile(off[sure], 95)),
        "unsure, % of the difference": 100 * float(off[~sure].sum() / max(off.sum(), 1e-9)),
        "beyond told, %": 100 * float((off > told).mean()),
        "beyond twice told, %": 100 * float((off > 2 * told).mean()),
    }


def outline(mr: Volume, answer: SctResult) -> Figures:
    """Where the answer ends beside where the MR ends; see `models.contours`."""
    found = compare(mr, answer.sct, answer.body)
    return {
        "larger, mm": found.median_mm,
        "shifted, mm": float(np.linalg.norm(found.shift_mm)),
        "apart, mm": found.typical_mm,
        "95th, mm": found.far_mm,
        "no edge, %": 100 * float(np.isinf(found.off_mm).mean()),
        "left out: cut, %": 100 * found.cut,
        "folded, %": 100 * found.folded,
        "faint, %": 100 * found.faint,
        "coarse, %": 100 * found.coarse,
    }


def table(rows: dict[str, Figures]) -> str:
    """Rows by head as Markdown."""
    keys = list(next(iter(rows.values())))
    lines = [f"| head | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{row[k]:.3g}' for k in keys)} |" for name, row in rows.items()
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
    for part in next(iter(rows.values())):
        print(table({name: row[part] for name, row in rows.items()}), "\n")  # noqa: T201


if __name__ == "__main__":
    main()
