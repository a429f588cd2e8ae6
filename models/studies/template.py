"""Soft tissue and bone of synthetic CTs beside a template: percentiles, and how far they overlap.

``python -m models.studies.template onnx/head-t1/1.3.0 TEMPLATE HEAD...``. The template is a CT in
HU, such as an averaged one: a prior, not a truth, for averaging blurs edges and thin bone. A head
is what `models.heads` reads. Only the upper 120 mm of each head count, so that the neck does not.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.heads import name_of, read_head
from models.studies.evaluate import axial
from node.domain.geometry import axial_grid
from node.domain.volume import Unit, Volume
from node.infer.files import read_image
from node.infer.generator import Generator
from node.infer.manifest import read_manifest
from node.infer.preprocess import body_mask, resample
from node.infer.registry import ModelFolder
from node.infer.skull import distance, upper_head

Floats = NDArray[np.float32]

SOFT_HU, BONE_HU = (-150.0, 150.0), 250.0
PERCENTILES = (5, 25, 50, 75, 95)
_SOLID_HU = -500.0
_SOFT_BINS = np.arange(-150.0, 151.0, 10.0)
_BONE_BINS = np.append(np.arange(250.0, 2000.0, 50.0), 3100.0)


def overlap(ours: Floats, theirs: Floats, bins: NDArray[np.float64]) -> float:
    """Share of two histograms that they have in common: 1 equal, 0 apart."""
    shares = []
    for values in (ours, theirs):
        counts, _ = np.histogram(values, bins)
        shares.append(counts / max(1, counts.sum()))
    return 1.0 - distance(shares[0], shares[1])


def figures(values: Floats, prior: Floats) -> dict[str, float]:
    """Percentiles of soft tissue and bone, shares, and the overlap with the prior's."""
    row: dict[str, float] = {}
    for name, (ours, theirs), bins in (
        ("soft", (_soft(values), _soft(prior)), _SOFT_BINS),
        ("bone", (_bone(values), _bone(prior)), _BONE_BINS),
    ):
        for percentile in PERCENTILES:
            row[f"{name} p{percentile}"] = float(np.percentile(ours, percentile))
        row[f"{name}, %"] = 100 * ours.size / values.size
        row[f"{name} overlap"] = overlap(ours, theirs, bins)
        level = np.float32(np.median(theirs) - np.median(ours))
        row[f"{name} overlap, same median"] = overlap(ours + level, theirs, bins)
    return row


def _soft(values: Floats) -> Floats:
    return values[(values > SOFT_HU[0]) & (values < SOFT_HU[1])]


def _bone(values: Floats) -> Floats:
    return values[values > BONE_HU]


def template(path: Path) -> Floats:
    """The upper head of a CT in HU."""
    ct: Volume = axial(read_image(path, Unit.HU))
    grid = axial_grid(ct.grid, spacing_mm=1.0, max_matrix=100_000)
    hu = resample(ct, grid, fill=-1000.0)
    solid = np.where(hu > _SOLID_HU, 1000.0, 0.0).astype(np.float32)
    return upper_head(hu, body_mask(solid, grid.spacing_mm), grid.spacing_mm)


def synthetic(generator: Generator, mr: Volume) -> Floats:
    """The upper head of the synthetic CT of an MR."""
    grid = axial_grid(mr.grid, spacing_mm=1.0, max_matrix=100_000)
    result = generator.synthesise(mr, grid)
    return upper_head(result.sct.values.astype(np.float32), result.body, grid.spacing_mm)


def table(rows: dict[str, dict[str, float]]) -> str:
    """Figures by head as Markdown, one column for each head."""
    lines = [f"| | {' | '.join(rows)} |", "|---" * (len(rows) + 1) + "|"]
    for key in next(iter(rows.values())):
        cells = [
            f"{row[key]:.2f}" if "overlap" in key else f"{row[key]:.0f}" for row in rows.values()
        ]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table; the template stands first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("template", type=Path)
    parser.add_argument("heads", type=Path, nargs="+")
    given = parser.parse_args()
    model = ModelFolder(path=given.model, manifest=read_manifest(given.model / "manifest.json"))
    generator = Generator(model, providers=["cpu"])
    prior = template(given.template)
    rows = {"template": figures(prior, prior)}
    rows |= {
        name_of(path): figures(synthetic(generator, read_head(path)), prior) for path in given.heads
    }
    print(table(rows))  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
