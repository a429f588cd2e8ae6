"""One TOML file describes one training."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training; paths are absolute once read."""

    labels: Path
    """Folder of SynthSeg label maps."""
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
    warm_minutes: float
    """Length of the first part, on small crops."""
    warm_crop: int
    """Edge of the small crops in voxels."""
    crop: int
    """Edge of the crops in voxels."""
    learning_rate: float
    """Highest learning rate."""
    freeze_norms_after: float
    """Share of the time after which BatchNorm uses its running statistics."""
    seed: int
    """Seed of weights and crops."""
    threads: int
    """Threads of torch."""
    bf16: bool
    """Autocast to bfloat16."""
    repainted: float
    """Share of the crops whose MR is drawn anew with another contrast."""
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
