"""An open queue changes by itself, and nothing moves under the pointer."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.web.browsing import visiting
from tests.web.sample import fill
from tests.web.serving import served
from tests.web.shelf import Shelf, page_of

_PATIENCE_MS = 120_000


def test_rows_change_in_place_and_keep_their_order_under_the_pointer(
    browser: Browser, tmp_path: Path
) -> None:
    """While the pointer is on the list its rows tell what is new where they are; then they move."""
    shelf = Shelf(root=tmp_path)
    fill(shelf)
    with served(page_of(shelf)) as address, visiting(browser, address) as visit:
        page = visit.go("/")
        row = page.locator(".row:has-text('SAMPLE Dora')")
        row.hover()
        before = row.bounding_box()
        series = int((row.get_attribute("id") or "").removeprefix("row-"))
        shelf.set(series, state="review", sentence="The route asks for a signature.")
        row.locator(".state:has-text('Waiting for review')").wait_for(timeout=_PATIENCE_MS)
        assert row.bounding_box() == before
        page.mouse.move(5, 5)
        page.locator("section:has(#h-needs_you) .row:has-text('SAMPLE Dora')").wait_for(
            timeout=_PATIENCE_MS
        )
