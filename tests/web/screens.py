"""Make the pictures of the documentation: ``python -m tests.web.screens docs/screens``.

Phantom data only: the head of the demonstration with a synthetic CT of known voxels.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import FloatRect, Page, sync_playwright

from node.domain.figures import HISTOGRAM_HU
from tests.web.browsing import DESKTOP, PHONE, launch, visiting
from tests.web.equipped import MODEL_PAGE, NEWEST, equipped
from tests.web.head import HU, WARNINGS, datasets, doubt, head, hounsfield
from tests.web.sample import fill
from tests.web.shelf import Shelf

# name, path, theme, language, size, what is done before the picture
_SHOTS = (
    ("queue-dark", "/", "dark", "en", DESKTOP, ()),
    ("queue-light-fr", "/", "light", "fr", DESKTOP, ()),
    ("queue-phone", "/", "dark", "en", PHONE, ()),
    ("series-blend-dark", "/series/1", "dark", "en", DESKTOP, ()),
    ("series-split-light", "/series/1", "light", "en", DESKTOP,
     ("[data-mode=split]", "[data-window=bone]")),
    ("series-uncertainty-fr", "/series/1", "dark", "fr", DESKTOP,
     (".point:nth-of-type(2) [data-show]",)),
    ("series-tiles-dark", "/series/1", "dark", "en", DESKTOP, ("[data-mode=tiles]",)),
    ("series-sign-dark", "/series/1", "dark", "en", DESKTOP, ("TICKS", "#approve-open")),
    ("series-phone", "/series/1", "dark", "en", PHONE, ()),
    ("series-failed-dark", "/series/4", "dark", "en", DESKTOP, ()),
    ("series-refused-light-fr", "/series/5", "light", "fr", DESKTOP, ()),
    ("network-dark", "/network", "dark", "en", DESKTOP, ()),
    ("network-light-fr", "/network", "light", "fr", DESKTOP, ()),
    ("system-form-dark", "/network/systems/new?ae_title=CT_WS3&host=10.20.9.77", "dark", "en",
     DESKTOP, ()),
    ("models-dark", "/models", "dark", "en", DESKTOP, ()),
    ("model-dark", MODEL_PAGE, "dark", "en", DESKTOP, ()),
    ("model-light-fr", MODEL_PAGE, "light", "fr", DESKTOP, ()),
    ("model-phone", MODEL_PAGE, "dark", "fr", PHONE, ()),
    ("system-dark", "/system", "dark", "en", DESKTOP, ()),
    ("system-phone", "/system", "light", "fr", PHONE, ()),
    ("audit-dark", "/audit", "dark", "en", DESKTOP, ()),
    ("accounts-light", "/accounts", "light", "en", DESKTOP, ()),
    ("account-dark-fr", "/account", "dark", "fr", DESKTOP, ()),
    ("api-dark", "/api/docs", "dark", "en", DESKTOP, ()),
    ("log-in-dark-fr", "/log-in", "dark", "fr", DESKTOP, ("LOG OUT",)),
    ("not-found-light", "/nowhere", "light", "en", DESKTOP, ()),
)  # fmt: skip
_TALL = ("model", "system", "network")
"""What these pages show goes on below the screen, and so does their picture."""
_TOLD: FloatRect = {"x": 0, "y": 0, "width": 1440, "height": 530}


def main(folder: Path) -> None:
    """Write one PNG for each view into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as root, sync_playwright() as playwright:
        shelf = _shelf(Path(root))
        browser = launch(playwright)
        with equipped(shelf, _spread()) as (address, secret):
            for name, path, theme, language, size, clicks in _SHOTS:
                with visiting(
                    browser, address, size=size, theme=theme, language=language, forgiven=("404",)
                ) as visit:
                    if "LOG OUT" not in clicks:
                        visit.log_in(secret)
                    page = visit.go(path)
                    if path.startswith("/series"):
                        _settle(page)
                    for click in clicks:
                        _click(page, click)
                    page.wait_for_timeout(700)
                    # Series of the queue's sample have no images; what is told stands above them.
                    clip = _TOLD if path in ("/series/4", "/series/5") else None
                    whole = clip is None and name.startswith(_TALL)
                    page.screenshot(path=folder / f"{name}.png", clip=clip, full_page=whole)
        browser.close()


def _spread() -> NDArray[np.float64]:
    """The shares of HU of the head in these pictures, as the population's middle."""
    made = head((172, 172, 128), 1.5)
    table = np.zeros(256)
    for tissue, value in HU.items():
        table[int(tissue)] = value
    values = table[made.tissue]
    inside = values[values > -900]
    inside = inside + np.random.default_rng(4).normal(0, 12, inside.size)
    first, last, width = HISTOGRAM_HU
    counts, _ = np.histogram(inside, np.arange(first, last + width, width))
    return np.asarray(100.0 * counts / inside.size + 0.004, np.float64)


def _shelf(root: Path) -> Shelf:
    shelf = Shelf(root=root)
    made = head((172, 172, 128), 1.5)
    files = datasets(made)
    series = shelf.receive(
        files,
        patient_name="EXEMPLE^Léa",
        patient_id="PX-004203",
        description="T1 MPRAGE 3D sag, post-Gd",
        body_part="BRAIN",
    )
    shelf.synthesise(
        series,
        files,
        hounsfield(made),
        findings=WARNINGS,
        uncertainty=doubt(made),
        spacing_mm=1.5,
        model=NEWEST.ref,
    )
    fill(shelf)
    return shelf


def _settle(page: Page) -> None:
    page.wait_for_selector("#viewer[data-ready], #viewer[data-failed]", timeout=300_000)
    if page.get_attribute("#viewer", "data-ready"):
        page.wait_for_selector("#plot-area:not([hidden])", timeout=300_000)


def _click(page: Page, what: str) -> None:
    if what == "LOG OUT":
        return
    if what == "TICKS":
        for tick in page.query_selector_all("[data-tick]"):
            tick.check()
    else:
        page.click(what)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
