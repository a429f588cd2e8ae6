"""Series broken at random: one or two faults of any kind and size, decided by a seed.

Each fault breaks the headers, the pixels or the files of a good series. Faults that no receiver can
see (the same lie told consistently by every witness) are not among them; `docs/triage.md` names
them.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeAlias

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import UID

from tests.phantoms.mr import uid

Random: TypeAlias = np.random.Generator
Datasets: TypeAlias = list[FileDataset]
RandomFault: TypeAlias = Callable[[Datasets, Random], Datasets]

# Slices this far from an end have neighbours on both sides that show tissue.
_INNER = 4


def magnitude(rng: Random, low: float, high: float) -> float:
    """A size between ``low`` and ``high``, all orders of magnitude alike, of either sign."""
    size = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return size if rng.random() < 0.5 else -size


def inner(datasets: Datasets, rng: Random) -> int:
    """Number of a slice away from the ends."""
    if len(datasets) < 2 * _INNER + 1:
        return int(rng.integers(len(datasets)))
    return int(rng.integers(_INNER, len(datasets) - _INNER))


def set_text(dataset: Dataset, keyword: str, text: str) -> None:
    """Write ``text`` as it is, valid or not."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    value = text.encode() + b" " * (len(text) % 2)
    raw = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    if tag in dataset:
        del dataset[tag]
    dataset._dict[tag] = raw


def _position(dataset: Dataset) -> np.ndarray:
    return np.array([float(v) for v in dataset.ImagePositionPatient])


def _put(dataset: Dataset, position: np.ndarray) -> None:
    dataset.ImagePositionPatient = [round(float(v), 6) for v in position]


def _axes(dataset: Dataset) -> np.ndarray:
    rows = np.array([float(v) for v in dataset.ImageOrientationPatient]).reshape(2, 3)
    return np.vstack([rows, np.cross(*rows)])


def drop(datasets: Datasets, rng: Random) -> Datasets:
    """One to three slices inside the stack are missing."""
    count = int(rng.integers(1, 4))
    at = inner(datasets, rng)
    return datasets[:at] + datasets[at + count :]


def repeat_position(datasets: Datasets, rng: Random) -> Datasets:
    """A slice comes a second time under a new UID, perhaps with other pixels."""
    twin = deepcopy(datasets[inner(datasets, rng)])
    twin.SOPInstanceUID = uid(twin.SOPInstanceUID, "again", int(rng.integers(1 << 30)))
    twin.file_meta.MediaStorageSOPInstanceUID = twin.SOPInstanceUID
    if rng.random() < 0.5:
        _scale_pixels(twin, 0.9)
    return [*datasets, twin]


def shift_along(datasets: Datasets, rng: Random) -> Datasets:
    """One slice is said to lie further up or down."""
    chosen = datasets[inner(datasets, rng)]
    _put(chosen, _position(chosen) + _axes(chosen)[2] * magnitude(rng, 0.01, 30))
    return datasets


def shift_sideways(datasets: Datasets, rng: Random) -> Datasets:
    """One slice, or an end of the stack, is said to lie beside the others."""
    at = inner(datasets, rng)
    by = _axes(datasets[at])[int(rng.integers(2))] * magnitude(rng, 0.01, 30)
    chosen = [datasets[at]] if rng.random() < 0.6 else datasets[at:]
    for dataset in chosen:
        _put(dataset, _position(dataset) + by)
    return datasets


def swap_positions(datasets: Datasets, rng: Random) -> Datasets:
    """Two slices have each other's position."""
    at = inner(datasets, rng)
    other = at + int(rng.choice([1, 2, 3, -1, -2, -3]))
    if not 0 <= other < len(datasets):
        return datasets
    a, b = datasets[at], datasets[other]
    a.ImagePositionPatient, b.ImagePositionPatient = (
        list(b.ImagePositionPatient),
        list(a.ImagePositionPatient),
    )
    return datasets


def stretch_part(datasets: Datasets, rng: Random) -> Datasets:
    """From some slice on, distances are said to be larger or smaller."""
    at = inner(datasets, rng)
    by = magnitude(rng, 0.002, 0.5)
    start = _position(datasets[at])
    for dataset in datasets[at + 1 :]:
        _put(dataset, start + (_position(dataset) - start) * (1 + by))
    return datasets


def stretch_all(datasets: Datasets, rng: Random) -> Datasets:
    """All distances between slices are said to be larger or smaller; thickness is not."""
    by, start = magnitude(rng, 0.001, 0.5), _position(datasets[0])
    for dataset in datasets:
        _put(dataset, start + (_position(dataset) - start) * (1 + by))
    return datasets


def jitter(datasets: Datasets, rng: Random) -> Datasets:
    """Every slice is said to lie a little off, up or down or sideways."""
    size, axis = abs(magnitude(rng, 0.001, 1.0)), int(rng.integers(3))
    for dataset in datasets:
        _put(dataset, _position(dataset) + _axes(dataset)[axis] * rng.uniform(-size, size))
    return datasets


def skew(datasets: Datasets, rng: Random) -> Datasets:
    """Each slice is said to lie a little further to the side than the last."""
    by, axis = magnitude(rng, 1e-4, 0.5), int(rng.integers(2))
    for number, dataset in enumerate(datasets):
        _put(dataset, _position(dataset) + _axes(dataset)[axis] * by * number)
    return datasets


def _turned(vectors: np.ndarray, about: np.ndarray, angle: float) -> np.ndarray:
    """Rotate vectors about a unit vector (Rodrigues)."""
    along = np.outer(vectors @ about, about) * (1 - np.cos(angle))
    turned: np.ndarray = vectors * np.cos(angle) + np.cross(about, vectors) * np.sin(angle) + along
    return turned


def turn(datasets: Datasets, rng: Random) -> Datasets:
    """One slice is said to be turned about one of its axes."""
    chosen = datasets[inner(datasets, rng)]
    axes, angle = _axes(chosen), np.deg2rad(magnitude(rng, 0.005, 40))
    about = axes[int(rng.integers(3))]
    turned = _turned(axes[:2], about, angle)
    chosen.ImageOrientationPatient = [round(float(v), 9) for row in turned for v in row]
    return datasets


def bend(datasets: Datasets, rng: Random) -> Datasets:
    """Orientation of all slices is not two perpendicular unit vectors."""
    at, by = int(rng.integers(6)), magnitude(rng, 1e-6, 0.5)
    for dataset in datasets:
        values = [float(v) for v in dataset.ImageOrientationPatient]
        values[at] += by
        dataset.ImageOrientationPatient = [round(v, 9) for v in values]
    return datasets


def tilt_all(datasets: Datasets, rng: Random) -> Datasets:
    """All slices are said to be tilted; their positions run as before."""
    axes, angle = _axes(datasets[0]), np.deg2rad(magnitude(rng, 0.2, 40))
    about = axes[int(rng.integers(2))]
    turned = _turned(axes[:2], about, angle)
    for dataset in datasets:
        dataset.ImageOrientationPatient = [round(float(v), 9) for row in turned for v in row]
    return datasets


def other_spacing(datasets: Datasets, rng: Random) -> Datasets:
    """PixelSpacing of one slice, or of all (ReconstructionDiameter knows better)."""
    factor = 1 + magnitude(rng, 1e-4, 0.6)
    chosen = datasets if rng.random() < 0.5 else [datasets[inner(datasets, rng)]]
    for dataset in chosen:
        dataset.PixelSpacing = [round(float(v) * factor, 6) for v in dataset.PixelSpacing]
    return datasets


_NONSENSE = (
    "",
    "abc",
    "1\\2",
    "NaN\\NaN\\NaN",
    "1e400\\0\\0",
    "0\\0\\0",
    "-1\\-1",
    "99999999999999999",
)
_GEOMETRY = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
    "RescaleIntercept",
)  # fmt: skip


def nonsense(datasets: Datasets, rng: Random) -> Datasets:
    """An attribute of geometry or scale of one or all slices is nonsense, or gone."""
    keyword = str(rng.choice(_GEOMETRY))
    text = str(rng.choice(_NONSENSE))
    chosen = datasets if rng.random() < 0.3 else [datasets[inner(datasets, rng)]]
    for dataset in chosen:
        if rng.random() < 0.3 and keyword in dataset:
            delattr(dataset, keyword)
        else:
            set_text(dataset, keyword, text)
    return datasets


_OTHER: tuple[tuple[str, Any], ...] = (
    ("FrameOfReferenceUID", "2.25.99"), ("FrameOfReferenceUID", None), ("PatientID", "OTHER"),
    ("PatientID", ""), ("PatientName", "Other^Person"), ("StudyInstanceUID", "2.25.98"),
    ("PatientPosition", "HFP"), ("PatientPosition", None), ("PatientPosition", "UPSIDE"),
    ("Modality", "CT"), ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), ("EchoTime", "44"),
    ("EchoTime", None), ("InstanceNumber", 7), ("InstanceNumber", None),
    ("AcquisitionNumber", 9), ("ComplexImageComponent", "PHASE"), ("SliceThickness", "9"),
    ("SpacingBetweenSlices", "9"), ("ImageType", ["ORIGINAL", "PRIMARY", "P"]),
    ("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), ("ImageType", ["DERIVED", "SECONDARY"]),
    ("ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), ("ImageType", None),
    ("BitsAllocated", 8), ("BitsStored", 16), ("HighBit", 15), ("PixelRepresentation", 1),
    ("SamplesPerPixel", 3), ("PhotometricInterpretation", "MONOCHROME1"), ("Rows", 17),
    ("Columns", 17), ("Rows", 0), ("NumberOfFrames", 2), ("SpecificCharacterSet", "ISO_IR 999"),
    ("SpecificCharacterSet", "ISO 2022 IR 87"), ("LossyImageCompression", "01"),
    ("Manufacturer", "Other"), ("FlipAngle", "70"), ("PatientBirthDate", "20200101"),
    ("MedicalAlerts", "pacemaker"), ("BurnedInAnnotation", "YES"),
    ("PatientOrientation", ["F", "A"]),
    ("RescaleSlope", "2.5"), ("RescaleSlope", "1.01"), ("SliceLocation", "44"),
    ("SeriesInstanceUID", "2.25.97"), ("SOPInstanceUID", "../../etc/passwd"),
    ("SOPInstanceUID", ""),
)  # fmt: skip


def other_value(datasets: Datasets, rng: Random) -> Datasets:
    """One attribute of one or of all slices is another one's."""
    keyword, value = _OTHER[int(rng.integers(len(_OTHER)))]
    chosen = datasets if rng.random() < 0.3 else [datasets[inner(datasets, rng)]]
    for dataset in chosen:
        if value is None:
            if keyword in dataset:
                delattr(dataset, keyword)
        elif isinstance(value, str):
            set_text(dataset, keyword, value)
        else:
            setattr(dataset, keyword, value)
    return datasets


def scale_slices(datasets: Datasets, rng: Random) -> Datasets:
    """Pixels of one slice, or of a block, on another scale: at least a third up or down."""
    at, factor = inner(datasets, rng), float(rng.uniform(1.34, 2.2))
    count = int(rng.choice([1, 1, 2, 5]))
    for dataset in datasets[at : max(at + 1, min(at + count, len(datasets) - _INNER))]:
        _scale_pixels(dataset, 1 / factor if rng.random() < 0.5 else factor)
    return datasets


def swap_pixels(datasets: Datasets, rng: Random) -> Datasets:
    """Two slices have each other's pixels."""
    at = inner(datasets, rng)
    other = int(np.clip(at + rng.choice([-3, -2, 2, 3]), _INNER, len(datasets) - _INNER))
    a, b = datasets[at], datasets[other]
    a.PixelData, b.PixelData = b.PixelData, a.PixelData
    return datasets


def copy_pixels(datasets: Datasets, rng: Random) -> Datasets:
    """A slice has the pixels of another one."""
    at, other = inner(datasets, rng), inner(datasets, rng)
    datasets[at].PixelData = datasets[other - (other == at)].PixelData
    return datasets


def damage_pixels(datasets: Datasets, rng: Random) -> Datasets:
    """Pixels of a slice are cut off, gone, zero or of the other byte order."""
    chosen = datasets[inner(datasets, rng)]
    how, data = int(rng.integers(4)), bytes(chosen.PixelData)
    if how == 0:
        chosen.PixelData = data[: 2 * int(rng.integers(len(data) // 2))]
    elif how == 1:
        del chosen.PixelData
    elif how == 2:
        chosen.PixelData = bytes(len(data))
    else:
        chosen.PixelData = np.frombuffer(data, "<u2").byteswap().tobytes()
    return datasets


def wrong_syntax(datasets: Datasets, rng: Random) -> Datasets:
    """A file says it is compressed and is not."""
    chosen = datasets if rng.random() < 0.3 else [datasets[inner(datasets, rng)]]
    syntax = rng.choice(["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5",
                         "1.2.840.10008.1.2.4.80", "1.2.3.4"])  # fmt: skip
    for dataset in chosen:
        dataset.file_meta.TransferSyntaxUID = UID(str(syntax))
    return datasets


def scale_in_header(datasets: Datasets, rng: Random) -> Datasets:
    """RescaleSlope of one slice is another one's, by little or by much."""
    for dataset in datasets:
        dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"
    datasets[inner(datasets, rng)].RescaleSlope = f"{2 * (1 + magnitude(rng, 0.01, 0.9)):.6g}"
    return datasets


def _scale_pixels(dataset: Dataset, factor: float) -> None:
    stored = np.frombuffer(bytes(dataset.PixelData), "<u2")
    dataset.PixelData = np.clip(np.round(stored * factor), 0, 4095).astype("<u2").tobytes()


RANDOM_FAULTS: dict[str, RandomFault] = {
    f.__name__: f
    for f in (
        drop, repeat_position, shift_along, shift_sideways, swap_positions, stretch_part,
        stretch_all, jitter, skew, turn, bend, tilt_all, other_spacing, nonsense, other_value,
        other_value, scale_slices, swap_pixels, copy_pixels, damage_pixels, wrong_syntax,
        scale_in_header,
    )
}  # fmt: skip
