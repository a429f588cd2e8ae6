"""A real browser, and everything it did that a page of ours must not do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from node.web.auth.security import cookie_name
from tests.peers.tools import need_tool

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = Path(__file__).parent / "vendor/axe.min.js"
DESKTOP, PHONE = (1440, 900), (390, 844)


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, quiet towards the rest of the world."""
    return playwright.chromium.launch(executable_path=need_tool("chromium"), args=[*_FLAGS])


@dataclass(kw_only=True)
class Visit:
    """One browser context on one address, and what was noticed meanwhile."""

    address: str
    context: BrowserContext
    page: Page = field(init=False)
    complaints: list[str] = field(default_factory=list)
    """Console errors and warnings, errors of scripts, failed and foreign requests."""
    forgiven: tuple[str, ...] = ()
    """Parts of complaints that the test expects."""

    def __post_init__(self) -> None:
        self.context.on("request", self._request)
        self.page = self.open()

    def log_in(self, secret: str) -> None:
        """Come with a session that was opened past the form."""
        name = cookie_name(urlsplit(self.address).scheme)
        self.context.add_cookies([{"name": name, "value": secret, "url": self.address}])

    def open(self) -> Page:
        """One more tab."""
        page = self.context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda m: self._note(m.type, m.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        return page

    def go(self, path: str) -> Page:
        """Open a page of the node in the first tab."""
        self.page.goto(self.address + path)
        return self.page

    def see(self, path: str) -> Page:
        """Open a series and wait for its viewer."""
        page = self.go(path)
        page.wait_for_selector("#viewer[data-ready]")
        return page

    def _request(self, request: Any) -> None:
        own = urlsplit(self.address)
        there = urlsplit(request.url)
        if there.scheme not in ("data", "blob") and there.netloc != own.netloc:
            self._note("foreign", request.url)

    def _note(self, kind: str, text: str) -> None:
        wanted = kind in ("error", "warning", "foreign")
        if wanted and not any(part in text for part in self.forgiven):
            self.complaints.append(f"{kind}: {text}")


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    *,
    size: tuple[int, int] = DESKTOP,
    theme: str = "dark",
    language: str = "en",
    forgiven: tuple[str, ...] = (),
    **more: Any,
) -> Iterator[Visit]:
    """Visit a node; at the end nothing must have been complained about."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    context.add_cookies(
        [
            {"name": "pctnode_theme", "value": theme, "url": address},
            {"name": "pctnode_language", "value": language, "url": address},
        ]
    )
    visit = Visit(address=address, context=context, forgiven=forgiven)
    try:
        yield visit
        assert visit.complaints == [], visit.complaints
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with a page, WCAG 2.2 AA and best practices."""
    # Evaluated, not added as a script: the page's own policy forbids foreign scripts.
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {v['help']}: {json.dumps([n['target'] for n in v['nodes']])[:300]}"
        for v in found["violations"]
    ]
