"""The worst answers to real slices as pictures, to look at."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from models.studies.reality_figures import Answer, RealSlice

mpl.use("Agg")
from matplotlib import pyplot as plt

_WINDOW = {"cmap": "gray", "vmin": -1000, "vmax": 1500}


def draw_worst(
    slices: Sequence[RealSlice],
    answers: dict[str, Answer],
    rows: dict[str, dict[str, float]],
    folder: Path,
    count: int = 10,
) -> list[str]:
    """Draw MR, CT, sCT, their difference and the half width; the names, the worst first."""
    folder.mkdir(parents=True, exist_ok=True)
    order = sorted(slices, key=lambda s: -np.nan_to_num(rows[s.patient]["MAE in the body"]))
    for number, real in enumerate(order[:count]):
        path = folder / f"{number:02d}_{real.patient}.png"
        _draw(real, answers[real.patient], rows[real.patient], path)
    return [real.patient for real in order[:count]]


def _draw(real: RealSlice, answer: Answer, row: dict[str, float], path: Path) -> None:
    figure, axes = plt.subplots(1, 5, figsize=(20, 4.6))
    axes[0].imshow(real.mr, cmap="gray")
    axes[0].contour(real.mask, [0.5], colors="r", linewidths=0.6)
    axes[1].imshow(real.hu, **_WINDOW)
    axes[2].imshow(answer.hu, **_WINDOW)
    axes[3].imshow(answer.hu - real.hu, cmap="RdBu_r", vmin=-800, vmax=800)
    if answer.half_hu is not None:
        axes[4].imshow(answer.half_hu, cmap="magma", vmin=0, vmax=500)
    for axis in axes:
        axis.axis("off")
    figure.suptitle(
        f"{real.patient}  MAE {row['MAE in the body']:.0f} HU in the body, "
        f"Dice {row['bone Dice']:.2f}: MR, CT, sCT, difference, half width"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    plt.close(figure)
