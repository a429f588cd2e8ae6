"""What the page is timed by, in tests and in ``make bench``: a large series, steps, first paint."""

import statistics
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from node.domain.geometry import Grid
from node.domain.volume import Volume
from tests.phantoms.mr import mr_series
from tests.phantoms.signals import constant
from tests.web.shelf import Shelf

LARGE = (200, 256, 256)
MOST_SCRIPT_BYTES = 120_000
_STEPS = """
  async () => {
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
_SCRIPTS = """
  () => performance.getEntriesByType("resource").filter((e) => e.name.includes(".js"))
    .reduce((sum, e) => sum + e.decodedBodySize, 0)"""
_PAINT = """
  () => new Promise((done) => {
    const told = (list) => { for (const e of list)
      if (e.name === "first-contentful-paint") done(e.startTime); };
    new PerformanceObserver((seen) => told(seen.getEntries()))
      .observe({ type: "paint", buffered: true });
  })"""


def synthesise_large(shelf: Shelf) -> int:
    """A series of 200 slices of 256 by 256 at 1 mm with its sCT, in review; its id."""
    mr = mr_series(LARGE, (1.0, 1.0, 1.0), "axial", signal=constant(500.0))
    series = shelf.receive(mr.datasets)

    def hu(_mr: Volume, grid: Grid) -> NDArray[np.int16]:
        values = np.full(grid.shape, -1000, np.int16)
        values[20:-20, 40:-40, 40:-40] = 30
        return values

    shelf.synthesise(series, mr.datasets, hu)
    return series


def measured(page: Page) -> dict[str, Any]:
    """Time to a ready viewer and of 60 slice steps, each until it is painted, in ms."""
    steps = page.evaluate(_STEPS)
    ready = float(page.get_attribute("#viewer", "data-ready") or 0)
    return {"ready_ms": ready, "p95_ms": statistics.quantiles(steps, n=20)[-1]}


def script_bytes(page: Page) -> int:
    """Bytes of the scripts of a page, as they are before compression."""
    return int(page.evaluate(_SCRIPTS))


def first_paint_ms(page: Page) -> float:
    """From the click on a link to the first text or picture of the page it leads to."""
    return float(page.evaluate(_PAINT))
