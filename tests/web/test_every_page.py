"""Every page there is, furnished as at a clinic: axe-core, no wider than the screen."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.browsing import DESKTOP, PHONE, violations, visiting
from tests.web.equipped import MODEL_PAGE, equipped
from tests.web.sample import fill
from tests.web.shelf import Shelf
from tests.web.speed import MOST_SCRIPT_BYTES, script_bytes

PAGES = (
    "/", "/?show=delivered", "/?q=muster", "/series/1", "/series/3", "/network",
    "/network/systems/new", "/network/systems/pacs", "/models", MODEL_PAGE,
    "/system", "/audit", "/accounts", "/account", "/api/docs", "/nowhere",
)  # fmt: skip
OPENED = {MODEL_PAGE, "/network", "/accounts", "/api/docs"}
"""Pages whose details are opened as well."""
_EACH_STATE = ("/series/1", "/series/4", "/series/5", "/series/8")
"""In review, refused, running and delivered: each lets other things be done."""
Place = tuple[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve a furnished node; its address and the secret of an administrator's session."""
    shelf = Shelf(root=tmp_path_factory.mktemp("furnished"))
    fill(shelf)
    with equipped(shelf) as served:
        yield served


@pytest.mark.parametrize(
    ("theme", "language", "size"),
    [
        ("dark", "en", DESKTOP),
        ("light", "fr", DESKTOP),
        pytest.param("light", "en", PHONE, marks=pytest.mark.slow),
        ("dark", "fr", PHONE),
    ],
)
def test_every_page_is_without_fault(
    browser: Browser, place: Place, theme: str, language: str, size: tuple[int, int]
) -> None:
    """WCAG 2.2 AA and best practices, in both themes and languages, wide and narrow."""
    address, secret = place
    with visiting(
        browser, address, theme=theme, language=language, size=size, forgiven=("404",)
    ) as visit:
        visit.log_in(secret)
        for path in PAGES:
            page = visit.go(path)
            if path in OPENED:
                page.evaluate(
                    "document.querySelectorAll('details').forEach(d => { d.open = true })"
                )
            assert violations(page) == [], f"{path} in {theme}, {language}"
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
            assert page.evaluate("document.documentElement.lang") == language
            assert 0 < script_bytes(page) <= MOST_SCRIPT_BYTES, path


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_dialog_is_without_fault(
    browser: Browser, place: Place, theme: str, language: str
) -> None:
    """What opens over a series' page, whatever its state, on a desk and on a phone."""
    address, secret = place
    seen = set()
    for size in (DESKTOP, PHONE):
        with visiting(
            browser, address, theme=theme, language=language, size=size, forgiven=("404",)
        ) as visit:
            visit.log_in(secret)
            for path in _EACH_STATE:
                page = visit.go(path)
                for dialog in page.locator("dialog").all():
                    name = dialog.get_attribute("id")
                    dialog.evaluate("dialog => dialog.showModal()")
                    assert violations(page) == [], f"{name} of {path} in {theme}, {language}"
                    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
                    dialog.evaluate("dialog => dialog.close()")
                    seen.add(name)
    assert seen == {"keys", "sign", "aside", "rerun", "resend", "hold", "withdraw"}


def test_what_is_refused_is_without_fault(browser: Browser, place: Place) -> None:
    """The pages that say no: to a viewer, to a form sent twice, to a broken upload."""
    address, secret = place
    for theme, language in (("dark", "en"), ("light", "fr")):
        with visiting(
            browser, address, theme=theme, language=language, forgiven=("400", "404", "409")
        ) as visit:
            visit.log_in(secret)
            page = visit.go("/network")
            page.locator("form[action='/network/try'] button").click()
            page.locator(".trouble").wait_for()
            assert violations(page) == []
            page = visit.go("/network/systems/new?ae_title=NEW&host=10.0.0.1")
            page.fill("#ae_title", "PACS_MAIN")
            page.locator("main form button").first.click()
            page.locator(".field-error").wait_for()
            assert violations(page) == []
            page.goto(f"{address}/series/4")
            page.evaluate(
                "() => { const form = document.createElement('form'); form.method = 'post';"
                " form.action = '/series/4/reject'; document.body.append(form); form.submit(); }"
            )
            page.locator("#why").wait_for()
            assert violations(page) == []


def test_log_in_is_without_fault(browser: Browser, place: Place) -> None:
    """The page before all others, in both themes and languages, for whoever has no session."""
    for theme, language in (("dark", "fr"), ("light", "en")):
        with visiting(browser, place[0], theme=theme, language=language) as visit:
            page = visit.go("/series/1")
            assert "/log-in" in page.url
            assert violations(page) == []


def test_drift_is_drawn_and_its_points_lead_to_their_series(browser: Browser, place: Place) -> None:
    """Five figures over time with the limits of the model; a click opens what was measured."""
    address, secret = place
    with visiting(browser, address) as visit:
        visit.log_in(secret)
        page = visit.go(MODEL_PAGE)
        page.wait_for_selector("[data-figure=bone_share] canvas")
        assert page.locator("[data-figure] canvas").count() == 5
        painted = page.evaluate(
            "() => { const c = document.querySelector('[data-figure=bone_share] canvas');"
            " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " const seen = new Set(); for (let i = 0; i < d.length; i += 4)"
            " if (d[i + 3] > 200) seen.add(`${d[i]},${d[i+1]},${d[i+2]}`);"
            " return [...seen]; }"
        )
        assert "134,189,255" in painted  # --acc, the points
        assert "251,200,78" in painted  # --attn, the limits
        page.locator("[data-figure=bone_share] .u-over").click()
        page.wait_for_url("**/series/*")
