"""Mid-planes of the MR and its synthetic CT, as PNG, on demand and never on disk.

Planes are radiological: patient right on screen left, sagittal nose left, superior up.
"""

import io
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from node.archive.records import OutputFile, StoredInstance
from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import mr_volume
from node.domain.errors import Rejected
from node.domain.geometry import Grid, bounds_mm
from node.domain.stack import Stack
from node.domain.volume import Volume
from node.infer.preprocess import resample
from node.pipeline import Verdict, collect, examine, rules_for

PLANES = ("axial", "coronal", "sagittal")
KINDS = ("mr", "sct")
# Screen axes in LPS, right and down: what `resample` then draws needs no flip.
_SCREEN = {"axial": ((0, 1), (1, 1)), "coronal": ((0, 1), (2, -1)), "sagittal": ((1, 1), (2, -1))}
_ENDS = {0: ("R", "L"), 1: ("A", "P"), 2: ("I", "S")}
# Soft tissue, level and width in HU.
_WINDOW_HU = (40.0, 400.0)
_AIR_HU = -1024.0
_LEAST_PIXEL_MM = 0.5
_LEAST_WIDTH = 320
_LETTER = (155, 168, 181)

Planes = Mapping[tuple[str, str], bytes]


class Files(Protocol):
    """Where the archived files of a series are listed."""

    def instance_files(self, series_id: int) -> list[StoredInstance]:
        """The MR instances of a series."""

    def output_files(self, series_id: int) -> list[OutputFile]:
        """What the newest run with any output made."""


class Planes3:
    """Renders and remembers the planes of the few series looked at last."""

    def __init__(self, files: Files, root: Path, *, remembered: int = 8) -> None:
        self._files, self._root, self._remembered = files, root, remembered
        self._cache: OrderedDict[tuple[str, ...], Planes] = OrderedDict()
        # One rendering at a time: a volume takes hundreds of megabytes.
        self._lock = Lock()

    def png(self, series_id: int, kind: str, plane: str) -> bytes | None:
        """One plane of one volume; None where the series has no such volume.

        Raises `Rejected` or `OSError` where its files cannot be read or make no volume.
        """
        sources = self._files.instance_files(series_id)
        outputs = [o for o in self._files.output_files(series_id) if o.kind == "ct"]
        outputs = [o for o in outputs if o.stack == outputs[0].stack]
        key = (*(s.sha256 for s in sources), *(o.sha256 for o in outputs))
        with self._lock:
            if key not in self._cache:
                self._cache[key] = self._render(sources, outputs)
            self._cache.move_to_end(key)
            while len(self._cache) > self._remembered:
                self._cache.popitem(last=False)
            return self._cache[key].get((kind, plane))

    def _render(self, sources: Sequence[StoredInstance], outputs: Sequence[OutputFile]) -> Planes:
        if not sources:
            return {}
        mr = self._volume([s.path for s in sources], outputs[0].stack if outputs else None)
        found = {}
        sct = self._volume([o.path for o in outputs], None) if outputs else None
        grids = planes(sct.grid if sct is not None else mr.grid)
        signal = {name: resample(mr, grid)[0] for name, grid in grids.items()}
        low, high = np.percentile(np.concatenate([v.ravel() for v in signal.values()]), (1, 99))
        for name, grid in grids.items():
            found["mr", name] = picture(signal[name], name, float(low), float(high))
            if sct is not None:
                level, width = _WINDOW_HU
                hu = resample(sct, grid, fill=_AIR_HU)[0]
                found["sct", name] = picture(hu, name, level - width / 2, level + width / 2)
        return found

    def _volume(self, paths: Iterable[str], wanted: int | None) -> Volume:
        datasets: dict[str, Any] = {}
        for path in paths:
            dataset = read_file((self._root / path).read_bytes(), name=Path(path).name)
            datasets[str(dataset.SOPInstanceUID)] = dataset
        stacks = collect(read_instance(dataset) for dataset in datasets.values())
        try:
            return mr_volume(_stack(stacks, wanted), datasets)
        except (ValueError, TypeError) as error:  # a refused stack need not make a grid
            raise Rejected(str(error), code="PIXELS_UNDECODABLE") from error


def _stack(stacks: Sequence[Stack], wanted: int | None) -> Stack:
    if wanted is not None and wanted < len(stacks):
        return stacks[wanted]
    if len(stacks) == 1:
        return stacks[0]
    good = [e.stack for e in examine(stacks, rules_for(None)) if e.verdict is Verdict.ACCEPTED]
    return max(good or stacks, key=lambda stack: len(stack.slices))


def planes(grid: Grid) -> dict[str, Grid]:
    """Three lattices of one slice each through the middle of ``grid``, by name."""
    low, high = bounds_mm(grid)
    step = max(_LEAST_PIXEL_MM, min(grid.spacing_mm))
    found = {}
    for name, ((across, _), (down, sign)) in _SCREEN.items():
        columns, rows = (max(1, round((high - low)[axis] / step)) for axis in (across, down))
        affine = np.eye(4)
        affine[:3, :3] = 0.0
        affine[3 - across - down, 0] = 1.0
        affine[down, 1], affine[across, 2] = sign * step, step
        affine[:3, 3] = (low + high) / 2
        affine[across, 3] -= step * (columns - 1) / 2
        affine[down, 3] -= sign * step * (rows - 1) / 2
        found[name] = Grid(shape=(1, rows, columns), affine=affine)
    return found


def picture(values: NDArray[np.float32], plane: str, low: float, high: float) -> bytes:
    """One plane as PNG with its letters; ``low`` is black and ``high`` white."""
    grey = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0
    image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    # Enlarged before lettering, so that letters stay small beside the anatomy.
    factor = -(-_LEAST_WIDTH // image.width)
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    (across, _), (down, sign) = _SCREEN[plane]
    left, right = _ENDS[across]
    top, bottom = _ENDS[down][::sign]
    width, height = image.size
    for letter, at, anchor in (
        (left, (2, height // 2), "lm"),
        (right, (width - 2, height // 2), "rm"),
        (top, (width // 2, 2), "mt"),
        (bottom, (width // 2, height - 2), "mb"),
    ):
        draw.text(at, letter, fill=_LETTER, anchor=anchor)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
