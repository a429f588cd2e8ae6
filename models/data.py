"""A pool of ready pairs on disk, filled by one process while another trains from it."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from models.pairs import apply, draw, repaint
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
    Tissue.SKIN: 3,
}
# Air, bone, water, fat and skin, everything else: what a network confuses in an MR.
CLASSES = np.array([_CLASS_OF.get(t, 4) for t in Tissue], np.int64)

NORMALISATION = Normalisation(kind="body-percentile", percentile=80.0, low=0.0, high=4.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One pair ready for crops; all (slices, rows, columns), 1 mm."""

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
    pair = apply(draw(seed), tissues)
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
    """One cube to learn from; each (1, size, size, size) but for the classes."""

    mr: Tensor
    """Normalised signal."""
    truth: Tensor
    """HU / 1000."""
    weight: Tensor
    """How much a voxel counts."""
    classes: Tensor
    """(size, size, size) numbers of `CLASSES`."""


def crop(sample: Sample, size: int, rng: np.random.Generator, *, repainted: float = 0.0) -> Batch:
    """Cut a random cube; a share ``repainted`` of them gets an MR of another contrast."""
    shape = np.array(sample.mr.shape)
    centre = np.array([rng.uniform(0.1, 0.9) * n for n in shape])
    low = np.rint(centre - size / 2).astype(int)
    low = np.clip(low, np.minimum(-8, shape - size), np.maximum(shape - size + 8, 0))
    source = tuple(slice(max(a, 0), min(a + size, n)) for a, n in zip(low, shape, strict=True))
    room = [(max(-a, 0), max(a + size - n, 0)) for a, n in zip(low, shape, strict=True)]
    ct = np.pad(np.asarray(sample.ct[source], np.float32), room, constant_values=-1000)
    tissue = np.pad(np.asarray(sample.tissues[source]), room).astype(np.uint8)
    if rng.random() < repainted:
        mr = repaint(draw(int(rng.integers(2**31))), tissue, sample.counts)
    else:
        mr = np.pad(np.asarray(sample.mr[source], np.float32), room)
    mr = _jitter(mr, tissue, rng)
    arrays = [mr, ct / 1000.0, _weights(ct, tissue), CLASSES[tissue]]
    if rng.random() < 0.5:
        arrays = [x[..., ::-1] for x in arrays]
    a, b, c, d = (torch.from_numpy(np.ascontiguousarray(x)) for x in arrays)
    return Batch(a.float()[None], b.float()[None], c.float()[None], d)


def _weights(ct: NDArray[np.float32], tissue: TissueMap) -> NDArray[np.float32]:
    weight = np.where(tissue == Tissue.OUTSIDE, 0.1, 1.0).astype(np.float32)
    weight[ct > 200] = 2.0
    weight[tissue == Tissue.AIR] = 1.5
    return weight


def _jitter(
    mr: NDArray[np.float32], tissue: TissueMap, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Another brightness, gamma and, at times, a slightly other contrast between tissues."""
    scaled = mr * rng.uniform(0.75, 1.3)
    if rng.random() < 0.3:
        gain = np.exp(rng.normal(0, 0.12, len(Tissue))).astype(np.float32)
        scaled = scaled * ndimage.uniform_filter(gain[tissue], 3)
    return np.asarray(np.clip(scaled, 0, 4.0) ** rng.uniform(0.85, 1.2), np.float32)


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
