"""The viewer in a real browser: orientation, HU, position, modes, speed."""

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, Page

from tests.web.browsing import visiting
from tests.web.lettered import (
    LIMIT_HU,
    MARKS,
    PROBE,
    frames,
    lettered,
    page,
    set_window,
    shown,
    spot,
)
from tests.web.serving import served
from tests.web.shelf import Shelf, page_of
from tests.web.speed import MOST_SCRIPT_BYTES, measured, script_bytes, synthesise_large

__all__ = ["lettered", "page"]

# Where the middle of each side of the pane is, as a share of the plane.
_SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}


@pytest.mark.parametrize("mode", ["mr", "sct", "blend", "split", "tiles", "uncertainty"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_each_letter_stands_where_the_patients_side_is(page: Page, plane: str, mode: str) -> None:
    """In every plane and mode the mark of a side lies at that side's letter, and no other does."""
    page.keyboard.press("x")  # no crosshair over the marks
    for chosen in ("mr", "sct"):
        page.click(f"[data-mode={chosen}]")
        set_window(page, 128, 256)
    page.click(f"[data-mode={mode}]")
    if mode == "uncertainty":
        assert page.get_attribute("#viewer", "data-limit") == str(LIMIT_HU)
        page.locator("[data-read=uncertainty]:not(:empty)").wait_for()
    frames(page)
    for side, (across, down) in _SIDES.items():
        letter = page.inner_text(f".plane.{plane} .side[data-side={side}]")
        x, y = spot(page, plane, letter)
        if mode == "split" and not across:
            x += 0.012  # beside the line that parts the two
        assert (np.sign(round(x - 0.5, 1)), np.sign(round(y - 0.5, 1))) == (across, down)
        assert page.evaluate(PROBE, [plane, x, y]) == pytest.approx(shown(letter, mode), abs=9)


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
    synthesise_large(shelf)
    with served(page_of(shelf)) as address:
        yield address


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
        assert 0 < script_bytes(page) <= MOST_SCRIPT_BYTES


def test_volumes_are_built_once_and_name_no_patient(
    lettered: tuple[str, Shelf], page: Page
) -> None:
    """Derived volumes lie under names that say nothing of the patient."""
    assert page.get_attribute("#viewer", "data-ready")
    view = lettered[1].root / "view"
    (folder,) = (p for p in view.iterdir() if p.is_dir())
    assert set(folder.name) <= set("0123456789abcdef")
    assert (folder / "about.json").exists()
