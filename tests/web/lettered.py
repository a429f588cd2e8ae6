"""A phantom whose six sides differ, in the viewer, and where each mark must be seen."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from node.domain.geometry import Grid, lps_from_index
from node.domain.volume import Volume
from tests.phantoms.mr import mr_series
from tests.web.browsing import visiting
from tests.web.serving import served
from tests.web.shelf import Shelf, page_of

# A different mark at each side of the patient, in LPS mm: its brightness says which it is.
MARKS: dict[str, tuple[tuple[float, float, float], int]] = {
    "R": ((-60.0, 0.0, 0.0), 220),
    "L": ((60.0, 0.0, 0.0), 190),
    "A": ((0.0, -75.0, 0.0), 160),
    "P": ((0.0, 75.0, 0.0), 130),
    "S": ((0.0, 0.0, 65.0), 100),
    "I": ((0.0, 0.0, -65.0), 70),
}
_MARK_MM = 9.0


def marked_hu(_mr: Volume, grid: Grid) -> NDArray[np.int16]:
    """A box of 0 HU with a mark at each of its six sides; the window 0..255 shows its value."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = lps_from_index(grid.affine, index)
    hu = np.full(grid.shape, 20, np.int16)
    for centre, value in MARKS.values():
        hu[np.abs(points - centre).max(axis=-1) <= _MARK_MM] = value
    return hu


# How uncertain each mark is, as a share of the limit: none like another.
DOUBTS = {"R": 0.1, "L": 0.25, "A": 0.4, "P": 0.55, "S": 0.7, "I": 0.85}
LIMIT_HU = 400.0  # where no finding names another


def marked_doubt(grid: Grid) -> NDArray[np.float32]:
    """The same marks, each as uncertain as `DOUBTS` says; nothing else is."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = lps_from_index(grid.affine, index)
    doubt = np.zeros(grid.shape, np.float32)
    for letter, (centre, _) in MARKS.items():
        doubt[np.abs(points - centre).max(axis=-1) <= _MARK_MM] = DOUBTS[letter] * LIMIT_HU
    return doubt


def shown(letter: str, mode: str) -> float:
    """How red a mark is in the window 0..255."""
    value = MARKS[letter][1]
    if mode != "uncertainty":
        return value
    share = min(0.9 * DOUBTS[letter], 0.85)  # amber over a darker sCT
    return 0.75 * value * (1 - share) + 251 * share


def marked_signal(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same marks as MR signal."""
    values = np.full(points.shape[:-1], 20.0)
    for centre, value in MARKS.values():
        values[np.abs(points - centre).max(axis=-1) <= _MARK_MM] = value
    return values


@pytest.fixture(scope="module")
def lettered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Shelf]]:
    """A series whose six sides differ, scanned sagittally and obliquely named nowhere."""
    shelf = Shelf(root=tmp_path_factory.mktemp("lettered"))
    mr = mr_series((64, 72, 80), (2.5, 2.5, 2.5), "sagittal", signal=marked_signal)
    series = shelf.receive(mr.datasets)
    shelf.synthesise(series, mr.datasets, marked_hu, uncertainty=marked_doubt, spacing_mm=2.5)
    with served(page_of(shelf)) as address:
        yield address, shelf


@pytest.fixture
def page(browser: Browser, lettered: tuple[str, Shelf]) -> Iterator[Page]:
    """The viewer of the lettered series."""
    # The tests read pixels back, which Chromium has an opinion about; the page never does.
    with visiting(browser, lettered[0], forgiven=("willReadFrequently",)) as visit:
        yield visit.see("/series/1")


def set_window(page: Page, level: int, width: int) -> None:
    """Type a window."""
    for name, value in (("level", level), ("width", width)):
        page.fill(f"#{name}", str(value))
        page.press(f"#{name}", "Enter")


# Mean brightness of a small square about a point given as a share of the canvas.
PROBE = """([plane, x, y]) => {
  const canvas = document.querySelector(`canvas[data-view=${plane}]`);
  const size = Math.max(3, Math.round(canvas.width / 90));
  const px = Math.round(x * canvas.width - size / 2), py = Math.round(y * canvas.height - size / 2);
  const data = canvas.getContext("2d").getImageData(px, py, size, size).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i];
  return sum / (data.length / 4);
}"""


def frames(page: Page) -> None:
    """Wait until what was asked for is painted."""
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def spot(page: Page, plane: str, mark: str) -> tuple[float, float]:
    """Where a mark must be on the canvas, reckoned here from its LPS position alone."""
    about = page.evaluate("fetch('/series/1/volumes').then(a => a.json())")
    box = page.evaluate(
        "p => { const c = document.querySelector(`canvas[data-view=${p}]`);"
        " return [c.width, c.height]; }",
        plane,
    )
    (x, y, z), _ = MARKS[mark]
    across, down = {"axial": (x, y), "coronal": (x, -z), "sagittal": (y, -z)}[plane]
    slices, rows, columns = (n * 2.5 for n in about["shape"])
    wide, high = {
        "axial": (columns, rows),
        "coronal": (columns, slices),
        "sagittal": (rows, slices),
    }[plane]
    scale = min(box[0] / wide, box[1] / high)
    return 0.5 + across * scale / box[0], 0.5 + down * scale / box[1]
