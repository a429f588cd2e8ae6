"""Decisions as a physicist takes them on the page: signed, held, sent again, withdrawn."""

from collections.abc import Iterator
from contextlib import contextmanager

import pydicom
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page

from node.archive.schema import tables as t
from tests.peers.fixtures import StartStorescp
from tests.web.browsing import visiting
from tests.web.guarded import PASSWORD
from tests.web.test_decisions import Review, _peer, accounts, review

__all__ = ["accounts", "review"]
pytestmark = pytest.mark.interop


@contextmanager
def at_the_series(browser: Browser, review: Review) -> Iterator[Page]:
    """Log in as the physicist, by the form, and open the series; 4xx answers are on purpose."""
    with visiting(browser, review.node.url, forgiven=("403", "409", "willReadFrequently")) as visit:
        page = visit.go(f"/series/{review.series}")
        page.fill("#name", "physicist")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#viewer[data-ready]", timeout=120_000)
        yield page


def seen(page: Page, word: str) -> None:
    """Wait until the series stands in the state of that word."""
    page.wait_for_selector(f".badge:has-text('{word}')", timeout=120_000)
    page.wait_for_selector("#viewer[data-ready]", timeout=120_000)


def confirm(page: Page, dialog: str) -> None:
    """Press the dialog's own button."""
    page.click(f"#{dialog} button.button:not(.quiet)")


def sign(page: Page, password: str) -> None:
    """Tick what is to be read and sign."""
    for tick in page.query_selector_all("[data-tick]"):
        tick.check()
    if not page.is_visible("#sign"):
        page.click("#approve-open")
    page.fill("#sign-password", password)
    confirm(page, "sign")


def test_a_wrong_password_is_told_in_the_dialog_and_a_right_one_signs(
    browser: Browser, review: Review
) -> None:
    """Nothing that was ticked or typed is lost, nothing leaves before the right password."""
    with at_the_series(browser, review) as page:
        sign(page, "not my password")
        page.wait_for_selector("#sign [data-error]:has-text('password is not right')")
        assert review.item()["state"] == "review"
        assert all(tick.is_checked() for tick in page.query_selector_all("[data-tick]"))

        page.fill("#sign-password", PASSWORD)
        confirm(page, "sign")
        seen(page, "Sending")
    assert [r["who"] for r in review.node.audit() if r["action"] == "sign"] == ["physicist"]


def test_a_refused_series_is_set_aside_in_its_dialog(browser: Browser, review: Review) -> None:
    """Without a reason the browser asks for one; then it is no longer refused."""
    with review.shelf.engine.begin() as connection:
        connection.execute(sa.update(t.series).values(state="refused", sentence="It is odd."))
    with at_the_series(browser, review) as page:
        page.click("[data-dialog=aside]")
        confirm(page, "aside")
        assert page.evaluate("document.activeElement.id") == "aside-comment"
        page.fill("#aside-comment", "localiser")
        confirm(page, "aside")
        seen(page, "Rejected")
        assert page.get_by_text("Set aside by physicist: localiser.").first.is_visible()
    assert review.item()["state"] == "rejected"


def test_signed_held_signed_again_sent_sent_again_and_withdrawn(
    browser: Browser, review: Review, start_storescp: StartStorescp
) -> None:
    """A hold stops what is on its way; the same images go twice; a Key Object calls them back."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    peers = (_peer("ECLIPSE_RT", tps.port),)
    with at_the_series(browser, review) as page:
        sign(page, PASSWORD)
        seen(page, "Sending")
        page.click("[data-dialog=hold]")
        page.fill("#hold-comment", "wrong patient?")
        confirm(page, "hold")
        seen(page, "Waiting for review")
        assert "Held by physicist: wrong patient?" in page.inner_text(".decide-what")
        review.deliver(peers)
        assert tps.files() == []

        sign(page, PASSWORD)
        seen(page, "Sending")
        review.deliver(peers)
        page.reload()
        seen(page, "Delivered")
        first = {p.name for p in tps.files()}

        page.click("[data-dialog=resend]")
        page.select_option("#resend-to", "ECLIPSE_RT")
        confirm(page, "resend")
        seen(page, "Sending")
        review.deliver(peers)
        assert {p.name for p in tps.files()} == first
        page.reload()
        seen(page, "Delivered")

        page.click("[data-dialog=withdraw]")
        page.select_option("#withdraw-concept", "safety")
        page.fill("#withdraw-comment", "Wrong skull.")
        page.fill("#withdraw-password", PASSWORD)
        confirm(page, "withdraw")
        seen(page, "Rejected")
        review.deliver(peers)
        notices = [p for p in tps.files() if pydicom.dcmread(p).Modality == "KO"]
        assert len(notices) == 1
        for what in ("Sign", "Hold", "Withdrawn by physicist"):
            assert what in page.inner_text(".timeline")


def test_run_again_with_another_model_and_hold_and_resume_before_it_is_made(
    browser: Browser, review: Review
) -> None:
    """A new attempt begins with the model that was chosen; a hold is taken back while it waits."""
    with at_the_series(browser, review) as page:
        page.click("[data-dialog=rerun]")
        page.select_option("#rerun-model", "pelvis-t2")
        confirm(page, "rerun")
        seen(page, "Queued")
        assert "attempt 2" in page.inner_text(".series-head")
        page.click("[data-dialog=hold]")
        confirm(page, "hold")
        page.wait_for_selector("form[action$='/resume'] button")
        assert review.item()["held_by"] == "physicist"
        page.click("form[action$='/resume'] button")
        page.wait_for_selector("[data-dialog=hold]")
        assert review.item()["held_by"] is None
    assert [r["action"] for r in review.node.audit() if r["action"] in ("hold", "resume")] == [
        "hold",
        "resume",
    ]


def test_a_viewer_reads_and_decides_nothing(browser: Browser, review: Review) -> None:
    """Images, findings and history as for anybody; no tick, no button, and a word on who may."""
    with visiting(browser, review.node.url, forgiven=("willReadFrequently",)) as visit:
        page = visit.go(f"/series/{review.series}")
        page.fill("#name", "viewer")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("#viewer[data-ready]", timeout=120_000)
        assert "A physicist approves or rejects." in page.inner_text(".decide")
        assert page.locator("[data-tick], [data-dialog], #approve-open, .decide form").count() == 0
        assert page.locator("dialog").count() == 1  # the keys
        assert page.locator(".checks .point").count() > 0


def test_j_and_k_go_from_series_to_series(browser: Browser, clinic: str) -> None:
    """In the order of the queue, within what needs somebody, and no further than its ends."""
    with visiting(browser, clinic, forgiven=("404",)) as visit:
        page = visit.go("/")
        hrefs = [a.get_attribute("href") for a in page.query_selector_all(".rows")[0]
                 .query_selector_all("a.row-link")]  # fmt: skip
        assert len(hrefs) > 2
        page = visit.go(str(hrefs[0]))
        for key, wanted in (("k", hrefs[0]), ("j", hrefs[1]), ("j", hrefs[2]), ("k", hrefs[1])):
            page.keyboard.press(key)
            page.wait_for_url(f"**{wanted}")
            page.wait_for_load_state("domcontentloaded")
