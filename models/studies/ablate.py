"""What each ingredient is worth: trainings that leave one out, all else equal.

``python -m models.studies.ablate models/head-t1.toml FOLDER PAIR_DIR... --steps 1000``. Each
variant is trained from nothing with the same seed, slices, steps and learning rate, and measured on
held-out subjects, on pairs of theirs of another contrast and from another scanner, and on each
pair's folder (``mr_t1like.nii.gz``, ``ct_truth.nii.gz``). ``FOLDER`` keeps what is done: run it
again to resume.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.config import Phase, TrainConfig, read_config
from models.data import (
    Batch,
    Sample,
    cached_tissues,
    plane,
    pool_files,
    read_sample,
    sample_of,
    write_sample,
)
from models.networks import OFFSETS, SctNet
from models.pairs import PairParameters, draw
from models.real import Case, read_pair, to_sample
from models.tissues import Tissue
from models.train import DEVICE, Feed, prepare, save, start, step

Change = Callable[[TrainConfig], TrainConfig]
Columns = dict[str, list[Sample]]
Row = dict[str, list[float]]
_EVERY = 9
_SAVE_EVERY = 100
_MIDDLE = len(OFFSETS) // 2
_HELD_OUT_SEED = 900_000


def _phase(config: TrainConfig, **changed: float) -> TrainConfig:
    last: Phase = replace(config.phases[-1], **changed)
    return replace(config, phases=(last,))


def from_nothing(config: TrainConfig) -> TrainConfig:
    """The weights of the last phase with the learning rate of the first."""
    return _phase(config, learning_rate=config.phases[0].learning_rate)


ALONE = "neighbours"
T1_LIKE = "repainted slabs and pairs of a free contrast"
SAME_FAT = "fat and skin that differ"
VARIANTS: dict[str, Change] = {
    "nothing": lambda c: c,
    ALONE: lambda c: c,
    "weights of tissues": lambda c: _phase(
        c,
        bone_weight=1.0,
        water_weight=1.0,
        eye_weight=1.0,
        air_weight=1.0,
        brain_weight=1.0,
        skin_weight=1.0,
    ),
    SAME_FAT: lambda c: c,
    T1_LIKE: lambda c: _phase(c, repainted=0.0),
    "tissue classes": lambda c: replace(c, class_weight=0.0),
    "repainted slabs": lambda c: _phase(c, repainted=0.0),
}
"""What is left out, by name."""

OTHERS: dict[str, Callable[[PairParameters], bool]] = {
    "free contrast": lambda p: not p.t1_like,
    "another scanner": lambda p: (
        p.t1_like and p.coil > 0.8 and p.slice_mm > 3 and p.noise > 0.02 and not p.anatomy.deface
    ),
}
"""Pairs of the held-out subjects that only some ingredients prepare for, by column."""


def t1_like(config: TrainConfig, subjects: Sequence[str]) -> list[Path]:
    """The pool's pairs of these subjects without those of a contrast drawn freely."""
    files = pool_files(config.pool, subjects)
    if config.source != "synthetic":
        return files
    return [f for f in files if draw(_seed(config, f)).t1_like]


def _seed(config: TrainConfig, pair: Path) -> int:
    return config.first_seed + int(pair.stem.split("_")[1])


def linked(config: TrainConfig, folder: Path) -> Path:
    """A pool of nothing but the T1-like pairs to train on."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in t1_like(config, config.train):
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    return folder


def same_fat(p: PairParameters) -> PairParameters:
    """Fat and skin of every subject alike, as they were drawn until 1.2.0."""
    anatomy = replace(
        p.anatomy,
        skin_mm=1.6,
        fat_depth_mm=max(p.anatomy.fat_depth_mm or 5.5, 2.0),
        fat_share=min(p.anatomy.fat_share, 0.5),
        fat_edge=0.0,
        orbit_fat=True,
    )
    return replace(p, anatomy=anatomy)


def drawn_alike(config: TrainConfig, folder: Path) -> Path:
    """The same pairs to train on with fat and skin where they always are."""
    for path in pool_files(config.pool, config.train):
        kept = folder / path.name
        if not kept.exists():
            tissues = cached_tissues(config.labels, config.pool, path.stem.split("_")[2])
            folder.mkdir(parents=True, exist_ok=True)
            write_sample(kept, sample_of(same_fat(draw(_seed(config, path))), tissues))
    return folder


def alone(mr: Tensor) -> Tensor:
    """The middle slice in place of all its neighbours."""
    return mr[:, _MIDDLE : _MIDDLE + 1].expand(-1, len(OFFSETS), -1, -1).contiguous()


def trained(config: TrainConfig, name: str, steps: int) -> SctNet:
    """The averaged network after ``steps`` steps, the learning rate falling over just these."""
    run = start(config)
    length_s = 60 * config.minutes
    with ThreadPoolExecutor(max_workers=1) as helper:
        feed = Feed(config, np.random.default_rng([config.seed, run.step]), helper)
        while run.step < steps:
            run.elapsed_s = length_s * run.step / steps
            feed.prepare(run.elapsed_s)
            step(run, config, _seen(feed.take(), name))
            if run.step % _SAVE_EVERY == 0 or run.step == steps:
                save(run, config)
    return run.average.eval()


def _seen(batch: Batch, name: str) -> Batch:
    return batch._replace(mr=alone(batch.mr)) if name == ALONE else batch


@torch.no_grad()
def figures(network: SctNet, samples: list[Sample], name: str) -> list[float]:
    """MAE in HU of the body and of its soft tissue, Dice of bone, over every ninth slice."""
    body_off = soft_off = 0.0
    body_voxels = soft_voxels = both = either = 0
    for sample in samples:
        for number in range(3, sample.mr.shape[0], _EVERY):
            mr, ct, tissues = plane(sample, number)
            seen = torch.from_numpy(mr)[None].to(DEVICE)
            mu = network.learn(alone(seen) if name == ALONE else seen)[0]
            hu = mu[0, 0].cpu().numpy() * 1000
            error, body = np.abs(hu - ct), tissues != Tissue.OUTSIDE
            soft = body & (ct > -200) & (ct < 100)
            body_off, body_voxels = body_off + float(error[body].sum()), body_voxels + body.sum()
            soft_off, soft_voxels = soft_off + float(error[soft].sum()), soft_voxels + soft.sum()
            both += 2 * int(((hu > 250) & (ct > 250)).sum())
            either += int((hu > 250).sum() + (ct > 250).sum())
    return [
        body_off / max(1, int(body_voxels)),
        soft_off / max(1, int(soft_voxels)),
        both / max(1, either),
    ]


def held_out(config: TrainConfig, pairs: list[Path], folder: Path) -> Columns:
    """The T1-like pairs of each held-out subject, `OTHERS` of all of them, each pair's folder."""
    found = {n: [read_sample(f) for f in t1_like(config, [n])] for n in config.validate}
    if config.source == "synthetic":
        found |= {kind: _others(config, kind, folder) for kind in OTHERS}
    for pair in pairs:
        mr, ct = pair / "mr_t1like.nii.gz", pair / "ct_truth.nii.gz"
        case = Case(patient=pair.name, mr=mr, ct=ct, mask=None)
        found[pair.name] = [to_sample(read_pair(case))]
    return found


def _others(config: TrainConfig, kind: str, folder: Path) -> list[Sample]:
    fitting = (seed for seed in count(_HELD_OUT_SEED) if OTHERS[kind](draw(seed)))
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for subject in config.validate:
        seed = next(fitting)
        kept = folder / f"{seed}_{subject}.npy"
        if not kept.exists():
            tissues = cached_tissues(config.labels, config.pool, subject)
            write_sample(kept, sample_of(draw(seed), tissues))
        samples.append(read_sample(kept))
    return samples


def measured(
    config: TrainConfig, columns: Columns, steps: int, name: str
) -> dict[str, list[float]]:
    """Train one variant in ``config.folder`` and measure it on each column."""
    changed = VARIANTS[name](from_nothing(config))
    changed = replace(changed, folder=config.folder / f"{config.seed} {name}".replace(" ", "-"))
    if name == T1_LIKE:
        changed = replace(changed, pool=linked(config, config.folder / "t1-like"))
    if name == SAME_FAT:
        changed = replace(changed, pool=drawn_alike(config, config.folder / "same-fat"))
    network = trained(changed, name, steps)
    return {column: figures(network, samples, name) for column, samples in columns.items()}


def table(rows: dict[str, Row], of: str) -> str:
    """Markdown: body and soft tissue in HU, Dice of bone, of each column."""
    columns = list(next(iter(rows.values())))
    lines = [f"| left out ({of}) | {' | '.join(columns)} |"]
    lines += ["|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = (f"{row[c][0]:.0f}, {row[c][1]:.0f}, {row[c][2]:.3f}" for c in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ablate(config: TrainConfig, columns: Columns, steps: int, only: Sequence[str]) -> str:
    """Train what ``config.folder`` does not hold yet; the table of all it holds then."""
    config.folder.mkdir(parents=True, exist_ok=True)
    kept = config.folder / f"rows-{steps}-{config.seed}.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for name in only:
        if name not in rows:
            rows[name] = measured(config, columns, steps, name)
            temporary = kept.with_suffix(".part")
            temporary.write_text(json.dumps(rows))
            temporary.rename(kept)
            print(name, rows[name], flush=True)  # noqa: T201 - progress of a command
    return table(rows, f"{steps} steps, seed {config.seed}")


def main() -> None:
    """Print the table; what is missing of the pool is drawn first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path, help="checkpoints, pairs and rows")
    parser.add_argument("pairs", type=Path, nargs="*")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", help="a table for each; else the config's")
    parser.add_argument("--slices", type=int, help="in a step; the config's when left out")
    parser.add_argument("--narrow", type=int, default=1, help="divide the network's widths by this")
    parser.add_argument("--pool", type=Path, help="instead of the config's")
    parser.add_argument("--drawn", type=int, help="how many pairs; the config's when left out")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args()
    config = read_config(given.config)
    config = replace(
        config,
        folder=given.folder,
        slices=given.slices or config.slices,
        widths=tuple(n // given.narrow for n in config.widths),
        fine=config.fine // given.narrow,
        pool=given.pool or config.pool,
        pairs=given.drawn or config.pairs,
    )
    config = prepare(config)
    columns = held_out(config, given.pairs, given.folder / "held-out")
    for seed in given.seeds or [config.seed]:
        seeded = replace(config, seed=seed)
        print(ablate(seeded, columns, given.steps, given.only), "\n")  # noqa: T201


if __name__ == "__main__":
    main()
