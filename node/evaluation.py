"""A synthetic CT against a CT: what `pctnode evaluate` runs. Figures, tables, pictures."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from node.dicom.folder import read_folder
from node.domain.errors import Misconfigured
from node.domain.geometry import Grid, axial_grid
from node.domain.volume import Unit, Volume
from node.infer.files import is_image_file, read_image
from node.infer.preprocess import body_mask, resample
from node.metrics.comparison import Comparison, compare

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

AIR_HU = -1000.0
# CT brighter than this counts as patient when no mask is given.
_BODY_HU = -300.0
_PICTURE_HU = (-1000.0, 1500.0)
_DIFFERENCE_HU = (-500.0, 500.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One pair on the CT's lattice, and what was found."""

    truth: Floats
    """(slices, rows, columns) HU."""
    ours: Floats
    """Same lattice."""
    mask: Mask
    """Where the figures count."""
    spacing_mm: tuple[float, float, float]
    figures: Comparison
    notes: tuple[str, ...]
    """What a reader must know of the pair."""


def evaluate(sct: Path, ct: Path, mask: Path | None) -> Evaluation:
    """Read both, bring the sCT onto the CT's lattice and measure it inside the mask."""
    truth, ours = read_ct(ct), read_ct(sct)
    notes = []
    if truth.frame_of_reference_uid != ours.frame_of_reference_uid:
        notes.append("The frames of reference differ; positions are compared as they stand.")
    grid = _axial(truth.grid)
    if not ours.grid.same_as(grid, tolerance_mm=1e-3):
        notes.append("The synthetic CT was resampled onto the CT's lattice.")
    a, b = (resample(v, grid, fill=AIR_HU) for v in (truth, ours))
    inside = _mask(mask, a, grid)
    return Evaluation(
        truth=a,
        ours=b,
        mask=inside,
        spacing_mm=grid.spacing_mm,
        figures=compare(a, b, inside, grid.spacing_mm),
        notes=tuple(notes),
    )


def _axial(grid: Grid) -> Grid:
    """The CT's own lattice where it is axial, else an axial one as fine as its finest axis."""
    steps = np.fliplr(grid.affine[:3, :3])
    plain = np.allclose(steps, np.diag(np.diag(steps)), atol=1e-4) and (np.diag(steps) > 0).all()
    finest = float(min(grid.spacing_mm))
    return grid if plain else axial_grid(grid, spacing_mm=finest, max_matrix=100_000)


def _mask(path: Path | None, truth: Floats, grid: Grid) -> Mask:
    if path is None:
        solid = np.where(truth > _BODY_HU, 1000.0, 0.0).astype(np.float32)
        found = body_mask(solid, grid.spacing_mm)
    else:
        found = resample(read_image(path, Unit.SIGNAL), grid) >= 0.5
    if not found.any():
        raise Misconfigured(
            f"The mask {path or 'made from the CT'} is empty.", remedy="Name another with --mask."
        )
    return found


def read_ct(path: Path) -> Volume:
    """A CT from a folder of DICOM files or from an image file, in HU."""
    return read_image(path, Unit.HU) if is_image_file(path) else read_folder(path, "CT")


def write_report(evaluation: Evaluation, title: str) -> str:
    """The report as one HTML page that needs nothing else."""
    f = evaluation.figures
    head = [
        ("MAE", f"{f.mae_hu:.1f} HU"),
        ("mean error", f"{f.mean_error_hu:+.1f} HU"),
        ("PSNR, R = 4024 (-1024 to 3000 HU)", f"{f.psnr_4024_db:.2f} dB"),
        ("PSNR, R = 4095 (-1024 to 3071 HU)", f"{f.psnr_4095_db:.2f} dB"),
        ("SSIM (SynthRAD2023)", f"{f.ssim:.4f}"),
        ("MS-SSIM (SynthRAD2025, luminance at every level)", f"{f.ms_ssim:.4f}"),
        ("volume of the mask", f"{f.mask_ml:.0f} ml"),
    ]
    tissues = [
        (
            t.tissue,
            f"{t.volume_ml:.0f}",
            f"{t.truth_mean_hu:.0f}",
            f"{t.ours_mean_hu:.0f}",
            f"{t.mae_hu:.0f}",
        )
        for t in f.tissues
    ]
    shapes = [(s.shape, f"{s.dice:.3f}", f"{s.hd95_mm:.1f}") for s in f.shapes]
    paths = [(p.beam, f"{p.mean_mm:+.2f}", f"{p.worst_mm:.2f}") for p in f.paths]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in evaluation.notes),
        _table(("figure", "value"), head),
        "<h2>HU by tissue of the CT</h2>",
        _table(("tissue", "ml", "CT mean", "sCT mean", "MAE"), tissues),
        "<h2>Shapes</h2>",
        _table(("shape", "Dice", "HD95 mm"), shapes),
        "<h2>Water-equivalent path, sCT less CT, mm</h2>",
        _table(("beam from", "mean", "worst ray"), paths),
        "<h2>CT, sCT, difference (-500 to 500 HU)</h2>",
        *_pictures(evaluation),
    ]
    style = (
        "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left}"
        "img{height:260px}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>\n" + "\n".join(parts) + "</html>\n"
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    first = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{first}</tr>{body}</table>"


def _pictures(evaluation: Evaluation) -> list[str]:
    """Three planes through the mask's middle."""
    middle = [round(float(w.mean())) for w in np.nonzero(evaluation.mask)]
    volumes = (
        (evaluation.truth, _PICTURE_HU, "CT"),
        (evaluation.ours, _PICTURE_HU, "synthetic CT"),
        (evaluation.ours - evaluation.truth, _DIFFERENCE_HU, "difference"),
    )
    rows = []
    for axis, plane in enumerate(("axial", "coronal", "sagittal")):
        images = [
            _image(
                np.take(values, middle[axis], axis=axis),
                limits,
                f"{name}, {plane}",
                evaluation,
                axis,
            )
            for values, limits, name in volumes
        ]
        rows.append("<p>" + "".join(images) + "</p>")
    return rows


def _image(
    plane: Floats, limits: tuple[float, float], words: str, evaluation: Evaluation, axis: int
) -> str:
    low, high = limits
    grey = np.clip((plane - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey if axis == 0 else grey[::-1])
    down, across = (s for n, s in enumerate(evaluation.spacing_mm) if n != axis)
    picture = picture.resize(
        (max(1, round(grey.shape[1] * across)), max(1, round(grey.shape[0] * down)))
    )
    data = io.BytesIO()
    picture.save(data, "PNG")
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{text}">'
