"""Volumes for the viewer: MR, synthetic CT and uncertainty on the sCT's own grid, as int16.

They are derived from the archive, built once and kept in the data folder under ``view``, which may
be emptied at any time. The files are little-endian int16, (slices, rows, columns), rows to the
patient's left, columns to posterior, slices to superior.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from node.archive.evidence.damage import Held, held_instance, held_output
from node.archive.query.view_queries import Shown
from node.archive.schema.records import StoredInstance
from node.dicom.headers import read_file, read_instance
from node.dicom.intact import read_intact
from node.dicom.pixels import mr_volume
from node.domain.errors import NodeError, Rejected
from node.domain.geometry import Grid, axial_grid
from node.domain.stack import Stack
from node.domain.volume import Volume
from node.infer.preprocess import resample
from node.log import get_logger
from node.pipeline import Verdict, collect, examine, rules_for
from node.web.viewer.statistics import statistics

log = get_logger(__name__)
KINDS = ("mr", "sct", "uncertainty")
VIEW = "view"
_KEPT = 12
_FORESEEN = 1000
_LARGEST = 32000
_FORMAT = 1


class Files(Protocol):
    """Where the archived files of a series are listed."""

    def instance_files(self, series_id: int) -> list[StoredInstance]:
        """The MR instances of a series."""

    def shown(self, series_id: int) -> Shown | None:
        """The sCT of the newest run that made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The built volumes of one series."""

    folder: Path
    about: dict[str, Any]
    """Shape, spacing, origin, kinds and windows, as the viewer reads them."""

    def values(self, kind: str) -> NDArray[np.int16]:
        """One volume, read from disk as it is needed."""
        return np.memmap(
            self.folder / f"{kind}.i16", dtype="<i2", mode="r", shape=tuple(self.about["shape"])
        )


class Views:
    """Builds and keeps the volumes of the series looked at last."""

    def __init__(self, files: Files, root: Path) -> None:
        self._files, self._root = files, root
        # One at a time: a volume takes hundreds of megabytes while it is built.
        self._lock = Lock()
        # Figures are for later: nobody who waits for the volumes waits for them.
        self._reckoning = Lock()
        self._foreseen: set[tuple[int, str]] = set()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="views")

    def get(self, series_id: int) -> View | None:
        """The volumes of a series; None where it has no image.

        Raises `Rejected` or `OSError` where its files cannot be read or make no volume.
        """
        sources, shown = self._files.instance_files(series_id), self._files.shown(series_id)
        if not sources:
            return None
        key = _key(sources, shown)
        with self._lock:
            folder = self._root / VIEW / key
            if not (folder / "about.json").exists():
                self._build(folder, key, sources, shown)
            os.utime(folder)
        return View(folder=folder, about=json.loads((folder / "about.json").read_text()))

    def ahead(self, series_id: int, version: str = "") -> None:
        """Build the volumes of a series soon, in the background; once for a ``version`` of it."""
        if version and (series_id, version) in self._foreseen:
            return
        if len(self._foreseen) > _FORESEEN:
            self._foreseen.clear()
        self._foreseen.add((series_id, version))
        self._ahead.submit(partial(self._quietly, series_id))

    def close(self) -> None:
        """Begin nothing more."""
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def statistics(self, view: View) -> dict[str, Any]:
        """Histogram, areas and uncertainty by slice; reckoned once."""
        file = view.folder / "statistics.json"
        with self._reckoning:
            if not file.exists():
                kinds = {kind: view.values(kind) for kind in view.about["kinds"]}
                found = statistics(kinds, _body(view), view.about)
                _write_text(file, json.dumps(found))
        told: dict[str, Any] = json.loads(file.read_text())
        return told

    def _quietly(self, series_id: int) -> None:
        try:
            view = self.get(series_id)
            if view is not None:
                self.statistics(view)
        except (NodeError, OSError, ValueError) as error:
            log.warning("view_unavailable", series=series_id, error=type(error).__name__)

    def _build(
        self, folder: Path, key: str, sources: Sequence[StoredInstance], shown: Shown | None
    ) -> None:
        folder.parent.mkdir(exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            about = self._fill(beside, sources, shown)
            _write_text(beside / "about.json", json.dumps({"key": key, **about}))
            beside.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._forget(folder.parent)

    def _fill(
        self, folder: Path, sources: Sequence[StoredInstance], shown: Shown | None
    ) -> dict[str, Any]:
        mr = self._mr([held_instance(s) for s in sources], shown.files[0].stack if shown else None)
        extra: list[str] = []
        if shown is None:
            grid = axial_grid(mr.grid, spacing_mm=min(mr.grid.spacing_mm))
        else:
            grid, hu = self._sct([held_output(o) for o in shown.files])
            hu.tofile(folder / "sct.i16")
            extra.append("sct")
            if self._extra(folder, self._root / VIEW / shown.work_name, hu):
                extra.append("uncertainty")
        signal = resample(mr, grid)
        slope = _slope(signal)
        stored = np.rint(signal if slope == 1.0 else signal / slope).astype("<i2")
        stored.tofile(folder / "mr.i16")
        some = stored[:: max(1, grid.shape[0] // 40)]
        low, high = (float(v) for v in np.percentile(some, (2.0, 99.6)))
        spacing = grid.spacing_mm
        return {
            "shape": list(grid.shape),
            "spacing_mm": list(spacing),
            # Of the centre of the first voxel: x, y, z in LPS.
            "origin_mm": [float(v) for v in grid.affine[:3, 3]],
            "kinds": ["mr", *extra],
            "mr_slope": slope,
            "mr_window": [round((low + high) / 2), max(1, round(high - low))],
        }

    def _mr(self, files: Iterable[Held], wanted: int | None) -> Volume:
        datasets: dict[str, Any] = {}
        for file in files:
            dataset = self._read(file)
            datasets[str(dataset.SOPInstanceUID)] = dataset
        stacks = collect(read_instance(dataset) for dataset in datasets.values())
        try:
            return mr_volume(_stack(stacks, wanted), datasets)
        except (ValueError, TypeError) as error:  # a refused stack need not make a grid
            raise Rejected(str(error), code="PIXELS_UNDECODABLE") from error

    def _read(self, file: Held) -> Any:
        data = read_intact(self._root / file.path, file.digest)
        return read_file(data, name=Path(file.path).name)

    def _sct(self, files: Sequence[Held]) -> tuple[Grid, NDArray[np.int16]]:
        """Our own CT images: axial, regular, slope 1 (the gate has proved it before they left)."""
        datasets = [self._read(file) for file in files]
        first, last = datasets[0], datasets[-1]
        low = np.array(first.ImagePositionPatient, float)
        high = np.array(last.ImagePositionPatient, float)
        rows_mm, columns_mm = (float(v) for v in first.PixelSpacing)
        affine = np.zeros((4, 4))
        affine[2, 0] = (high - low)[2] / max(1, len(datasets) - 1) or rows_mm
        affine[1, 1], affine[0, 2], affine[3, 3] = rows_mm, columns_mm, 1.0
        affine[:3, 3] = low
        shape = (len(datasets), int(first.Rows), int(first.Columns))
        values = np.empty(shape, "<i2")
        for number, dataset in enumerate(datasets):
            stored = np.frombuffer(dataset.PixelData, "<u2", count=shape[1] * shape[2])
            values[number] = stored.reshape(shape[1:]).astype(np.int32) + int(
                dataset.RescaleIntercept
            )
        return Grid(shape=shape, affine=affine), values

    def _extra(self, folder: Path, work: Path, hu: NDArray[np.int16]) -> bool:
        """Body and uncertainty out of the worker's file, where it is there and of this sCT."""
        try:
            with np.load(work, allow_pickle=False) as arrays:
                if not np.array_equal(arrays["sct"], hu):
                    return False
                arrays["body"].tofile(folder / "body.bits")
                if "uncertainty" not in arrays:
                    return False
                scale = np.clip(np.rint(arrays["uncertainty"]), 0, _LARGEST)
                scale.astype("<i2").tofile(folder / "uncertainty.i16")
        except (OSError, ValueError, KeyError):
            return False
        return True

    def _forget(self, folder: Path) -> None:
        built = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
        built.sort(key=lambda path: path.stat().st_mtime)
        for old in built[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)


def _key(sources: Sequence[StoredInstance], shown: Shown | None) -> str:
    text = [str(_FORMAT), *(s.sha256 for s in sources)]
    text += [o.sha256 for o in shown.files] if shown else []
    return sha256("\n".join(text).encode()).hexdigest()[:32]


def _slope(signal: NDArray[np.float32]) -> float:
    """What one stored step is worth: 1 where the signal fits int16 as it is."""
    highest = max(float(signal.max()), -float(signal.min()))
    return 1.0 if 200.0 <= highest <= _LARGEST else max(highest, 1e-6) / _LARGEST


def _body(view: View) -> NDArray[np.bool_] | None:
    file = view.folder / "body.bits"
    if not file.exists():
        return None
    shape = tuple(view.about["shape"])
    bits = np.unpackbits(np.fromfile(file, np.uint8), count=int(np.prod(shape)))
    return np.asarray(bits.reshape(shape), np.bool_)


def _stack(stacks: Sequence[Stack], wanted: int | None) -> Stack:
    if not stacks:
        raise Rejected("The files hold no image.", code="PIXELS_MISSING")
    if wanted is not None and wanted < len(stacks):
        return stacks[wanted]
    if len(stacks) == 1:
        return stacks[0]
    good = [e.stack for e in examine(stacks, rules_for(None)) if e.verdict is Verdict.ACCEPTED]
    return max(good or stacks, key=lambda stack: len(stack.slices))


def _write_text(file: Path, text: str) -> None:
    beside = file.with_suffix(".part")
    beside.write_text(text)
    beside.replace(file)
