"""An open queue changes by itself, and nothing moves under the pointer."""

import threading
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, Route

from node.archive.schema.records import AssociationRecord
from tests.web.browsing import visiting
from tests.web.equipped import equipped
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


def test_every_tab_is_told_by_the_one_stream(browser: Browser, tmp_path: Path) -> None:
    """What changes is seen in the tab that listens and in one that does not."""
    shelf = Shelf(root=tmp_path)
    fill(shelf)
    with served(page_of(shelf)) as address, visiting(browser, address) as visit:
        streams: list[str] = []
        visit.context.on("request", lambda r: streams.append(r.url) if "/events" in r.url else None)
        pages = [visit.go("/"), visit.open()]
        pages[1].goto(f"{address}/")
        rows = [page.locator(".row:has-text('SAMPLE Dora')") for page in pages]
        series = int((rows[0].get_attribute("id") or "").removeprefix("row-"))
        shelf.set(series, state="review", sentence="The route asks for a signature.")
        for row in rows:
            row.locator(".state:has-text('Waiting for review')").wait_for(timeout=_PATIENCE_MS)
        assert len(streams) == 1


def test_a_page_asks_again_only_for_what_is_another_by_now(
    browser: Browser, tmp_path: Path
) -> None:
    """A page that is new is not fetched twice; what changed before its stream began is."""
    shelf = Shelf(root=tmp_path)
    fill(shelf)
    with served(page_of(shelf)) as address, visiting(browser, address) as visit:
        asked: list[str] = []
        held = threading.Event()
        visit.context.on("request", lambda r: asked.append(r.url))

        def late(route: Route) -> None:
            if held.is_set():
                series = shelf.queries.series_items(states=["receiving"])[0]["id"]
                shelf.set(series, state="review", sentence="The route asks for a signature.")
            route.continue_()

        visit.context.route("**/events", late)
        with visit.page.expect_response("**/events"):
            page = visit.go("/")
        page.wait_for_timeout(1500)  # as long as a second look of the node takes
        assert [url for url in asked if url == f"{address}/"] == [f"{address}/"]

        held.set()
        page = visit.go("/")
        page.locator(".row:has-text('SAMPLE Dora') .state:has-text('Waiting for review')").wait_for(
            timeout=_PATIENCE_MS
        )


def test_a_call_appears_on_the_network_page_by_itself(browser: Browser, tmp_path: Path) -> None:
    """As the page promises whoever presses C-ECHO at a system; a form half filled in stays."""
    shelf = Shelf(root=tmp_path)
    with equipped(shelf) as (address, secret), visiting(browser, address, language="fr") as visit:
        visit.log_in(secret)
        page = visit.go("/network")
        page.fill("#pull-study", "1.2.3")
        first = page.locator("#associations tbody tr").first
        first.hover()
        where = page.locator("#associations tbody tr", has_text="CT_WS3").bounding_box()
        now = datetime.now(UTC)
        shelf.index.add_association(
            AssociationRecord(
                opened_at=now, closed_at=now, calling_ae="RAYSTATION", called_ae="PCTNODE",
                address="10.20.4.20", peer="RAYSTATION", accepted=True, sentence="Released.",
            )
        )  # fmt: skip
        page.wait_for_timeout(2500)  # the pointer is on the list: nothing moves
        assert page.locator("#associations tbody tr", has_text="CT_WS3").bounding_box() == where
        page.mouse.move(5, 5)
        page.locator("#associations tbody tr", has_text="10.20.4.20").wait_for(timeout=_PATIENCE_MS)
        assert page.input_value("#pull-study") == "1.2.3"
