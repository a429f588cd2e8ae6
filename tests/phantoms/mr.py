"""Classic and Enhanced MR series whose intensity is a known function of LPS position."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from node.domain.geometry import Grid, affine_from_dicom, lps_from_index
from tests.phantoms import signals
from tests.phantoms.headers import (
    ENHANCED_MR_IMAGE_STORAGE,
    MR_IMAGE_STORAGE,
    classic_header,
    common_header,
    enhanced_header,
    frame_groups,
    shared_groups,
)

Cosines = tuple[float, float, float, float, float, float]
Rescale = Callable[[int], tuple[float, float]]
"""Slope and intercept of each slice, as Philips writes them."""


def _turned(cosines: Sequence[float], degrees: Sequence[float]) -> Cosines:
    """Cosines after turns about x, y and z, in this order."""
    a, b, c = np.deg2rad(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned = about_z @ about_y @ about_x @ np.asarray(cosines, float).reshape(2, 3).T
    x1, x2, x3, y1, y2, y3 = (float(v) for v in turned.T.ravel())
    return x1, x2, x3, y1, y2, y3


ORIENTATIONS: dict[str, Cosines] = {
    "axial": (1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": _turned((1, 0, 0, 0, 1, 0), (12, 0, 0)),
    "double_oblique": _turned((1, 0, 0, 0, 1, 0), (11, -7, 5)),
    "sagittal_oblique": _turned((0, 1, 0, 0, 0, -1), (4, -3, 6)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MrSeries:
    """A built series and the truth about it."""

    datasets: tuple[FileDataset, ...]
    """One data set an instance, in slice order (one alone when Enhanced)."""
    grid: Grid
    """Where the slices are: index (slice in order of ``datasets`` or frames, row, column)."""
    signal: signals.Signal
    """What the intensity was before rounding."""
    values: NDArray[np.float64]
    """Intensity at the voxels of ``grid`` after rounding to the stored step."""

    def write(self, folder: Path) -> list[Path]:
        """Write one Part 10 file an instance into ``folder``; return the paths in slice order."""
        return write(self.datasets, folder)

    def files(self) -> list[bytes]:
        """Part 10 bytes of each instance, in slice order."""
        return [part10(dataset) for dataset in self.datasets]


def mr_series(
    shape: tuple[int, int, int] = (30, 40, 32),
    spacing_mm: tuple[float, float, float] = (3.0, 2.5, 3.5),
    orientation: str | Cosines = "axial",
    *,
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    signal: signals.Signal = signals.smooth,
    landmark_mm: tuple[float, float, float] | None = None,
    landmark_sigma_mm: float = 2.0,
    reverse: bool = False,
    rescale: Rescale | None = None,
    name: str = "phantom",
    tags: Mapping[str, Any] | None = None,
) -> MrSeries:
    """Build a classic MR series.

    Parameters
    ----------
    shape, spacing_mm
        (slices, rows, columns) and the distances along them.
    orientation
        A key of `ORIENTATIONS` or six cosines.
    centre_mm
        LPS mm of the middle of the stack.
    signal, landmark_mm, landmark_sigma_mm
        Intensity by position, and where to add a bright Gaussian blob.
    reverse
        Slices grow against the normal of the images instead of along it.
    rescale
        Slope and intercept by slice number; none by default, as in most classic MR.
    name
        Decides every UID: equal names give equal series.
    tags
        Attributes by keyword to set in every instance; None removes one.
    """
    grid = _grid(shape, spacing_mm, _cosines(orientation), centre_mm, reverse=reverse)
    if landmark_mm is not None:
        signal = signals.with_landmark(signal, landmark_mm, sigma_mm=landmark_sigma_mm)
    stored, values = _sample(grid, signal, rescale)
    datasets = []
    for number in range(shape[0]):
        dataset = _file(MR_IMAGE_STORAGE, uid(name, "instance", number))
        common_header(dataset, lambda *parts: uid(name, *parts))
        classic_header(dataset, number, spacing_mm)
        dataset.ImagePositionPatient = _ds(grid.affine[:3, :] @ [number, 0, 0, 1])
        dataset.ImageOrientationPatient = _ds(_cosines(orientation))
        if rescale is not None:
            slope, intercept = rescale(number)
            dataset.RescaleSlope, dataset.RescaleIntercept = _ds([slope, intercept])
            dataset.RescaleType = "US"
        _pixels(dataset, stored[number])
        override(dataset, tags or {})
        datasets.append(dataset)
    return MrSeries(datasets=tuple(datasets), grid=grid, signal=signal, values=values)


def enhanced_mr(
    shape: tuple[int, int, int] = (30, 40, 32),
    spacing_mm: tuple[float, float, float] = (3.0, 2.5, 3.5),
    orientation: str | Cosines = "axial",
    *,
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    signal: signals.Signal = signals.smooth,
    landmark_mm: tuple[float, float, float] | None = None,
    landmark_sigma_mm: float = 2.0,
    reverse: bool = False,
    name: str = "enhanced",
    tags: Mapping[str, Any] | None = None,
) -> MrSeries:
    """Build the same series as one Enhanced MR instance; parameters as for `mr_series`."""
    cosines = _cosines(orientation)
    grid = _grid(shape, spacing_mm, cosines, centre_mm, reverse=reverse)
    if landmark_mm is not None:
        signal = signals.with_landmark(signal, landmark_mm, sigma_mm=landmark_sigma_mm)
    stored, values = _sample(grid, signal, None)
    dataset = _file(ENHANCED_MR_IMAGE_STORAGE, uid(name, "instance", 0))
    common_header(dataset, lambda *parts: uid(name, *parts))
    enhanced_header(dataset, shape[0], lambda *parts: uid(name, *parts))
    dataset.SharedFunctionalGroupsSequence = [shared_groups(_ds(cosines), spacing_mm)]
    dataset.PerFrameFunctionalGroupsSequence = [
        frame_groups(number, _ds(grid.affine[:3, :] @ [number, 0, 0, 1]))
        for number in range(shape[0])
    ]
    _pixels(dataset, stored)
    override(dataset, tags or {})
    return MrSeries(datasets=(dataset,), grid=grid, signal=signal, values=values)


def uid(*parts: object) -> str:
    """UID that its parts alone decide."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def override(dataset: Dataset, tags: Mapping[str, Any]) -> None:
    """Set attributes by keyword; None removes one."""
    for keyword, value in tags.items():
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)


def write(datasets: Sequence[FileDataset], folder: Path) -> list[Path]:
    """Write one Part 10 file an instance into ``folder``; return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.dcm" for number in range(1, len(datasets) + 1)]
    for path, dataset in zip(paths, datasets, strict=True):
        path.write_bytes(part10(dataset))
    return paths


def part10(dataset: FileDataset) -> bytes:
    """Part 10 bytes of a data set, with its own meta header."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _cosines(orientation: str | Cosines) -> Cosines:
    return ORIENTATIONS[orientation] if isinstance(orientation, str) else orientation


def _grid(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    cosines: Cosines,
    centre_mm: tuple[float, float, float],
    *,
    reverse: bool,
) -> Grid:
    # What a reader of the file sees: cosines and position as they are written in 16 characters.
    written = [float(text) for text in _ds(cosines)]
    normal = np.cross(written[:3], written[3:])
    step = normal * (-spacing_mm[0] if reverse else spacing_mm[0])
    affine = affine_from_dicom(
        position_mm=(0, 0, 0),
        orientation=written,
        pixel_spacing_mm=spacing_mm[1:],
        slice_step_mm=step,
    )
    middle = (np.asarray(shape) - 1) / 2
    affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ middle
    return Grid(shape=shape, affine=affine)


def _sample(
    grid: Grid, signal: signals.Signal, rescale: Rescale | None
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    exact = signal(lps_from_index(grid.affine, index))
    stored = np.empty(grid.shape, np.uint16)
    values = np.empty(grid.shape, np.float64)
    for number in range(grid.shape[0]):
        slope, intercept = rescale(number) if rescale is not None else (1.0, 0.0)
        steps = np.round((exact[number] - intercept) / slope)
        if steps.min() < 0 or steps.max() > 4095:
            raise ValueError("the signal leaves the range of 12 stored bits")
        stored[number] = steps
        values[number] = steps * slope + intercept
    return stored, values


def _file(sop_class_uid: str, sop_instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = sop_instance_uid
    return dataset


def _pixels(dataset: Dataset, stored: NDArray[np.uint16]) -> None:
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset["PixelData"] = DataElement("PixelData", "OW", stored.astype("<u2").tobytes())


def _ds(values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    return [format_number_as_ds(float(value)) for value in values]
