"""The viewer in a real browser: orientation, HU, position, modes, speed."""

import os
import random
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from node.domain.geometry import Grid, lps_from_index
from node.domain.volume import Volume
from tests.phantoms.mr import mr_series
from tests.phantoms.signals import constant
from tests.web.browsing import PHONE, visiting
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
# Where the middle of each side of the pane is, as a share of the plane.
_SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


def marked_hu(_mr: Volume, grid: Grid) -> NDArray[np.int16]:
    """A box of 0 HU with a mark at each of its six sides; the window 0..255 shows its value."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = lps_from_index(grid.affine, index)
    hu = np.full(grid.shape, 20, np.int16)
    for centre, value in MARKS.values():
        hu[np.abs(points - centre).max(axis=-1) <= _MARK_MM] = value
    return hu


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
    shelf.synthesise(series, mr.datasets, marked_hu, spacing_mm=2.5)
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
_PROBE = """([plane, x, y]) => {
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


@pytest.mark.parametrize("mode", ["mr", "sct", "blend", "split", "tiles"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_each_letter_stands_where_the_patients_side_is(page: Page, plane: str, mode: str) -> None:
    """In every plane and mode the mark of a side lies at that side's letter, and no other does."""
    page.keyboard.press("x")  # no crosshair over the marks
    for chosen in ("mr", "sct"):
        page.click(f"[data-mode={chosen}]")
        set_window(page, 128, 256)
    page.click(f"[data-mode={mode}]")
    frames(page)
    for side, (across, down) in _SIDES.items():
        letter = page.inner_text(f".plane.{plane} .side[data-side={side}]")
        x, y = spot(page, plane, letter)
        if mode == "split" and not across:
            x += 0.012  # beside the line that parts the two
        assert (np.sign(round(x - 0.5, 1)), np.sign(round(y - 0.5, 1))) == (across, down)
        assert page.evaluate(_PROBE, [plane, x, y]) == pytest.approx(MARKS[letter][1], abs=9)


def test_probe_reads_the_stored_value_at_1000_points(
    page: Page, lettered: tuple[str, Shelf]
) -> None:
    """HU shown under the crosshair is the archived CT's, at positions given in LPS mm."""
    slices = [
        pydicom.dcmread(lettered[1].root / f.path) for f in lettered[1].queries.output_files(1)
    ]
    dice = random.Random(11)  # noqa: S311 - the same points each time
    points, expected = [], []
    for _ in range(1000):
        image = dice.choice(slices)
        row, column = dice.randrange(image.Rows), dice.randrange(image.Columns)
        x, y, z = image.ImagePositionPatient
        points.append(
            [x + column * image.PixelSpacing[1], y + row * image.PixelSpacing[0], float(z)]
        )
        value = int(image.pixel_array[row, column] * image.RescaleSlope + image.RescaleIntercept)
        expected.append([f"{value} HU".replace("-", "−"), points[-1]])
    shown = page.evaluate(
        """async (points) => {
          const seen = [];
          for (const point of points) {
            document.dispatchEvent(new CustomEvent("viewer:go", { detail: point }));
            await new Promise(requestAnimationFrame); // ours is called after the viewer's
            seen.push([document.querySelector("[data-read=sct]").textContent,
              document.querySelector("[data-read=position]").textContent]);
          }
          return seen;
        }""",
        points,
    )
    assert [s[0] for s in shown] == [e[0] for e in expected]
    for (_, text), (_, point) in zip(shown, expected, strict=True):
        told = [float(v.replace("−", "-")) for v in text.removesuffix(" mm").split(", ")]
        assert told == pytest.approx([float(p) for p in point], abs=0.051)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_click_puts_the_crosshair_under_the_pointer(page: Page, plane: str) -> None:
    """Where one clicks is where the position says one is, and the other planes follow."""
    x, y = spot(page, plane, "L" if plane != "sagittal" else "P")
    box = page.locator(f"canvas[data-view={plane}]").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    frames(page)
    text = page.inner_text("[data-read=position]").removesuffix(" mm")
    told = [float(v.replace("−", "-")) for v in text.split(", ")]
    wanted = MARKS["L" if plane != "sagittal" else "P"][0]
    assert max(abs(a - b) for a, b in zip(told, wanted, strict=True)) <= 2.6
    assert page.inner_text("[data-read=sct]") == ("190 HU" if plane != "sagittal" else "130 HU")


def test_keys_do_what_the_help_says(page: Page) -> None:
    """Modes, windows, crosshair, slices and the flick by keyboard alone."""
    for key, mode in (("m", "mr"), ("s", "sct"), ("b", "blend"), ("d", "split"), ("t", "tiles")):
        page.keyboard.press(key)
        assert page.get_attribute(f"[data-mode={mode}]", "aria-pressed") == "true"
    page.keyboard.press("3")
    assert (page.input_value("#level"), page.input_value("#width")) == ("500", "2000")
    page.keyboard.press("s")
    page.keyboard.press(" ")
    assert page.get_attribute("[data-mode=mr]", "aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.get_attribute("[data-mode=sct]", "aria-pressed") == "true"
    plane = page.locator("canvas[data-view=axial]")
    plane.focus()
    before = int(plane.get_attribute("aria-valuenow") or 0)
    page.keyboard.press("PageUp")
    page.keyboard.press("Shift+PageUp")
    frames(page)
    assert int(plane.get_attribute("aria-valuenow") or 0) == before + 6
    assert "sCT" in (plane.get_attribute("aria-valuetext") or "")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()


def test_right_drag_sets_the_window_and_the_wheel_scrolls(page: Page) -> None:
    """The mouse does what the hint under the planes says."""
    page.click("[data-mode=sct]")
    box = page.locator("canvas[data-view=axial]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 240, box["y"] + 220)
    page.mouse.up(button="right")
    assert int(page.input_value("#width")) > 400
    assert int(page.input_value("#level")) > 40
    plane = page.locator("canvas[data-view=axial]")
    before = int(plane.get_attribute("aria-valuenow") or 0)
    page.mouse.wheel(0, -100)
    frames(page)
    assert int(plane.get_attribute("aria-valuenow") or 0) == before + 1


def test_a_phone_shows_one_plane_at_a_time(browser: Browser, lettered: tuple[str, Shelf]) -> None:
    """At 390 by 844 the planes take turns, a slider steps, and nothing is wider than the screen."""
    with visiting(browser, lettered[0], size=PHONE, has_touch=True) as visit:
        page = visit.see("/series/1")
        assert page.locator("canvas[data-view=axial]").is_visible()
        assert not page.locator("canvas[data-view=coronal]").is_visible()
        page.click("[data-tab=coronal]")
        assert page.locator("canvas[data-view=coronal]").is_visible()
        page.locator("#slice").fill("3")
        frames(page)
        assert page.get_attribute("canvas[data-view=coronal]", "aria-valuenow") == "4"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_images_that_fail_block_approval_and_say_so(
    browser: Browser, lettered: tuple[str, Shelf]
) -> None:
    """Without its voxels a series cannot be approved, and the pane says why."""
    with visiting(browser, lettered[0], forgiven=("503",)) as visit:
        visit.context.route("**/volumes/sct", lambda route: route.fulfill(status=503))
        page = visit.go("/series/1")
        page.wait_for_selector("#viewer[data-failed]")
        assert "Approval is blocked" in page.inner_text(".plane.axial .wait")
        assert page.is_disabled("#approve-open")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A series of 200 slices of 256 by 256."""
    shelf = Shelf(root=tmp_path_factory.mktemp("large"))
    mr = mr_series((200, 256, 256), (1.0, 1.0, 1.0), "axial", signal=constant(500.0))
    series = shelf.receive(mr.datasets)

    def hu(_mr: Volume, grid: Grid) -> NDArray[np.int16]:
        values = np.full(grid.shape, -1000, np.int16)
        values[20:-20, 40:-40, 40:-40] = 30
        return values

    shelf.synthesise(series, mr.datasets, hu)
    with served(page_of(shelf)) as address:
        yield address


def measured(page: Page) -> dict[str, Any]:
    """Time to a ready viewer and of 60 slice steps, each until it is painted, in ms."""
    steps = page.evaluate(
        """async () => {
          const canvas = document.querySelector("canvas[data-view=axial]"), took = [];
          for (let n = 0; n < 60; n++) {
            const from = performance.now();
            const deltaY = n % 2 ? 40 : -40;
            canvas.dispatchEvent(new WheelEvent("wheel", { deltaY, cancelable: true }));
            await new Promise((r) => requestAnimationFrame(() => { setTimeout(r) }));
            took.push(performance.now() - from);
          }
          return took;
        }"""
    )
    ready = float(page.get_attribute("#viewer", "data-ready") or 0)
    return {"ready_ms": ready, "p95_ms": statistics.quantiles(steps, n=20)[-1]}


def test_viewer_is_ready_soon_and_steps_at_once(
    browser: Browser, large: str, record_property: Any
) -> None:
    """200 x 256 x 256 is ready within 2 s and steps within 40 ms, where the machine is idle.

    Beside other work only gross faults are told: seconds to step, half a minute to be ready.
    """
    with visiting(browser, large) as visit:
        page = visit.see("/series/1")  # builds the volumes, once for all
        cold = float(page.get_attribute("#viewer", "data-ready") or 0)
        found = measured(visit.see("/series/1"))
        record_property("viewer", {"cold_ms": cold, **found})
        print({"cold_ms": cold, **found})  # noqa: T201 - shown with -s
        idle = os.getloadavg()[0] < 2.0
        assert found["ready_ms"] < (2_000 if idle else 30_000)
        assert found["p95_ms"] < (40 if idle else 2_000)
        scripts = page.evaluate(
            "performance.getEntriesByType('resource').filter(e => e.name.includes('.js'))"
            ".reduce((sum, e) => sum + e.decodedBodySize, 0)"
        )
        assert 0 < scripts <= 120_000


def test_volumes_are_built_once_and_name_no_patient(
    lettered: tuple[str, Shelf], page: Page
) -> None:
    """Derived volumes lie under names that say nothing of the patient."""
    assert page.get_attribute("#viewer", "data-ready")
    view = lettered[1].root / "view"
    (folder,) = (p for p in view.iterdir() if p.is_dir())
    assert set(folder.name) <= set("0123456789abcdef")
    assert (folder / "about.json").exists()
