"""The network page in a real browser, over a node that runs: stories, roles, accessibility."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page

from node.archive.people.audit import Audit
from node.archive.people.credentials import Credentials
from node.archive.schema import tables as t
from node.config.settings import load
from node.domain.access import Role
from node.run import app
from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import run_echoscu, start_storescp
from tests.peers.waiting import is_listening, wait_until
from tests.phantoms.faults import broken
from tests.phantoms.mr import mr_series, write
from tests.web.guarded import PASSWORD

pytestmark = pytest.mark.interop
AXE = Path(__file__).parent / "vendor/axe.min.js"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a node that asks who it is, with an account of each role."""
    folder = tmp_path_factory.mktemp("network")
    tps = start_storescp(folder / "received")
    made = make_node(folder / "node", tps)
    settings = load(made.config, {})
    accounts = app.accounts(settings)
    for role in Role:
        accounts.add(role.value, role, PASSWORD, who="test")
    made.start()
    wait_until(lambda: is_listening(made.web_port), "the page", timeout_s=120)
    yield made
    made.stop()
    accounts.engine.dispose()
    tps.stop()


class Visit:
    """A page of somebody logged in, that notes what must not be."""

    def __init__(self, browser: Browser, node: Node, role: str | None, **options: str) -> None:
        self.url = f"http://127.0.0.1:{node.web_port}"
        self.context: BrowserContext = browser.new_context(locale=options.get("locale", "en-GB"))
        if role is not None:
            self.context.add_cookies([{"name": "pctnode_session", "value": _session(node, role),
                                       "url": self.url}])  # fmt: skip
        if "theme" in options:
            self.context.add_cookies(
                [{"name": "pctnode_theme", "value": options["theme"], "url": self.url}]
            )
        self.context.set_default_timeout(120_000)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.wrong.append(str(e)))
        self.page.on("request", self._noted)

    def _noted(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith((self.url, "data:", "blob:")):
            self.wrong.append(f"left the host: {url}")

    def open(self, path: str) -> Page:
        """Go to ``path``."""
        self.page.goto(self.url + path)
        return self.page

    def close(self) -> None:
        """End it; nothing may have gone wrong."""
        self.context.close()
        assert self.wrong == []


def _session(node: Node, role: str) -> str:
    engine = app.database(load(node.config, {}))
    with engine.connect() as connection:
        query = sa.select(t.accounts.c.id).where(t.accounts.c.name == role)
        number = connection.execute(query).scalar_one()
    secret = Credentials(engine).open_session(number, address="127.0.0.1", hours=1)
    engine.dispose()
    return secret


def test_a_refused_system_is_added_in_two_clicks(node: Node, browser: Browser) -> None:
    """An unknown AE is refused; the page says why; two clicks later it is let in."""
    assert run_echoscu(node.dicom_port, calling="CT_WS3").returncode != 0
    visit = Visit(browser, node, "admin")
    page = visit.open("/network")
    row = page.locator("#associations tr", has_text="CT_WS3").first

    assert "refused" in row.inner_text()
    assert "is no peer of this node" in row.inner_text()
    row.get_by_role("link", name="Add CT_WS3 to the table").click()
    assert page.get_by_label("AE title").input_value() == "CT_WS3"
    assert page.get_by_label("Host name or IP address").input_value() == "127.0.0.1"
    page.get_by_role("button", name="Add the system").click()

    page.wait_for_url("**/network#systems")
    assert "CT_WS3" in page.locator("#systems").inner_text()
    assert run_echoscu(node.dicom_port, calling="CT_WS3").returncode == 0
    page.reload()
    associations = page.locator("#associations")
    assert associations.get_by_text("accepted").count() >= 1
    assert associations.get_by_role("link", name="Add CT_WS3").count() == 0
    visit.close()


def test_both_ways_are_verified_from_the_page(node: Node, browser: Browser) -> None:
    """Our echo to the planning system is answered and stands in its row, with who asked."""
    visit = Visit(browser, node, "physicist")
    page = visit.open("/network")
    page.get_by_role("button", name="C-ECHO tps").click()
    page.wait_for_url("**/network#systems", timeout=90_000)

    row = page.locator("#systems tr", has_text="TPS")
    assert "answered" in row.inner_text()
    visit.close()
    engine = app.database(load(node.config, {}))
    acts = [(r["who"], r["action"], r["target"]) for r in Audit(engine).rows()]
    engine.dispose()
    assert ("physicist", "echo", "system tps") in acts


def test_a_route_is_added_with_several_of_each(node: Node, browser: Browser) -> None:
    """Commas or spaces between body parts, commas between descriptions, which have spaces."""
    visit = Visit(browser, node, "admin")
    page = visit.open("/network")
    page.get_by_text("Add a route").first.click()
    form = page.locator("form[action='/network/routes']")
    form.get_by_label("Name").fill("listed")
    form.get_by_label("Body parts").fill("HEAD, BRAIN;SKULL NECK,")
    form.get_by_label("Series descriptions").fill("*T1 MPRAGE*, *BRAVO*")
    form.get_by_role("button", name="Add a route").click()
    line = page.locator("#routes li", has_text="listed")
    line.wait_for()

    assert "HEAD or BRAIN or SKULL or NECK" in line.inner_text()
    assert "*T1 MPRAGE* or *BRAVO*" in line.inner_text()
    visit.close()


def test_a_route_is_tried_with_files(node: Node, browser: Browser, tmp_path: Path) -> None:
    """An uploaded series is told its route, and a file that is none is said to be so."""
    mr_series((24, 48, 48), (4.0, 4.0, 4.0)).write(tmp_path / "mr")
    visit = Visit(browser, node, "physicist")
    page = visit.open("/network")
    page.get_by_label("Files").set_input_files(sorted((tmp_path / "mr").iterdir()))
    page.get_by_role("button", name="Try these files").click()
    told = page.get_by_role("status").filter(has_text="route")
    told.wait_for(timeout=120_000)

    assert "takes route" in told.inner_text()
    assert "to tps" in told.inner_text()
    visit.close()


def test_a_route_is_tried_with_a_folder(node: Node, browser: Browser, tmp_path: Path) -> None:
    """A folder with folders in it, on the French page: its series, its route, what was found."""
    mr_series((24, 48, 48), (4.0, 4.0, 4.0)).write(tmp_path / "study/mr")
    write(broken("missing slice"), tmp_path / "study/deep/gap")
    visit = Visit(browser, node, "physicist", locale="fr-FR")
    page = visit.open("/network")
    page.get_by_label("Dossier").set_input_files(tmp_path / "study")
    page.get_by_role("button", name="Essayer ces fichiers").click()
    told = page.get_by_role("status").filter(has_text="règle")
    told.wait_for(timeout=120_000)

    assert told.get_by_text("suit la règle").count() == 2
    assert "contrôles réussis" in told.inner_text()
    assert "serait refusée" in told.inner_text()
    assert "Il manque" in told.inner_text()
    visit.close()


@pytest.mark.parametrize(
    ("role", "places", "buttons"),
    [
        ("viewer", {"Queue", "Network"}, set()),
        ("physicist", {"Queue", "Network"}, {"C-ECHO tps", "Try these files"}),
        ("admin", {"Queue", "Network", "Audit", "Accounts"}, {"C-ECHO tps", "Try these files"}),
    ],
)
def test_each_role_sees_what_it_may_do(
    node: Node, browser: Browser, role: str, places: set[str], buttons: set[str]
) -> None:
    """Navigation and buttons are those of the role; nobody is shown what would be refused."""
    visit = Visit(browser, node, role)
    page = visit.open("/network")
    nav = set(page.get_by_role("navigation", name="Main").inner_text().split())
    offered = {" ".join(b.inner_text().split()) for b in page.locator("main button").all()}

    assert places <= nav
    assert not ({"Audit", "Accounts"} - places) & nav
    assert buttons <= offered
    assert (page.get_by_role("link", name="Add a system").count() > 0) == (role == "admin")
    assert bool(offered) == bool(buttons)
    visit.close()


def test_log_in_with_the_keyboard_alone(node: Node, browser: Browser) -> None:
    """Name, tab, password, enter: in; and out again."""
    visit = Visit(browser, node, None)
    page = visit.open("/network")
    page.keyboard.type("viewer")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/network")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/log-in")
    visit.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_no_page_has_an_accessibility_fault(
    node: Node, browser: Browser, theme: str, locale: str
) -> None:
    """axe-core finds nothing on each page of accounts and network, in each theme and language."""
    axe = AXE.read_text()
    found = {}
    paths = {
        None: ["/log-in", "/set-up?ticket=none"],
        "admin": ["/network", "/network/systems/new?ae_title=X&host=10.0.0.1", "/account",
                  "/accounts", "/audit"],
        "viewer": ["/network", "/audit"],
    }  # fmt: skip
    for role, places in paths.items():
        visit = Visit(browser, node, role, theme=theme, locale=locale)
        for path in places:
            page = visit.open(path)
            page.evaluate(axe)
            result = page.evaluate("axe.run()")
            found[path, role] = [
                (v["id"], v["nodes"][0]["html"][:120]) for v in result["violations"]
            ]
        visit.wrong = [w for w in visit.wrong if "403" not in w and "404" not in w]
        visit.close()

    assert {place: faults for place, faults in found.items() if faults} == {}
