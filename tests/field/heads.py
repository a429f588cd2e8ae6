"""Small series that pass every check of the field's model, and what a door can do to them.

A series is 18 slices of 16 x 16 voxels of 8 mm: 13 of them, 104 mm, are still accepted, so that a
short stack is not refused for its shortness alone.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from tests.phantoms.mr import mr_series, uid
from tests.phantoms.tiny_onnx import write_affine_model

SLICES, SIDE, VOXEL_MM = 18, 16, 8.0
LEAST_SLICES = 13
"""Shortest stack the checks let pass: 100 mm of the patient."""
_ANYTHING = [0.0, 1e9]
_SHARE = [0.0, 1.0]
_QUALITY = {
    "body_ml": _ANYTHING,
    "solidity": 0.0,
    "brain_share": _SHARE,
    "bone_share": _SHARE,
    "air_share": _SHARE,
    "uncertain_hu": 1000.0,
    "uncertain_share": 1.0,
}
WARNED = {"LossyImageCompression": "01"}
"""A header that leads to one warning: `auto` delivers it, `checks-passed` does not."""


def write_model(folder: Path, **overrides: Any) -> Path:
    """HU = 0.2 x signal - 200, with limits that any series keeps: no finding of its own."""
    told: dict[str, Any] = {"region": "trunk", "slice_limit_mm": 10.0, "quality": _QUALITY}
    return write_affine_model(
        folder,
        slope=0.2,
        intercept=-200.0,
        spacing_mm=VOXEL_MM,
        body_mask=True,
        **{**told, **overrides},
    )


def trunk(lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """A bright cylinder that leaves the field of view at both ends, no slice like another."""
    inside = np.linalg.norm(lps[..., :2] / 50.0, axis=-1) < 1
    bright = 700 + 2 * lps[..., 0] + 3 * lps[..., 1] + 2 * lps[..., 2]
    return np.asarray(np.where(inside, bright, 0.0))


@cache
def _template() -> tuple[FileDataset, ...]:
    voxel = (VOXEL_MM, VOXEL_MM, VOXEL_MM)
    return mr_series((SLICES, SIDE, SIDE), voxel, signal=trunk, name="field").datasets


def head(name: str, **tags: Any) -> list[FileDataset]:
    """A clean series; ``name`` decides its UIDs and its patient, ``tags`` stand in every slice."""
    return [_one(name, number, tags) for number in range(SLICES)]


def _one(name: str, number: int, tags: Mapping[str, Any]) -> FileDataset:
    own = {
        "SOPInstanceUID": uid(name, "instance", number),
        "StudyInstanceUID": uid(name, "study"),
        "SeriesInstanceUID": uid(name, "series"),
        "FrameOfReferenceUID": uid(name, "frame of reference"),
        "PatientID": patient(name),
        "PatientName": f"Field^{patient(name)}",
    }
    return changed(_template()[number], **{**own, **tags})


def patient(name: str) -> str:
    """Patient ID of the series ``name``."""
    return f"F{int(uid(name)[5:14])}"


def changed(dataset: FileDataset, **tags: Any) -> FileDataset:
    """A copy with other values by keyword; None leaves one out. ``dataset`` stays as it is."""
    other = copy(dataset)
    other._dict = dict(dataset._dict)
    other.file_meta = copy(dataset.file_meta)
    for keyword, value in tags.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        other._dict.pop(tag, None)  # type: ignore[call-overload]
        if value is not None:
            other.add(DataElement(tag, dictionary_VR(tag), value))
    return other


def all_changed(datasets: Sequence[FileDataset], **tags: Any) -> list[FileDataset]:
    """Each with the same other values."""
    return [changed(dataset, **tags) for dataset in datasets]


def moved(datasets: Sequence[FileDataset], by_mm: float) -> list[FileDataset]:
    """The same slices elsewhere in the patient's space."""
    return [
        changed(d, ImagePositionPatient=[str(float(p) + by_mm) for p in d.ImagePositionPatient])
        for d in datasets
    ]


def repainted(dataset: FileDataset) -> FileDataset:
    """The same slice with other pixels."""
    pixels = np.frombuffer(dataset.PixelData, "<u2").copy()
    pixels[len(pixels) // 2 :] += 40
    return changed(dataset, PixelData=pixels.tobytes())


def encoded(dataset: FileDataset, *, implicit: bool = False) -> bytes:
    """The data set's bytes, little endian, without File Meta Information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def write_part10(folder: Path, datasets: Sequence[FileDataset]) -> list[Path]:
    """Write one file an instance; the paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate(datasets, start=1):
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        paths.append(folder / f"{number:04d}.dcm")
        paths[-1].write_bytes(buffer.getvalue())
    return paths
