"""The viewer on a phone, with fingers, and without WebGL."""

import pytest
from playwright.sync_api import Browser

from tests.web.browsing import PHONE, visiting
from tests.web.lettered import PROBE, frames, lettered, set_window, spot
from tests.web.shelf import Shelf

__all__ = ["lettered"]
# How many pixels of the axial plane are as bright as the mark at the patient's right.
_RIGHT = """() => {
  const canvas = document.querySelector("canvas[data-view=axial]");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] > 205 && data[i] < 235) count++;
  return count;
}"""


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


def test_fingers_move_the_crosshair_and_enlarge(
    browser: Browser, lettered: tuple[str, Shelf]
) -> None:
    """One finger drags the crosshair; two that part to three times their distance enlarge by it."""
    with visiting(
        browser, lettered[0], size=PHONE, has_touch=True, forgiven=("willReadFrequently",)
    ) as visit:
        page = visit.see("/series/1")
        page.click("[data-mode=sct]")
        set_window(page, 128, 256)
        page.click("#cross")
        box = page.locator("canvas[data-view=axial]").bounding_box()
        assert box is not None
        across, down = spot(page, "axial", "R")
        x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
        touch = visit.context.new_cdp_session(page)

        def fingers(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": a, "y": b, "id": n} for n, (a, b) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", (x + 80, y))
        fingers("touchMove", (x, y))
        fingers("touchEnd")
        frames(page)
        assert page.inner_text("[data-read=sct]") == "220 HU"
        small = page.evaluate(_RIGHT)

        fingers("touchStart", (x, y))
        fingers("touchStart", (x, y), (x + 60, y))
        fingers("touchMove", (x, y), (x + 180, y))
        fingers("touchEnd")
        frames(page)
        assert page.evaluate(_RIGHT) == pytest.approx(9 * small, rel=0.1)
        page.keyboard.press("0")
        frames(page)
        assert page.evaluate(_RIGHT) == small


def test_it_needs_no_webgl(browser: Browser, lettered: tuple[str, Shelf]) -> None:
    """Where the browser gives no 3D context the viewer is whole, and none is even asked for."""
    with visiting(browser, lettered[0], forgiven=("willReadFrequently",)) as visit:
        visit.context.add_init_script(
            "for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {"
            "  const given = kind.prototype.getContext;"
            "  kind.prototype.getContext = function (name, ...more) {"
            "    if (name !== '2d') throw new Error(`asked for ${name}`);"
            "    return given.call(this, name, ...more); }; }"
            "delete window.WebGLRenderingContext; delete window.WebGL2RenderingContext;"
        )
        page = visit.see("/series/1")
        page.keyboard.press("x")
        for plane in ("axial", "coronal", "sagittal"):
            x, y = spot(page, plane, "A" if plane == "axial" else "S")
            assert page.evaluate(PROBE, [plane, x, y]) > 40
