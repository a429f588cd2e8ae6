"""What each ingredient is worth: short trainings that leave one out, all else equal.

``python -m models.ablate models/head-t1.toml PAIR_DIR... --steps 300``. Same seed, same number of
steps, the last phase of the config; figures of each held-out subject and of each pair's folder
(``mr_t1like.nii.gz``, ``ct_truth.nii.gz``), as Markdown. So few steps tell directions, not sizes.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.config import Phase, TrainConfig, read_config
from models.data import Batch, Sample, plane, pool_files, read_sample
from models.networks import OFFSETS, SctNet
from models.pairs import draw
from models.real import Case, read_pair, to_sample
from models.train import DEVICE, Feed, start, step

Change = Callable[[TrainConfig], TrainConfig]
_EVERY = 7
_MIDDLE = len(OFFSETS) // 2


def _phase(config: TrainConfig, **changed: float) -> TrainConfig:
    last: Phase = replace(config.phases[-1], **changed)
    return replace(config, phases=(last,))


ALONE = "one slice, no neighbours"
T1_LIKE = "none repainted, T1-like pairs alone"
VARIANTS: dict[str, Change] = {
    "as shipped": lambda c: c,
    ALONE: lambda c: c,
    "no repainted slabs": lambda c: _phase(c, repainted=0.0),
    T1_LIKE: lambda c: _phase(c, repainted=0.0),
    "no tissue classes": lambda c: replace(c, class_weight=0.0),
    "every tissue counts the same": lambda c: _phase(
        c,
        bone_weight=1.0,
        water_weight=1.0,
        eye_weight=1.0,
        air_weight=1.0,
        brain_weight=1.0,
        skin_weight=1.0,
    ),
}
"""What is left out, by name."""


def t1_like(config: TrainConfig, subjects: Sequence[str]) -> list[Path]:
    """The pool's pairs of these subjects without those of a contrast drawn freely."""
    files = pool_files(config.pool, subjects)
    if config.source != "synthetic":
        return files
    return [f for f in files if draw(config.first_seed + int(f.stem.split("_")[1])).t1_like]


def linked(config: TrainConfig, folder: Path) -> Path:
    """A pool of nothing but the T1-like pairs to train on."""
    folder.mkdir()
    for path in t1_like(config, config.train):
        (folder / path.name).symlink_to(path)
    return folder


def alone(mr: Tensor) -> Tensor:
    """The middle slice in place of all its neighbours."""
    return mr[:, _MIDDLE : _MIDDLE + 1].expand(-1, len(OFFSETS), -1, -1).contiguous()


def trained(config: TrainConfig, name: str, steps: int) -> SctNet:
    """The averaged network after ``steps`` steps, the learning rate falling over just these."""
    run = start(config)
    length_s = 60 * config.minutes
    with ThreadPoolExecutor(max_workers=1) as helper:
        feed = Feed(config, np.random.default_rng(config.seed), helper)
        feed.prepare(0.0)
        for number in range(steps):
            run.elapsed_s = length_s * number / steps
            batch = feed.take()
            feed.prepare(run.elapsed_s)
            step(run, config, _seen(batch, name))
        feed.take()
    return run.average.eval()


def _seen(batch: Batch, name: str) -> Batch:
    return batch._replace(mr=alone(batch.mr)) if name == ALONE else batch


@torch.no_grad()
def figures(network: SctNet, sample: Sample, name: str) -> tuple[float, float]:
    """MAE of the body in HU and Dice of bone, over every seventh slice."""
    off, voxels, both, either = 0.0, 0, 0, 0
    for number in range(3, sample.mr.shape[0], _EVERY):
        mr, ct, tissues = plane(sample, number)
        seen = torch.from_numpy(mr)[None].to(DEVICE)
        mu = network.learn(alone(seen) if name == ALONE else seen)[0]
        hu = mu[0, 0].cpu().numpy() * 1000
        body = tissues > 0
        off += float(np.abs(hu - ct)[body].sum())
        voxels += int(body.sum())
        both += 2 * int(((hu > 250) & (ct > 250)).sum())
        either += int((hu > 250).sum() + (ct > 250).sum())
    return off / max(1, voxels), both / max(1, either)


def subjects(config: TrainConfig, folders: list[Path]) -> dict[str, Sample]:
    """The held-out subjects of the pool, one pair of each, and the pairs of other generators."""
    found = {name: read_sample(t1_like(config, [name])[0]) for name in config.validate}
    for folder in folders:
        mr, ct = folder / "mr_t1like.nii.gz", folder / "ct_truth.nii.gz"
        found[folder.name] = to_sample(
            read_pair(Case(patient=folder.name, mr=mr, ct=ct, mask=None))
        )
    return found


def rows(
    config: TrainConfig,
    held_out: dict[str, Sample],
    steps: int,
    only: Sequence[str] = tuple(VARIANTS),
) -> Iterator[str]:
    """A line of the table for each variant, as soon as it is trained."""
    yield f"| {steps} steps | {' | '.join(held_out)} |"
    yield "|---" * (len(held_out) + 1) + "|"
    for name in only:
        change = VARIANTS[name]
        with tempfile.TemporaryDirectory() as folder:
            changed = replace(change(_phase(config)), folder=Path(folder))
            if name == T1_LIKE:
                changed = replace(changed, pool=linked(config, Path(folder) / "pool"))
            network = trained(changed, name, steps)
        cells = [figures(network, sample, name) for sample in held_out.values()]
        yield f"| {name} | {' | '.join(f'{mae:.0f}, {dice:.3f}' for mae, dice in cells)} |"


def main() -> None:
    """Print the table line by line; the pool must be filled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("pairs", type=Path, nargs="*")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args()
    config = read_config(given.config)
    for row in rows(config, subjects(config, given.pairs), given.steps, given.only):
        print(row, flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
