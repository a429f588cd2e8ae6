"""One TOML file describes one training."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training; paths are absolute once read."""

    source: str
    """``synthetic``: pairs are drawn from label maps; ``pairs``: real ones lie in ``labels``."""
    labels: Path
    """Folder of SynthSeg label maps, or of real pairs; see `models.real`."""
    pool: Path
    """Folder of ready pairs; filled when they are missing."""
    train: tuple[str, ...]
    """Subjects to train on."""
    validate: tuple[str, ...]
    """Subjects held out."""
    pairs: int
    """How many pairs the pool holds."""
    first_seed: int
    """Seed of the first pair; the others follow."""
    widths: tuple[int, ...]
    """Channels at 1/2, 1/4, ... of the resolution."""
    fine: int
    """Channels at full resolution."""
    folder: Path
    """Where checkpoints and pictures go."""
    minutes: float
    """Length of the training, resumed time included."""
    slices: int
    """Slices in a step, of different subjects."""
    learning_rate: float
    """Highest learning rate."""
    seed: int
    """Seed of weights and slices."""
    threads: int
    """Threads of torch."""
    bf16: bool
    """Autocast to bfloat16."""
    repainted: float
    """Share of the slices whose MR is drawn anew with another contrast."""
    class_weight: float
    """Weight of the tissue classes in the loss; 0: none."""


def read_config(path: Path) -> TrainConfig:
    """Read a training's file; unknown and missing keys are errors that name them."""
    with path.open("rb") as file:
        tables = tomllib.load(file)
    values: dict[str, Any] = {
        k: v for name, table in tables.items() if name != "export" for k, v in table.items()
    }
    known = {f.name for f in fields(TrainConfig)}
    wrong = sorted(set(values) ^ known)
    if wrong:
        raise ValueError(f"{path}: keys missing or unknown: {', '.join(wrong)}")
    for key in ("labels", "pool", "folder"):
        values[key] = (path.parent / values[key]).resolve()
    for key in ("train", "validate", "widths"):
        values[key] = tuple(values[key])
    return TrainConfig(**values)
