"""Figures of a model folder on pairs with known CT, as a Markdown table.

``python -m models.studies.evaluate onnx/head-t1/1.3.0 PAIR_DIR...``. A pair's folder holds
``mr_t1like.nii.gz``, ``ct_truth.nii.gz`` and ``labels.nii.gz`` on one lattice.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.calibration import deciles, worst
from models.export import errors
from models.pictures import draw_calibration
from node.domain.geometry import Grid
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume
from node.infer.files import read_image
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.registry import ModelFolder


def axial(volume: Volume) -> Volume:
    """The same voxels on an axial LPS lattice, for a volume whose axes are those of the body."""
    values, affine = volume.values, volume.affine.copy()
    for axis, towards in enumerate((2, 1, 0)):
        if affine[towards, axis] < 0:
            values = np.flip(values, axis)
            affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(
        values=np.ascontiguousarray(values),
        affine=affine,
        frame_of_reference_uid=volume.frame_of_reference_uid,
        unit=volume.unit,
    )


def oracle(truth: NDArray[np.float32], labels: NDArray[np.int16]) -> NDArray[np.float32]:
    """The CT of whoever knew every label but nothing more: each label's own mean HU."""
    out = np.zeros_like(truth)
    for label in np.unique(labels):
        out[labels == label] = truth[labels == label].mean()
    return out


def evaluate(model: ModelFolder, folder: Path) -> dict[str, float]:
    """The figures of one pair."""
    mr = axial(read_image(folder / "mr_t1like.nii.gz", Unit.SIGNAL))
    truth = axial(read_image(folder / "ct_truth.nii.gz", Unit.HU)).values
    labels = axial(read_image(folder / "labels.nii.gz", Unit.SIGNAL)).values.astype(np.int16)
    grid = Grid(shape=mr.grid.shape, affine=mr.affine)
    result: SctResult = Generator(model, providers=["cpu"]).synthesise(mr, grid)
    row = errors(result.sct.values, truth, result.body)
    row["oracle_mae_hu"] = errors(oracle(truth, labels), truth, result.body)["mae_body_hu"]
    floor = errors(oracle(truth, labels), truth, result.body)
    row["oracle_soft_hu"] = floor["mae_soft_hu"]
    if result.uncertainty is not None:
        error = np.abs(result.sct.values - truth)[result.body]
        half = result.uncertainty.values[result.body]
        row["within_half_width"] = float((error <= half).mean())
        tenths = deciles(error, half)
        row["worst_tenth"] = worst(tenths)
        for number, (told, met) in enumerate(tenths):
            row[f"decile_{number}_told_hu"], row[f"decile_{number}_met_hu"] = told, met
    return row


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--curve", type=Path, help="draw told against met half widths here")
    given = parser.parse_args()
    model = ModelFolder(path=given.model, manifest=read_manifest(given.model / "manifest.json"))
    rows = {path.name: evaluate(model, path) for path in given.pairs}
    if given.curve:
        draw_calibration(rows, given.curve)
    keys = [key for key in next(iter(rows.values())) if not key.startswith("decile")]
    lines = [f"| pair | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name, row in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{row[k]:.3g}' for k in keys)} |")
    print("\n".join(lines))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
