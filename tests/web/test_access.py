"""Every page of the queue and of a series, in both themes and languages: axe-core and keyboard."""

import pytest
from playwright.sync_api import Browser

from tests.web.browsing import DESKTOP, PHONE, violations, visiting

# Series 1 has images and warnings; 4 failed at a destination, 5 was refused by a check.
_PATHS = ("/", "/series/1", "/series/4", "/series/5", "/nowhere")
# Rows of the sample without files: their images answer 404, which the console repeats.
_FORGIVEN = ("404",)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_no_violation(browser: Browser, clinic: str, theme: str, language: str) -> None:
    """WCAG 2.2 AA and best practices hold on every page, wide and narrow."""
    sizes = (DESKTOP, PHONE) if language == "fr" else (DESKTOP,)  # French needs more room
    for size in sizes:
        with visiting(
            browser, clinic, size=size, theme=theme, language=language, forgiven=_FORGIVEN
        ) as visit:
            for path in _PATHS:
                page = visit.go(path)
                if path.startswith("/series"):
                    page.wait_for_selector("#viewer[data-ready], #viewer[data-failed]")
                assert violations(page) == [], f"{path} at {size}"
                assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            page = visit.see("/series/1")
            page.keyboard.press("?")
            assert violations(page) == []


def test_the_queue_is_worked_by_keyboard(browser: Browser, clinic: str) -> None:
    """/ searches, J and K walk the rows, Enter opens, and the focus is seen."""
    with visiting(browser, clinic) as visit:
        page = visit.go("/")
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.type("alix")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?q=alix")
        page.keyboard.press("j")
        assert page.inner_text(":focus") == "SPECIMEN Alix"
        page.keyboard.press("j")
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        page.wait_for_url("**/series/*")


def test_without_scripts_the_images_are_still_there(browser: Browser, clinic: str) -> None:
    """A browser without scripts reads the queue and sees planes drawn by the node."""
    with visiting(browser, clinic, java_script_enabled=False) as visit:
        page = visit.go("/series/1")
        image = page.locator(".plane.axial noscript img").first
        assert image.count() == 1
        answer = visit.context.request.get(
            f"{clinic}/series/1/sct/axial.png?at=12&level=40&width=80"
        )
        assert answer.headers["content-type"] == "image/png"


def test_fifty_tabs_share_one_stream(browser: Browser, clinic: str) -> None:
    """However many tabs are open, one event stream is; when its tab closes another takes over."""
    with visiting(browser, clinic) as visit:
        streams: list[str] = []
        visit.context.on("request", lambda r: streams.append(r.url) if "/events" in r.url else None)
        visit.go("/")
        tabs = [visit.open() for _ in range(49)]
        for tab in tabs:
            tab.goto(f"{clinic}/?q=nobody", wait_until="commit")
        tabs[-1].wait_for_selector("#queue")
        assert len(streams) == 1
        visit.page.close()
        tabs[-1].wait_for_function(
            "() => navigator.locks.query().then(s => s.held.length === 1)", timeout=20_000
        )
        deadline = 100
        while len(streams) < 2 and deadline:
            tabs[-1].wait_for_timeout(100)
            deadline -= 1
        assert len(streams) == 2
