"""Fuzzed series through the line, judged by arithmetic: nothing wrong may pass in silence.

A series is broken with one or two random faults, written to Part 10 bytes and read as the node
reads it. Where a stack is accepted without a finding of weight, each of its slices must lie where
its anatomy is within 0.5 mm, and all slices must have one scale.
"""

import traceback
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import read_volume
from node.domain.checks.rules import Rules
from node.domain.errors import Rejected
from node.domain.findings import Severity
from node.domain.geometry import Grid, lps_from_index
from node.domain.instance import Frame
from node.domain.volume import Volume
from node.pipeline import Examined, Verdict, collect, examine
from tests.phantoms.gathered import FRAME_FAULTS, gathered
from tests.phantoms.mr import ORIENTATIONS, MrSeries, mr_series
from tests.phantoms.random_faults import RANDOM_FAULTS, Datasets

MOST_OFF_MM = 0.5
# Half a millimetre to the side changes the level of a slice by a few percent, too.
MOST_SCALE = 1.03
_WEIGHTY = {Severity.WARNING, Severity.HOLD, Severity.REFUSE}
# An even stack is taken as it is, interpolation bends the waves by a few of 4096 steps.
_STEPS = 25.0


Truth: TypeAlias = dict[tuple[str, int], int]
"""SOP Instance UID (empty: the Enhanced instance) and index of the frame to number of the slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one fuzzed series."""

    seed: int
    faults: tuple[str, ...]
    silent: bool
    """Accepted without a word of weight."""
    wrong: str
    """What is wrong with what passed in silence, or the traceback; empty when nothing is."""


def anatomy(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """A head with structure at every place: no slice looks like another, nor like its mirror."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    depth = 1.0 - np.sqrt((x / 62.0) ** 2 + (y / 70.0) ** 2 + (z / 75.0) ** 2)
    inside = 1.0 / (1.0 + np.exp(-np.clip(depth * 25.0, -40.0, 40.0)))
    waves = np.cos(x / 7 + z / 19 + 0.3) * np.cos(y / 8 - z / 23) + np.cos(z / 9 + x / 31 + 1.1)
    structure = 1400.0 + 250.0 * waves + 2.0 * x + 1.5 * y + 2.5 * z
    result: NDArray[np.float64] = 20.0 + inside * structure
    return result


def good_series(rng: np.random.Generator, name: str) -> MrSeries:
    """A small clean series of random orientation, order, spacing and scale."""
    orientation = str(rng.choice(list(ORIENTATIONS)))
    spacing = (float(rng.choice([3.0, 3.2, 3.5])), 4.0, float(rng.choice([4.0, 3.5])))
    scale = [None, lambda _n: (1.0, 0.0), lambda _n: (0.75, -4.0)][int(rng.integers(3))]
    x, y, z = (float(v) for v in rng.uniform(-4, 4, 3))
    series = mr_series(
        (int(rng.integers(30, 38)), 36, 34),
        spacing,
        orientation,
        centre_mm=(x, y, z),
        signal=anatomy,
        reverse=bool(rng.random() < 0.5),
        rescale=scale,
        name=name,
    )
    for dataset in series.datasets:
        dataset.ReconstructionDiameter = f"{max(36 * spacing[1], 34 * spacing[2]):g}"
    return series


def fuzz(seed: int, *, enhanced: bool = False) -> Outcome:
    """Break one series as ``seed`` says and judge what the line makes of it.

    ``enhanced`` gathers the slices into one Enhanced MR instance, which may be broken once more.
    """
    rng = np.random.default_rng(seed)
    series = numbered(good_series(rng, f"fuzz {seed}"))
    names = [
        str(n) for n in rng.choice(list(RANDOM_FAULTS), size=int(rng.integers(1, 3)), replace=False)
    ]
    datasets: Datasets = [deepcopy(d) for d in series.datasets]
    applied = []
    for name in names:
        try:
            datasets = RANDOM_FAULTS[name](datasets, rng)
            applied.append(name)
        except (AttributeError, ValueError, TypeError, KeyError, IndexError):
            continue  # the second fault needs what the first one took away
    truth = _truth(series)
    if enhanced:
        truth = {("", n): int(str(d.filename)) for n, d in enumerate(datasets)}
        datasets, more = _as_one(datasets, series, rng)
        applied += more
    try:
        silent, wrong = _judge(_files(datasets, rng), series, truth)
    except Exception:  # noqa: BLE001 - a traceback is what the fuzzer looks for
        silent, wrong = False, traceback.format_exc()
    return Outcome(seed=seed, faults=tuple(applied), silent=silent, wrong=wrong)


def _as_one(
    slices: Datasets, series: MrSeries, rng: np.random.Generator
) -> tuple[Datasets, list[str]]:
    """The slices as frames of one instance, and what else was done to it."""
    one, name = gathered(slices, series.datasets), str(rng.choice(list(FRAME_FAULTS)))
    if rng.random() > 0.25 or not slices:
        return [one], []
    FRAME_FAULTS[name](one, rng)
    return [one], [name]


def numbered(series: MrSeries) -> MrSeries:
    """``series`` with each slice's number where no fault changes it."""
    for number, dataset in enumerate(series.datasets):
        dataset.filename = str(number)
    return series


def _truth(series: MrSeries) -> Truth:
    return {(str(d.SOPInstanceUID), 0): n for n, d in enumerate(series.datasets)}


def judge_clean(seed: int, *, enhanced: bool = False) -> list[str]:
    """Codes of weight that a clean series gets; there should be none."""
    series = numbered(good_series(np.random.default_rng(seed), f"clean {seed}"))
    truth, files = _truth(series), series.files()
    if enhanced:
        truth = {("", n): n for n in range(len(series.datasets))}
        files = [_part10(gathered(series.datasets, series.datasets))]
    examined, by_uid = _read(files)
    codes = [f.code for e in examined for f in e.findings if f.severity in _WEIGHTY]
    volume, seen = read_volume(examined[0].stack, by_uid)
    wrong = _misplaced(examined[0], series, truth) or _misread(volume, series)
    return [*codes, *(f.code for f in seen), *([wrong] if wrong else [])]


def _files(datasets: Sequence[FileDataset], rng: np.random.Generator) -> list[bytes]:
    """Part 10 bytes in any order; now and then one is cut off or has a bit turned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = [_part10(dataset) for dataset in datasets]
    if files and rng.random() < 0.15:
        at = int(rng.integers(len(files)))
        header = files[at].find(b"\xe0\x7f\x10\x00")
        place = int(rng.integers(140, max(141, header if header > 0 else len(files[at]))))
        if rng.random() < 0.5:
            files[at] = files[at][:place]
        else:
            turned = bytearray(files[at])
            turned[place] ^= 1 << int(rng.integers(8))
            files[at] = bytes(turned)
    rng.shuffle(files)
    return files


def _part10(dataset: FileDataset) -> bytes:
    """Explicit VR Little Endian, whatever the file says it is."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    file.write(bytes(128) + b"DICM")
    write_file_meta_info(file, dataset.file_meta, enforce_standard=False)
    write_dataset(file, dataset)
    return bytes(file.getvalue())


def _read(files: Sequence[bytes]) -> tuple[tuple[Examined, ...], dict[str, pydicom.Dataset]]:
    """The examined stacks of the largest series among ``files``."""
    series: dict[str, dict[str, pydicom.Dataset]] = {}
    instances = {}
    for data in files:
        try:
            dataset = read_file(data, name="fuzz")
            instance = read_instance(dataset)
        except Rejected:
            continue
        series.setdefault(instance.series_instance_uid, {})[instance.sop_instance_uid] = dataset
        instances[instance.sop_instance_uid] = instance
    if not series:
        return (), {}
    largest = max(series.values(), key=len)
    return examine(collect(instances[u] for u in largest), Rules()), largest


def _judge(files: Sequence[bytes], series: MrSeries, truth: Truth) -> tuple[bool, str]:
    examined, by_uid = _read(files)
    accepted = [e for e in examined if e.verdict is Verdict.ACCEPTED]
    if not accepted:
        return False, ""
    said = list(accepted[0].findings)
    try:
        volume, seen = read_volume(accepted[0].stack, by_uid)
    except Rejected:
        return False, ""
    if any(f.severity in _WEIGHTY for f in (*said, *seen)):
        return False, ""
    return True, _misplaced(accepted[0], series, truth) or _misread(volume, series)


def _misplaced(examined: Examined, series: MrSeries, truth: Truth) -> str:
    """Slices whose corners are said to lie elsewhere than they do."""
    for s in examined.stack.slices:
        uid = "" if s.instance.number_of_frames > 1 else s.instance.sop_instance_uid
        number = truth.get((uid, s.frame.number))
        if number is None:
            continue  # a file that was not there: its pixels are judged in the volume
        off = np.linalg.norm(_corners(s.frame, series.grid) - _true(series.grid, number), axis=1)
        if off.max() > MOST_OFF_MM:
            return f"slice {number} is said to lie {off.max():.2f} mm from where it is"
    return ""


def _corners(frame: Frame, grid: Grid) -> NDArray[np.float64]:
    position, cosines = np.array(frame.position_mm), np.array(frame.orientation)
    spacing = frame.pixel_spacing_mm or (0.0, 0.0)
    _, rows, columns = grid.shape
    return np.array(
        [
            position + cosines[3:] * r * spacing[0] + cosines[:3] * c * spacing[1]
            for r in (0, rows - 1)
            for c in (0, columns - 1)
        ]
    )


def _true(grid: Grid, number: int) -> NDArray[np.float64]:
    _, rows, columns = grid.shape
    return lps_from_index(
        grid.affine, [(number, r, c) for r in (0, rows - 1) for c in (0, columns - 1)]
    )


def _misread(volume: Volume, series: MrSeries) -> str:
    """Voxels that show other anatomy than lies there, and slices on another scale."""
    grid = volume.grid
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = lps_from_index(grid.affine, index)
    expected = series.signal(points)
    inside = expected > 800
    scales = [
        float(np.median(v[i] / e[i]))
        for v, e, i in zip(volume.values, expected, inside, strict=True)
        if i.sum() > 30
    ]
    if not scales:
        return "no anatomy is where it should be"
    if max(scales) > MOST_SCALE * min(scales):
        return f"slices are scaled {max(scales) / min(scales):.3f} times against each other"
    off = np.abs(volume.values / np.median(scales) - expected)
    allowed = _STEPS + MOST_OFF_MM * _steepness(series, points)
    odd = inside & (off > allowed)
    if odd.sum() > 20:
        return f"{odd.sum()} voxels show other anatomy than lies there"
    return ""


def _steepness(series: MrSeries, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much the signal changes with a millimetre."""
    step = 0.5
    slopes = [
        series.signal(points + step * axis) - series.signal(points - step * axis)
        for axis in np.eye(3)
    ]
    steep: NDArray[np.float64] = np.linalg.norm(slopes, axis=0) / (2 * step)
    return steep
