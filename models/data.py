"""A pool of ready pairs on disk, filled by one process while another trains from it."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.config import Phase
from models.networks import OFFSETS
from models.pairs import PairParameters, apply, draw, repaint
from models.tissues import Tissue, TissueMap, read_tissues
from node.infer.preprocess import Normalisation, body_mask, normalise

_CLASS_OF = {
    Tissue.OUTSIDE: 0,
    Tissue.AIR: 0,
    Tissue.CORTICAL: 1,
    Tissue.DIPLOE: 1,
    Tissue.TOOTH: 1,
    Tissue.METAL: 1,
    Tissue.CSF: 2,
    Tissue.EYE: 2,
    Tissue.FAT: 3,
    Tissue.MARBLED_75: 3,
    Tissue.WHITE: 5,
    Tissue.GREY: 6,
    Tissue.DEEP_GREY: 6,
}
# Air, bone, water, fat, everything else, white and grey matter: what a network confuses in an MR,
# or tells apart by few HU.
CLASSES = np.array([_CLASS_OF.get(t, 4) for t in Tissue], np.int64)

NORMALISATION = Normalisation(kind="body-percentile", percentile=80.0, low=0.0, high=4.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One pair ready to learn from; all (slices, rows, columns), 1 mm."""

    mr: NDArray[np.float16]
    """Normalised signal."""
    ct: NDArray[np.int16]
    """HU."""
    tissues: TissueMap
    """What is where: how much the loss counts, and the classes beside the HU."""
    counts: NDArray[np.int64]
    """Voxels of each tissue."""


def cached_tissues(labels: Path, folder: Path, subject: str) -> TissueMap:
    """The subject's tissue map, cleaned once and kept in ``folder``."""
    kept = folder / f"tissues_{subject}.npy"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        tissues = read_tissues(labels / f"training_seg_{subject}.nii.gz")
        _save(kept, tissues)
    return np.asarray(np.load(kept), np.uint8)


def make_sample(tissues: TissueMap, seed: int) -> Sample:
    """Draw and apply one pair, then normalise it exactly as the node does."""
    return sample_of(draw(seed), tissues)


def sample_of(parameters: PairParameters, tissues: TissueMap) -> Sample:
    """Apply what was drawn, then normalise it exactly as the node does."""
    pair = apply(parameters, tissues)
    body = body_mask(pair.mr, (1.0, 1.0, 1.0))
    mr = normalise(pair.mr, body, NORMALISATION).astype(np.float16)
    return Sample(mr=mr, ct=pair.ct, tissues=pair.tissues, counts=count(pair.tissues))


def count(tissues: TissueMap) -> NDArray[np.int64]:
    """Voxels of each tissue."""
    return np.bincount(tissues.ravel(), minlength=len(Tissue)).astype(np.int64)


def write_sample(path: Path, sample: Sample) -> None:
    """Write a sample so that a reader never sees half of it."""
    packed = np.stack([sample.mr.view(np.int16), sample.ct, sample.tissues.astype(np.int16)])
    _save(path, packed)


def read_sample(path: Path) -> Sample:
    """Read what `write_sample` wrote, mapped rather than loaded."""
    packed = np.load(path, mmap_mode="r")
    counts = count(np.asarray(packed[2]).astype(np.uint8))
    return Sample(mr=packed[0].view(np.float16), ct=packed[1], tissues=packed[2], counts=counts)


class Batch(NamedTuple):
    """Slices to learn from, each whole."""

    mr: Tensor
    """(batch, len(OFFSETS), rows, columns) normalised signal."""
    truth: Tensor
    """(batch, 1, rows, columns) HU / 1000."""
    weight: Tensor
    """(batch, 1, rows, columns) how much a voxel counts."""
    classes: Tensor
    """(batch, rows, columns) numbers of `CLASSES`."""


PLANE = (224, 192)
"""Rows and columns of a slice to learn from; multiples of the network's stride."""
_SLAB = 40
_SHIFT = 10


def slab(sample: Sample, rng: np.random.Generator) -> Sample:
    """Some slices of a sample with an MR of another contrast."""
    depth = sample.mr.shape[0]
    thickness = min(_SLAB, depth)
    low = int(rng.integers(0, depth - thickness + 1))
    cut = slice(low, low + thickness)
    tissues = np.asarray(sample.tissues[cut]).astype(np.uint8)
    mr = repaint(draw(int(rng.integers(2**31))), tissues, sample.counts).astype(np.float16)
    return Sample(mr=mr, ct=sample.ct[cut], tissues=tissues, counts=sample.counts)


def batch(samples: Sequence[Sample], rng: np.random.Generator, phase: Phase) -> Batch:
    """One random slice of each sample, with another brightness, place and side."""
    rows = [_one_slice(sample, rng) for sample in samples]
    mr, ct = np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
    tissues = np.stack([row[2] for row in rows])
    return Batch(
        torch.from_numpy(mr),
        torch.from_numpy(ct[:, None] / 1000),
        torch.from_numpy(_weights(ct, tissues, phase)[:, None]),
        torch.from_numpy(CLASSES[tissues]),
    )


def plane(
    sample: Sample, number: int, shift: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.float32], NDArray[np.float32], TissueMap]:
    """Slice ``number`` on `PLANE`: signal with its neighbours, HU, tissues."""
    around = np.clip(np.array(OFFSETS) + number, 0, sample.mr.shape[0] - 1)
    return (
        _placed(np.asarray(sample.mr[around], np.float32), 0.0, shift),
        _placed(np.asarray(sample.ct[number], np.float32), -1000.0, shift),
        _placed(np.asarray(sample.tissues[number], np.float32), 0.0, shift).astype(np.uint8),
    )


def _one_slice(
    sample: Sample, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], TissueMap]:
    shift = int(rng.integers(-_SHIFT, _SHIFT + 1)), int(rng.integers(-_SHIFT, _SHIFT + 1))
    mr, ct, tissues = plane(sample, int(rng.integers(sample.mr.shape[0])), shift)
    mr = np.clip(mr * rng.uniform(0.75, 1.3), 0, NORMALISATION.high) ** rng.uniform(0.85, 1.2)
    if rng.random() < 0.5:
        return mr[..., ::-1].copy(), ct[..., ::-1].copy(), tissues[..., ::-1].copy()
    return mr, ct, tissues


def _placed(
    values: NDArray[np.float32], fill: float, shift: tuple[int, int]
) -> NDArray[np.float32]:
    """Put ``values`` (..., rows, columns) in the middle of `PLANE`, moved by ``shift``."""
    placed = np.full((*values.shape[:-2], *PLANE), fill, np.float32)
    first = [(n - m) // 2 + s for n, m, s in zip(PLANE, values.shape[-2:], shift, strict=True)]
    ends = [a + m for a, m in zip(first, values.shape[-2:], strict=True)]
    here = [slice(max(a, 0), min(b, n)) for a, b, n in zip(first, ends, PLANE, strict=True)]
    there = [slice(h.start - a, h.stop - a) for h, a in zip(here, first, strict=True)]
    placed[..., here[0], here[1]] = values[..., there[0], there[1]]
    return placed


def _weights(ct: NDArray[np.float32], tissue: TissueMap, phase: Phase) -> NDArray[np.float32]:
    weight = np.where(tissue == Tissue.OUTSIDE, 0.1, 1.0).astype(np.float32)
    weight[(tissue == Tissue.CSF) | (tissue == Tissue.VESSEL)] = phase.water_weight
    weight[tissue == Tissue.EYE] = phase.eye_weight
    weight[np.isin(tissue, (Tissue.WHITE, Tissue.GREY, Tissue.DEEP_GREY))] = phase.brain_weight
    weight[tissue == Tissue.SKIN] = phase.skin_weight
    weight[ct > 200] = phase.bone_weight
    weight[tissue == Tissue.AIR] = phase.air_weight
    return weight


def pool_files(pool: Path, subjects: Sequence[str]) -> list[Path]:
    """The samples of these subjects."""
    return [path for s in subjects for path in sorted(pool.glob(f"pair_*_{s}.npy"))]


def _save(path: Path, array: NDArray[np.generic]) -> None:
    temporary = path.with_suffix(f".{time.monotonic_ns()}.part")
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.rename(path)


def fill(labels: Path, pool: Path, subjects: list[str], count: int, first_seed: int) -> None:
    """Write ``count`` samples, subjects in turn; those that exist already are kept."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    for index in range(count):
        subject = subjects[index % len(subjects)]
        path = pool / f"pair_{index:04d}_{subject}.npy"
        if not path.exists():
            tissues = cached_tissues(labels, pool, subject)
            write_sample(path, make_sample(tissues, first_seed + index))


def main() -> None:
    """Fill a pool from the command line."""
    parser = argparse.ArgumentParser(description=fill.__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--subjects", nargs="+", required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1000)
    given = parser.parse_args()
    fill(given.labels, given.pool, given.subjects, given.count, given.first_seed)


if __name__ == "__main__":
    main()
