"""One TOML file describes one training."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the training with a learning rate that rises and falls once."""

    minutes: float
    """Length."""
    learning_rate: float
    """Highest learning rate."""
    repainted: float
    """Share of the slices whose MR is drawn anew with another contrast."""
    bone_weight: float
    """How much bone counts in the loss; soft tissue counts 1."""
    water_weight: float
    """How much CSF and vessels count, which an MR shows nearly as dark as bone."""
    eye_weight: float
    """How much eyes count, which are water as well, and few."""
    brain_weight: float
    """How much grey and white matter count, which are few HU apart."""
    skin_weight: float
    """How much skin counts, which is thin."""
    air_weight: float
    """How much cavities count, which are few and as dark as bone; else they are filled."""


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
    others: tuple[str, ...]
    """Subjects of label maps that nothing learnt from; may be left out."""
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
    slices: int
    """Slices in a step, of different subjects."""
    seed: int
    """Seed of weights and slices."""
    threads: int
    """Threads of torch."""
    bf16: bool
    """Autocast to bfloat16."""
    class_weight: float
    """Weight of the tissue classes in the loss; 0: none."""
    phases: tuple[Phase, ...]
    """What follows what; a resumed training goes on in the phase it was stopped in."""

    @property
    def minutes(self) -> float:
        """Length of the training, resumed time included."""
        return sum(phase.minutes for phase in self.phases)

    def phase_at(self, elapsed_s: float) -> tuple[Phase, float]:
        """The phase and the seconds since it began."""
        for phase in self.phases:
            if elapsed_s < 60 * phase.minutes:
                return phase, elapsed_s
            elapsed_s -= 60 * phase.minutes
        return self.phases[-1], elapsed_s + 60 * self.phases[-1].minutes


def read_config(path: Path) -> TrainConfig:
    """Read a training's file; unknown and missing keys are errors that name them."""
    with path.open("rb") as file:
        tables = tomllib.load(file)
    rows = tables.pop("phases", [])
    values: dict[str, Any] = {
        k: v for name, table in tables.items() if name != "export" for k, v in table.items()
    }
    for row in rows:
        _check(path, Phase, row)
    values["phases"] = tuple(Phase(**row) for row in rows)
    if not rows:
        raise ValueError(f"{path}: a training needs one [[phases]] or more")
    values.setdefault("others", ())
    _check(path, TrainConfig, values)
    for key in ("labels", "pool", "folder"):
        values[key] = (path.parent / values[key]).resolve()
    for key in ("train", "validate", "others", "widths"):
        values[key] = tuple(values[key])
    return TrainConfig(**values)


def _check(path: Path, kind: type[TrainConfig | Phase], values: dict[str, Any]) -> None:
    known = {f.name for f in fields(kind)}
    wrong = sorted(set(values) ^ known)
    if wrong:
        raise ValueError(f"{path}: keys missing or unknown: {', '.join(wrong)}")
