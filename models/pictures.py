"""Curves and slices of a training, as PNG."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw_curves(history: list[dict[str, float]], path: Path) -> None:
    """Training loss and held-out errors against time."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    minutes = [row["s"] / 60 for row in history]
    left.plot(minutes, [row["loss"] for row in history], label="training loss")
    for name in ("body", "bone", "soft"):
        right.plot(minutes, [row.get(name, np.nan) for row in history], label=f"{name} MAE, HU")
    for axes in (left, right):
        axes.set_xlabel("minutes")
        axes.set_yscale("log")
        axes.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_slices(volumes: list[NDArray[np.float32]], path: Path) -> None:
    """Three mid-planes of input, prediction, truth and uncertainty."""
    windows = [(0.0, 1.6), (-1000.0, 1500.0), (-1000.0, 1500.0), (0.0, 400.0)]
    figure, axes = plt.subplots(3, 4, figsize=(16, 12))
    for column, (volume, (low, high)) in enumerate(zip(volumes, windows, strict=True)):
        s, r, c = (n // 2 for n in volume.shape)
        for row, plane in enumerate((volume[s], volume[::-1, r], volume[::-1, :, c])):
            axes[row, column].imshow(plane, cmap="gray", vmin=low, vmax=high)
            axes[row, column].axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=50)
    plt.close(figure)


def draw_calibration(rows: dict[str, dict[str, float]], path: Path) -> None:
    """Half width told against the 68th percentile of the error, for each tenth of the body."""
    figure, axes = plt.subplots(figsize=(5, 5))
    for name, row in rows.items():
        told = [row[f"decile_{n}_told_hu"] for n in range(10)]
        met = [row[f"decile_{n}_met_hu"] for n in range(10)]
        axes.plot(told, met, marker="o", label=name)
    ends = [1.0, 1000.0]
    axes.plot(ends, ends, color="grey")
    axes.fill_between(ends, [0.8 * e for e in ends], [1.2 * e for e in ends], alpha=0.2)
    axes.set(xscale="log", yscale="log", xlabel="half width told, HU", ylabel="met, HU")
    axes.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)
