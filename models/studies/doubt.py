"""Half widths as met on real slices: a curve fitted on half of the patients, told on the others.

``python -m models.studies.doubt FOLDER --model onnx/head-t1/1.3.0 --keep ANSWERS``. The curve maps
the half width that a model tells to the 68th percentile of the error met there, and never falls; it
is a statistic of the errors, no weight is trained. ``--write`` puts it into the manifest.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.calibration import deciles, worst
from models.skulls import outline
from models.studies.reality import (
    answer,
    bare,
    kept_answer,
    outside_the_project,
    read_slices,
    split,
)
from models.studies.reality_figures import Answer, RealSlice
from node.infer.manifest import met_hu, read_manifest

Array = NDArray[np.floating]
Points = tuple[tuple[float, float], ...]

_BINS = 16
# Errors are known to the CT's own steps of 10 HU: none is told below half of that.
_LEAST_HU = 5.0


def errors(real: RealSlice, given: Answer) -> tuple[Array, Array]:
    """Absolute error and half width told, HU, where CT and answer both have body."""
    if given.half_hu is None:
        raise ValueError("a model without half widths has none to map")
    where = outline(real.hu, real.mask) & given.body
    return np.abs(given.hu - real.hu)[where], given.half_hu[where]


def curve(rows: Iterable[tuple[Array, Array]]) -> Points:
    """Told and met half width at the corners of a line that never falls."""
    parts = list(rows)
    error = np.concatenate([e for e, _ in parts])
    half = np.maximum(np.concatenate([h for _, h in parts]), 1e-3)
    bins = np.array_split(np.argsort(half, kind="stable"), _BINS)
    told = np.array([float(np.median(half[b])) for b in bins])
    met = np.array([max(float(np.percentile(error[b], 68)), _LEAST_HU) for b in bins])
    rising = np.exp(isotonic_regression(np.log(met)).x)
    told, first = np.unique(np.round(told, 2), return_index=True)
    return tuple((float(t), round(float(m), 1)) for t, m in zip(told, rising[first], strict=True))


def covered(rows: Sequence[tuple[Array, Array]], points: Points) -> dict[str, float]:
    """Share of the errors within the half width before and after, and how far the worst tenth is.

    The middle patient's share, for one patient in many says more than one voxel in many.
    """
    before = [float((e <= h).mean()) for e, h in rows]
    mapped = [(e, met_hu(h, points)) for e, h in rows]
    after = [float((e <= h).mean()) for e, h in mapped]
    pooled = deciles(np.concatenate([e for e, _ in mapped]), np.concatenate([h for _, h in mapped]))
    return {
        "patients": len(rows),
        "before, %": 100 * float(np.median(before)),
        "after, %": 100 * float(np.median(after)),
        "after, of all voxels, %": 100
        * float(np.mean(np.concatenate([e <= h for e, h in mapped]))),
        "after, 10th percentile of patients, %": 100 * float(np.percentile(after, 10)),
        "after, 90th, %": 100 * float(np.percentile(after, 90)),
        "worst tenth off, %": 100 * worst(pooled),
    }


def told(rows: dict[str, tuple[Array, Array]], points: Points) -> dict[str, dict[str, float]]:
    """`covered` of both halves and of each centre."""
    out = {}
    for half, names in zip(("fit", "told"), split(tuple(rows)), strict=True):
        for centre in ("", *sorted({n[:3] for n in names})):
            some = [rows[n] for n in names if n.startswith(centre)]
            out[f"{half}, {centre or 'all'}"] = covered(some, points)
    return out


def write(path: Path, points: Points) -> None:
    """Put the curve into a manifest; the level that counts as unsure moves along with it."""
    manifest: dict[str, Any] = json.loads(path.read_text())
    if "half_width_curve" in manifest["output"]:
        raise SystemExit("The manifest has a curve: take it out and measure anew.")
    manifest["output"]["half_width_curve"] = [list(p) for p in points]
    if manifest.get("quality"):
        level = np.array([manifest["quality"]["uncertain_hu"]])
        manifest["quality"]["uncertain_hu"] = round(float(met_hu(level, points)[0]))
    path.write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=Path("onnx/head-t1/1.3.0"))
    parser.add_argument(
        "--keep", type=outside_the_project, help="answers of `models.studies.reality`"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="put the curve into the manifest")
    given = parser.parse_args()
    generator = bare(given.model, given.threads)
    rows = {}
    for real in read_slices(given.folder):
        make = partial(answer, generator, real.mr)
        rows[real.patient] = errors(real, kept_answer(given.keep, real.patient, make))
    points = curve(rows[name] for name in split(tuple(rows))[0])
    print(json.dumps({"curve": points, "coverage": told(rows, points)}, indent=1))  # noqa: T201
    if given.write:
        write(given.model / "manifest.json", points)
        read_manifest(given.model / "manifest.json")


if __name__ == "__main__":
    main()
