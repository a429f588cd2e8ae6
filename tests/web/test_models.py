"""Models: the card, verification, sign-off, and what a sign-off changes about what leaves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Browser, Page
from pydicom.dataset import FileDataset

from node.archive.people.audit import Audit, By
from node.archive.query.queries import Queries
from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.site.site_repository import SiteBook
from node.archive.work.runs import Runs
from node.domain.plan import ModelRef
from node.domain.sign_off import Scope, Source, checked_scope
from node.domain.site import Site
from node.infer.model_card import card
from node.infer.registry import Registry
from node.web.app import create_app
from node.web.views.page_services import Desk
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import free_port, wait_until
from tests.phantoms.mr import mr_series
from tests.phantoms.tiny_onnx import write_affine_model
from tests.web.guarded import PASSWORD, Node, access_of, roles_into, store
from tests.web.serving import listening
from tests.web.test_stories import Start, phantom, push, see_state, start, visit_to

__all__ = ["start"]
TINY = "/models/tiny/1.0.0"
SCOPE = {"manufacturer": "Phantom", "scanner": "Code", "protocol": "T1*"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node with accounts and one model of known arithmetic."""
    folder = tmp_path_factory.mktemp("models")
    roles_into(folder)
    engine = store(folder)
    write_affine_model(folder / "onnx", slope=0.2, intercept=-200.0, spacing_mm=4.0)
    registry = Registry.scan(folder / "onnx")
    desk = Desk(
        book=SiteBook(engine, Site(peers=(), routes=()), models=lambda: {"tiny"}),
        echoes=Echoes(engine),
        try_routes=lambda _folder: [],
        models=lambda: [card(m) for m in registry.models],
        model_book=ModelBook(engine),
    )
    access = access_of(engine)
    app = create_app(queries=Queries(engine), access=access, desk=desk, archive_root=folder)
    with listening(app) as port:
        made = Node(port=port, engine=engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    engine.dispose()


def ref(node: Node) -> ModelRef:
    """The identity of the one model."""
    (item,) = node.session("viewer").get("/api/models").json()
    keys = ("name", "version", "sha256", "body_part", "spacing_mm")
    return ModelRef(**{key: item[key] for key in keys})


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_page_tells_what_the_manifest_says(node: Node, language: str) -> None:
    """Name, hash, licence, card and that nothing is signed off yet, for a viewer as well."""
    client = node.session("viewer")
    client.cookies.set("pctnode_language", language)
    told = client.get(TINY).text

    assert ref(node).sha256 in told
    assert {"en": "Licence", "fr": "Entraîné sur"}[language] in told
    assert 'name="password"' not in told
    assert "tiny" in client.get("/models").text


@pytest.mark.parametrize(
    ("who", "change", "status"),
    [
        ("viewer", {}, 403),
        ("physicist", {"password": ""}, 403),
        ("physicist", {"password": "wrong"}, 403),
        ("physicist", {"scanner": "*"}, 422),
        ("physicist", {"protocol": " ** "}, 422),
        ("physicist", {"manufacturer": ""}, 422),
        ("physicist", {"sha256": "0" * 64}, 422),
    ],
)
def test_a_sign_off_is_proved_and_names_what_it_is_for(
    node: Node, who: str, change: dict[str, str], status: int
) -> None:
    """Role, password and a scope that names something each stop it, and nothing stands."""
    body = {**SCOPE, "password": PASSWORD, **change}
    answer = node.session(who).post(f"/api{TINY}/sign-offs", json=body)

    assert answer.status_code == status, answer.text
    assert ModelBook(node.engine).sign_offs(ref(node).sha256) == []


def test_signed_off_revoked_and_written_down(node: Node) -> None:
    """It stands once, ends with a reason and a password, and both are lines of the audit trail."""
    client, book = node.session("physicist"), ModelBook(node.engine)
    body = {**SCOPE, "password": PASSWORD, "note": "20 patients, report 7"}
    assert client.post(f"/api{TINY}/sign-offs", json=body).status_code == 201
    assert client.post(f"/api{TINY}/sign-offs", json=body).status_code == 409
    sha256 = ref(node).sha256
    covered = Source(manufacturer="PHANTOM", scanner="Code", protocol="T1 phantom")
    other = Source(manufacturer="PHANTOM", scanner="Code", protocol="T2")
    (standing,) = book.sign_offs(sha256)
    assert (book.covering(sha256, covered), book.covering(sha256, other)) == (standing["id"], None)
    assert book.covering("0" * 64, covered) is None
    assert "report 7" in client.get(TINY).text

    revoke = f"/api/sign-offs/{standing['id']}/revoke"
    assert client.post(revoke, json={"reason": "drift"}).status_code == 403
    ended = {"reason": "drift", "password": PASSWORD}
    assert client.post(revoke, json=ended).status_code == 200
    assert client.post(revoke, json=ended).status_code == 404
    assert book.covering(sha256, covered) is None
    acts = [(r["who"], r["action"], r["target"]) for r in node.audit()]
    assert ("physicist", "sign off model", "model tiny 1.0.0") in acts
    assert ("physicist", "revoke sign-off", "model tiny 1.0.0") in acts
    assert Audit(node.engine).verify().broken_at is None


@pytest.mark.parametrize(
    ("scope", "source", "covers"),
    [
        (("Siemens*", "Vida", "*MPRAGE*"), ("SIEMENS HEALTHINEERS", "vida", "t1_mprage_sag"), True),
        (("Siemens*", "Vida", "*MPRAGE*"), ("SIEMENS", "Sola", "t1_mprage_sag"), False),
        (("Siemens*", "Vida", "*MPRAGE*"), ("SIEMENS", "Vida", ""), False),
        (("*a*", "*1*", "*1*"), ("", "", ""), False),
    ],
)
def test_what_a_scope_covers(
    scope: tuple[str, str, str], source: tuple[str, str, str], covers: bool
) -> None:
    """Case does not count, a star stands for anything, and nothing fits what is not said."""
    keys = ("manufacturer", "scanner", "protocol")
    made = checked_scope(**dict(zip(keys, scope, strict=True)))

    assert made.covers(Source(**dict(zip(keys, source, strict=True)))) is covers


def named(name: str, **tags: Any) -> Sequence[FileDataset]:
    """A small series with UIDs of its own."""
    return mr_series((24, 20, 18), (4.0, 4.0, 4.0), name=name, tags=tags).datasets


def described(files: list[Path]) -> set[str]:
    """SeriesDescription of what has arrived."""
    return {str(pydicom.dcmread(path).SeriesDescription) for path in files}


@pytest.mark.interop
def test_only_what_is_signed_off_leaves_as_more_than_research(
    browser: Browser, start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """RESEARCH before, not after the sign-off on the page, and again once it is revoked.

    What was made under a sign-off that was revoked meanwhile does not leave at all.
    """
    tps = start_storescp()
    node = start(tps, release="signature")
    with visit_to(browser, node, forgiven=("409",)) as visit:
        push(node, phantom(), tmp_path / "first")
        page = visit.go("/")
        see_state(page, "Waiting for review")

        page = visit.go(TINY)
        page.click("text=Verify tiny")
        page.wait_for_selector("#checks .state.ok", timeout=240_000)
        page.click("text=Sign off for a scanner")
        assert page.input_value("#off-scanner") == "Code"
        page.fill("#off-note", "twenty patients")
        page.click("text=Sign the model off")
        page.wait_for_selector("#sign-offs .sign-off .state.ok")

        series = visit.see("/series/1")
        assert "RESEARCH" in series.inner_text(".decide-what")
        series.click("[data-dialog=rerun]")
        series.click("#rerun .button.main")
        wait_until(lambda: _label(node) == (2, ""), "the second attempt", timeout_s=240)
        see_state(visit.go("/"), "Waiting for review")
        assert "RESEARCH" not in visit.see("/series/1").inner_text(".decide-what")

        page = visit.go(TINY)
        page.click("text=Revoke sign-off 1")
        page.fill("#why-1", "wrong coil")
        page.click(".sign-off .button.danger")
        page.wait_for_selector("#sign-offs .sign-off .state.idle")
        series = visit.see("/series/1")
        _read(series)
        series.click("#approve-open")
        series.click("#sign .button.main")
        series.wait_for_selector("#sign [data-error]:has-text('revoked')")
        assert tps.files() == []

        series.click("#sign [data-close]")
        series.click("[data-dialog=rerun]")
        series.click("#rerun .button.main")
        wait_until(lambda: _label(node) == (3, "RESEARCH"), "the third attempt", timeout_s=240)
        see_state(visit.go("/"), "Waiting for review")
        series = visit.see("/series/1")
        _read(series)
        series.click("#approve-open")
        series.click("#sign .button.main")
        see_state(series, "Delivered")
    assert {text.split()[0] for text in described(tps.files())} == {"RESEARCH"}


@pytest.mark.interop
def test_under_a_standing_sign_off_it_leaves_by_the_sites_own_word(
    start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """A route that releases by itself sends what its scanner is signed off for without RESEARCH.

    A series of another scanner leaves as RESEARCH; a revocation stops what is on its way.
    """
    tps = start_storescp()
    node = start(tps, release="auto")
    engine = node.engine()
    book, queries = ModelBook(engine), Queries(engine)
    (model,) = Registry.scan(node.folder / "models").models
    number = book.sign_off(model.ref, Scope(**SCOPE), By(who="physicist"))
    push(node, named("covered"), tmp_path / "covered")
    push(node, named("other", ManufacturerModelName="Other"), tmp_path / "other")

    def delivered() -> bool:
        return [i["state"] for i in queries.series_items()] == ["delivered"] * 2

    wait_until(delivered, "both to be delivered", timeout_s=240)
    assert {text.split()[0] for text in described(tps.files())} == {"RESEARCH", "sCT"}
    seen = {(s["scanner"], s["series"]) for s in book.seen(model.ref.sha256)}
    assert seen == {("Code", 1), ("Other", 1)}

    node.stop()
    _redirect(node, free_port())
    node.start()
    push(node, named("third"), tmp_path / "third")
    wait_until(lambda: "delivering" in _states(queries), "a delivery that waits", timeout_s=240)
    assert book.revoke(number, By(who="physicist"), reason="drift") == 1
    wait_until(lambda: "review" in _states(queries), "it to stop", timeout_s=60)
    (item,) = queries.series_items(states=["review"])
    assert "revoked by physicist: drift" in item["sentence"]
    assert [d["state"] for d in item["deliveries"]] == ["failed"]
    engine.dispose()


def _read(page: Page) -> None:
    """Tick what is to be read: the model has no limits to check its result by."""
    for tick in page.query_selector_all("[data-tick]"):
        tick.check()


def _label(node: Any) -> tuple[int, str]:
    """Attempt and label of the newest plan."""
    engine = node.engine()
    try:
        item = Queries(engine).series_detail(1)
        assert item is not None
        run = item["runs"][-1]
        plan = Runs(engine).get(run["id"]).plan
        ready = item["state"] == "review" and plan is not None
        return (run["attempt"], plan["status_label"] if ready and plan else "-")
    finally:
        engine.dispose()


def _states(queries: Queries) -> list[str]:
    return [i["state"] for i in queries.series_items()]


def _redirect(node: Any, port: int) -> None:
    text = node.config.read_text()
    head, _, tail = text.partition('name = "tps"')
    lines = tail.splitlines()
    at = next(n for n, line in enumerate(lines) if line.strip().startswith("port"))
    lines[at] = f"port = {port}"
    node.config.write_text(f'{head}name = "tps"' + "\n".join(lines) + "\n")
