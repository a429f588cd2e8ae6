"""From SynthSeg label maps to tissue maps, and what each tissue weighs in HU.

A tissue map is a uint8 array (slices, rows, columns) on a 1 mm axial LPS lattice (slice grows to
superior, row to posterior, column to the patient's left).
"""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

TissueMap = NDArray[np.uint8]


class Tissue(IntEnum):
    """What a voxel is made of; the numbers are those of a tissue map."""

    OUTSIDE = 0
    AIR = 1
    WHITE = 2
    GREY = 3
    DEEP_GREY = 4
    CSF = 5
    SOFT = 6
    SKIN = 7
    CORTICAL = 8
    DIPLOE = 9
    MUCOSA = 10
    EYE = 11
    MUSCLE = 12
    VESSEL = 13
    FAT = 14
    NERVE = 15
    METAL = 16
    TOOTH = 17
    MARBLED_25 = 18
    MARBLED_50 = 19
    MARBLED_75 = 20


FAT_SHARE: dict[Tissue, float] = {
    Tissue.MUSCLE: 0.0,
    Tissue.MARBLED_25: 0.25,
    Tissue.MARBLED_50: 0.5,
    Tissue.MARBLED_75: 0.75,
    Tissue.FAT: 1.0,
}
"""How much fat is in a voxel of muscle and fat, in equal steps; both images mix by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuPrior:
    """What CT shows of one tissue."""

    mean: float
    """Population mean in HU."""
    subject_sd: float
    """Spread of the subjects' means in HU."""
    texture_sd: float
    """Spread of the smooth variation within one subject in HU."""


# Bulk values of the radiotherapy literature; cortical bone and diploe of the adult skull vary most.
HU: dict[Tissue, HuPrior] = {
    Tissue.OUTSIDE: HuPrior(mean=-1000, subject_sd=0, texture_sd=0),
    Tissue.AIR: HuPrior(mean=-1000, subject_sd=0, texture_sd=0),
    Tissue.WHITE: HuPrior(mean=28, subject_sd=2, texture_sd=2),
    Tissue.GREY: HuPrior(mean=37, subject_sd=2, texture_sd=2),
    Tissue.DEEP_GREY: HuPrior(mean=36, subject_sd=2, texture_sd=2),
    Tissue.CSF: HuPrior(mean=8, subject_sd=2, texture_sd=2),
    Tissue.SOFT: HuPrior(mean=50, subject_sd=5, texture_sd=8),
    Tissue.SKIN: HuPrior(mean=20, subject_sd=15, texture_sd=12),
    Tissue.CORTICAL: HuPrior(mean=1250, subject_sd=80, texture_sd=110),
    Tissue.DIPLOE: HuPrior(mean=400, subject_sd=60, texture_sd=80),
    Tissue.MUCOSA: HuPrior(mean=35, subject_sd=8, texture_sd=10),
    Tissue.EYE: HuPrior(mean=13, subject_sd=3, texture_sd=3),
    Tissue.MUSCLE: HuPrior(mean=58, subject_sd=5, texture_sd=6),
    Tissue.VESSEL: HuPrior(mean=48, subject_sd=5, texture_sd=4),
    Tissue.FAT: HuPrior(mean=-100, subject_sd=8, texture_sd=10),
    Tissue.NERVE: HuPrior(mean=30, subject_sd=3, texture_sd=3),
    Tissue.METAL: HuPrior(mean=3000, subject_sd=0, texture_sd=0),
    Tissue.TOOTH: HuPrior(mean=1900, subject_sd=150, texture_sd=150),
    Tissue.MARBLED_25: HuPrior(mean=19, subject_sd=0, texture_sd=8),
    Tissue.MARBLED_50: HuPrior(mean=-21, subject_sd=0, texture_sd=9),
    Tissue.MARBLED_75: HuPrior(mean=-60, subject_sd=0, texture_sd=10),
}

_GROUPS: dict[Tissue, tuple[int, ...]] = {
    Tissue.WHITE: (2, 7, 16, 28, 41, 46, 60, 77, 192, 251, 252, 253, 254, 255),
    Tissue.GREY: (3, 8, 42, 47, 17, 18, 53, 54, 25, 57, 136, 137, 163, 164),
    Tissue.DEEP_GREY: (10, 11, 12, 13, 26, 49, 50, 51, 52, 58),
    Tissue.CSF: (4, 5, 14, 15, 24, 43, 44, 72),
    Tissue.SOFT: (507,),
    Tissue.SKIN: (511,),
    Tissue.CORTICAL: (515,),
    Tissue.DIPLOE: (516,),
    Tissue.MUCOSA: (509,),
    Tissue.EYE: (506,),
    Tissue.MUSCLE: (508,),
    Tissue.VESSEL: (30, 62, 502, 514),
    Tissue.NERVE: (85, 512, 530),
}

# Enclosed specks smaller than this are holes of the label map, not cavities a CT would resolve.
_SPECK_VOXELS = 12


def read_tissues(path: Path) -> TissueMap:
    """Read one label map, clean it and crop it to the head.

    The bottom is cropped to the last slice that holds labels, because the maps end there and
    their 0 is "not known", not air.
    """
    image = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(image.dataobj).astype(np.int16)
    return tissues_from_labels(np.ascontiguousarray(labels[::-1, ::-1, :].transpose(2, 1, 0)))


def tissues_from_labels(labels: NDArray[np.int16]) -> TissueMap:
    """Translate SynthSeg labels on an axial LPS lattice to a cropped tissue map."""
    tissues = np.full(labels.shape, Tissue.SOFT, np.uint8)
    tissues[labels == 0] = Tissue.OUTSIDE
    for tissue, members in _GROUPS.items():
        tissues[np.isin(labels, members)] = tissue
    head = _largest(tissues != Tissue.OUTSIDE)
    tissues[~head] = Tissue.OUTSIDE
    tissues = _crop(tissues, margin=10)
    return _split_air(tissues)


def _split_air(tissues: TissueMap) -> TissueMap:
    """Tell cavities from the room outside, and fill the specks that are neither."""
    empty = tissues == Tissue.OUTSIDE
    number, count = ndimage.label(empty)
    sizes = np.bincount(number.ravel(), minlength=count + 1)
    specks = empty & (sizes[number] < _SPECK_VOXELS)
    near = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    tissues = np.where(specks, tissues[tuple(near)], tissues).astype(np.uint8)
    inside = _envelope(tissues != Tissue.OUTSIDE)
    tissues[(tissues == Tissue.OUTSIDE) & inside] = Tissue.AIR
    return tissues


def _envelope(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies inside the head: cavities are open to the room at the nose and the cut."""
    padded = np.pad(tissue, ((8, 8), (8, 8), (8, 8)), mode="edge")
    padded[-8:] = False
    far = ndimage.distance_transform_edt(~padded) > 7.0
    closed = ndimage.distance_transform_edt(~far) > 7.0
    closed = closed[8:-8, 8:-8, 8:-8] | tissue
    for index in range(closed.shape[0]):
        closed[index] = ndimage.binary_fill_holes(closed[index])
    return np.asarray(ndimage.binary_fill_holes(closed), bool)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    number, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(number.ravel())
    sizes[0] = 0
    return np.asarray(number == sizes.argmax(), bool)


def _crop(tissues: TissueMap, *, margin: int) -> TissueMap:
    where = np.argwhere(tissues != Tissue.OUTSIDE)
    low, high = where.min(axis=0), where.max(axis=0) + 1
    cropped = tissues[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return np.pad(cropped, ((0, margin), (margin, margin), (margin, margin)))
