"""Classic slices, broken or not, gathered into one Enhanced MR instance that tells the same."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from tests.phantoms.mr import enhanced_mr

_NOT_OF_THE_INSTANCE = (
    "SOPClassUID", "SOPInstanceUID", "ImageType", "InstanceNumber", "PixelData", "NumberOfFrames",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "RescaleType", "EchoTime",
    "SliceLocation", "ReconstructionDiameter", "FlipAngle", "RepetitionTime",
)  # fmt: skip


def gathered(slices: Sequence[FileDataset], clean: Sequence[FileDataset]) -> FileDataset:
    """One instance of ``slices`` as frames; what they say otherwise than ``clean`` is kept.

    What stands once in an Enhanced instance (patient, matrix, storage) is what any slice says
    otherwise than the others did. InStackPositionNumber is the place among the ``clean``.
    """
    numbers = {str(d.filename): n for n, d in enumerate(clean)}
    dataset = enhanced_mr((1, 8, 8), name=str(clean[0].SeriesInstanceUID)).datasets[0]
    _shared(dataset, clean[0])
    same_lie = _all_scaled_alike(slices, clean[0])
    groups = []
    for n, one in enumerate(slices):
        number = numbers[str(one.filename)]
        groups.append(_frame(one, clean[number] if same_lie else one, number, n))
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(slices)
    pixels = b"".join(bytes(one.get("PixelData") or b"") for one in slices)
    dataset["PixelData"] = DataElement("PixelData", "OW", pixels)
    _broken_once(dataset, slices, clean[0])
    return dataset


def _shared(dataset: FileDataset, clean: FileDataset) -> None:
    """What the slices share, as they were before they were broken."""
    for keyword in ("Rows", "Columns", "StudyInstanceUID", "SeriesInstanceUID",
                    "FrameOfReferenceUID"):  # fmt: skip
        setattr(dataset, keyword, clean[keyword].value)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE", "DIS3D"]
    shared.MRImageFrameTypeSequence[0].FrameType = list(dataset.ImageType)
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence",
                    "PixelValueTransformationSequence"):  # fmt: skip
        del shared[keyword]


def _broken_once(dataset: FileDataset, slices: Sequence[FileDataset], clean: FileDataset) -> None:
    """What a slice says otherwise of patient, matrix or storage becomes the instance's."""
    left_out = {Tag(keyword) for keyword in _NOT_OF_THE_INSTANCE}
    for one in slices:
        for tag in {*one.keys(), *clean.keys()} - left_out:
            old, new = clean._dict.get(tag), one._dict.get(tag)
            if old is not None and new is None:
                dataset._dict.pop(tag, None)
            elif new is not None and (old is None or old.value != new.value):
                dataset._dict[tag] = new
        if one.file_meta.TransferSyntaxUID != clean.file_meta.TransferSyntaxUID:
            dataset.file_meta.TransferSyntaxUID = one.file_meta.TransferSyntaxUID


def _all_scaled_alike(slices: Sequence[FileDataset], clean: FileDataset) -> bool:
    """Whether every slice tells the same wrong PixelSpacing: Enhanced MR has no other witness."""
    said = {str(one.get_item("PixelSpacing")) for one in slices}
    return len(said) == 1 and said != {str(clean.get_item("PixelSpacing"))}


def _frame(one: FileDataset, spaced: FileDataset, number: int, n: int) -> Dataset:
    frame, content = Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", number + 1
    content.DimensionIndexValues = [1, number + 1]
    content.FrameAcquisitionNumber = 1
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [_taken(one, "ImagePositionPatient")]
    frame.PlaneOrientationSequence = [_taken(one, "ImageOrientationPatient")]
    frame.PixelMeasuresSequence = [
        Dataset({**_taken(spaced, "PixelSpacing"), **_taken(one, "SliceThickness",
                                                            "SpacingBetweenSlices")})
    ]  # fmt: skip
    frame.PixelValueTransformationSequence = [_taken(one, "RescaleSlope", "RescaleIntercept")]
    return frame


def _taken(source: Dataset, *keywords: str) -> Dataset:
    """An item with these elements of ``source``, as they stand there."""
    item = Dataset()
    for keyword in keywords:
        tag = Tag(keyword)
        if tag in source:
            item._dict[tag] = source._dict[tag]
    return item


def _declared(dataset: FileDataset, rng: np.random.Generator) -> None:
    """NumberOfFrames is another one."""
    dataset.NumberOfFrames = max(0, int(dataset.NumberOfFrames) + int(rng.choice([-3, -1, 1, 5])))


def _group_lost(dataset: FileDataset, rng: np.random.Generator) -> None:
    """A frame's functional groups are gone; those after it move up."""
    del dataset.PerFrameFunctionalGroupsSequence[int(rng.integers(len(dataset[_PER_FRAME].value)))]


def _group_twice(dataset: FileDataset, rng: np.random.Generator) -> None:
    """A frame's functional groups come twice; those after them move down."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    at = int(rng.integers(len(groups)))
    groups.insert(at, deepcopy(groups[at]))


def _groups_exchanged(dataset: FileDataset, rng: np.random.Generator) -> None:
    """Two frames have each other's functional groups."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    if len(groups) > 9:
        at, by = int(rng.integers(4, len(groups) - 5)), int(rng.integers(1, 4))
        groups[at], groups[at + by] = deepcopy(groups[at + by]), deepcopy(groups[at])


def _macro_lost(dataset: FileDataset, rng: np.random.Generator) -> None:
    """One functional group is gone from one frame, or from all."""
    groups = dataset.PerFrameFunctionalGroupsSequence
    chosen = groups if rng.random() < 0.3 else [groups[int(rng.integers(len(groups)))]]
    keyword = str(rng.choice(["PlanePositionSequence", "PlaneOrientationSequence",
                              "PixelMeasuresSequence", "FrameContentSequence"]))  # fmt: skip
    for group in chosen:
        if keyword in group:
            del group[keyword]


_PER_FRAME = "PerFrameFunctionalGroupsSequence"
FRAME_FAULTS: Mapping[str, Callable[[FileDataset, np.random.Generator], None]] = {
    fault.__name__.strip("_"): fault
    for fault in (_declared, _group_lost, _group_twice, _groups_exchanged, _macro_lost)
}
"""What can be wrong with an Enhanced instance alone."""
