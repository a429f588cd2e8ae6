"""What people come to the page for, on a running node with real peers, in a real browser."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pydicom.dataset import FileDataset

from tests.crash.harness import Node, make_node
from tests.peers.dcmqrscp import start_dcmqrscp
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import free_port, wait_until
from tests.phantoms.faults import broken
from tests.phantoms.mr import mr_series, write
from tests.web.browsing import Visit, visiting

pytestmark = pytest.mark.interop
_PATIENCE_MS = 240_000  # several suites may share the machine
Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start nodes that ask nobody who he is; they end with the test."""
    started: list[Node] = []

    def begin(tps: Any, **settings: Any) -> Node:
        node = make_node(tmp_path / f"node{len(started)}", tps, **settings)
        node.environment = {"PCTNODE_WEB__AUTH": "none"}
        started.append(node)
        node.start()
        wait_until(node.healthy, "the page", timeout_s=240)
        return node

    yield begin
    for node in started:
        if not node.ended():
            node.stop()


def push(node: Node, datasets: Sequence[FileDataset], folder: Path) -> None:
    """Send instances as a PACS does, again until the node has taken all of them."""
    files = write(datasets, folder)

    def taken() -> bool:
        return run_storescu(node.dicom_port, files).returncode == 0

    wait_until(taken, "the node to take the series", timeout_s=90, every_s=0.5)


def visit_to(browser: Browser, node: Node, **more: Any) -> AbstractContextManager[Visit]:
    """Visit the node's page."""
    return visiting(browser, f"http://127.0.0.1:{node.web_port}", **more)


def phantom(**tags: Any) -> Sequence[FileDataset]:
    """A small series of somebody with a name."""
    tags = {"PatientName": "SPECIMEN^Alix", "PatientID": "PX-004182", **tags}
    return mr_series((24, 20, 18), (4.0, 4.0, 4.0), tags=tags).datasets


def see_state(page: Page, word: str) -> None:
    """Wait, without a reload by hand, until the one series stands in the state of that word."""
    page.wait_for_selector(f".badge:has-text('{word}'), .row .state:has-text('{word}')",
                           timeout=_PATIENCE_MS)  # fmt: skip


def test_a_series_arrives_and_is_watched_to_delivery(
    browser: Browser, start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """An open queue shows the series arrive and reach the planning system by itself.

    The keyboard stays where it was, and the node may restart meanwhile.
    """
    tps = start_storescp()
    node = start(tps)
    with visit_to(browser, node, forgiven=("ERR_CONNECTION", "ERR_INCOMPLETE", "500")) as visit:
        page = visit.go("/")
        assert "No series has arrived yet" in page.inner_text("#queue")
        page.fill("#q", "keep me")
        push(node, phantom(), tmp_path / "mr")
        see_state(page, "Delivered")
        assert page.evaluate("document.activeElement.id") == "q"
        assert page.input_value("#q") == "keep me"
        assert page.inner_text(".row .name") == "SPECIMEN Alix"
        assert len(tps.files()) > 0

        assert node.stop() == 0
        page.wait_for_selector("#offline:not([hidden])", timeout=_PATIENCE_MS)
        node.start()
        page.wait_for_selector("#offline", state="hidden", timeout=_PATIENCE_MS)
        page.click(".row .name")
        page.wait_for_selector("#viewer[data-ready]", timeout=_PATIENCE_MS)
        assert "objects stored at tps" in page.inner_text("#series-side")


def test_a_warning_is_read_shown_ticked_and_signed(
    browser: Browser, start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """Approval opens when every warning is ticked and the images are seen; then it is sent."""
    tps = start_storescp()
    node = start(tps, release="checks-passed")
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_10918_1"}
    push(node, phantom(**lossy), tmp_path / "mr")
    with visit_to(browser, node) as visit:
        page = visit.go("/")
        see_state(page, "Waiting for review")
        assert tps.files() == []
        page.click(".row .name")
        page.wait_for_selector("#viewer[data-ready]", timeout=_PATIENCE_MS)
        assert "compressed with loss" in page.inner_text(".checks")
        assert page.is_disabled("#approve-open")
        for tick in page.query_selector_all("[data-tick]"):
            tick.check()
        assert not page.is_visible("#read-first")
        page.click("#approve-open")
        count = len(list((node.data / "outputs").rglob("*.dcm")))
        assert f"{count} synthetic CT images of SPECIMEN Alix" in page.inner_text("#sign")
        page.click("#sign .button.main")
        see_state(page, "Delivered")
        assert len(tps.files()) == count
        assert "Sign" in page.inner_text(".timeline")


def test_a_refused_series_says_why_and_a_rejected_one_by_whom(
    browser: Browser, start: Start, tmp_path: Path
) -> None:
    """A missing slice is told in four parts; a rejection keeps its reason."""
    node = start(free_port(), release="signature")
    push(node, broken("missing slice"), tmp_path / "gap")
    with visit_to(browser, node) as visit:
        page = visit.go("/")
        see_state(page, "Refused")
        page.click(".row .name")
        told = page.inner_text(".trouble")
        for part in ("Slices missing", "nothing is lost", "Why", "is missing", "What to do"):
            assert part in told
        push(node, phantom(), tmp_path / "good")
        page = visit.go("/")
        see_state(page, "Waiting for review")
        page.click(".row:has-text('Waiting for review') .name")
        page.fill("#comment", "Hip implant void")
        page.click(".decide-reject .button")
        see_state(page, "Rejected")
        assert "Hip implant void" in page.inner_text(".timeline")


def test_a_destination_is_down_and_comes_back(
    browser: Browser, start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """While the planning system is away the page says so and when; it is sent when it is back."""
    port = free_port()
    node = start(port)
    push(node, phantom(), tmp_path / "mr")
    with visit_to(browser, node, language="fr") as visit:
        page = visit.go("/")
        page.wait_for_selector(".row:has-text('injoignable')", timeout=_PATIENCE_MS)
        page.click(".row .name")
        page.wait_for_selector("#series-side:has-text('prochain essai')", timeout=_PATIENCE_MS)
        tps = start_storescp(port=port)
        see_state(page, "Envoyé")
        assert len(tps.files()) > 0


def test_a_study_is_pulled_from_the_archive_by_its_form(
    browser: Browser, start: Start, start_storescp: StartStorescp, tmp_path: Path
) -> None:
    """The archive does not answer at first, and the page says why; then its study becomes an sCT.

    On the French page all of it is French.
    """
    tps, port = start_storescp(), free_port()
    node = start(tps, pacs_port=port)
    datasets = phantom()
    with visit_to(browser, node, language="fr") as visit:
        page = visit.go("/network")
        row = page.locator("#systems tr", has_text="PACS")
        row.get_by_role("button", name="C-ECHO").click()
        page.wait_for_selector("#systems tr:has-text('PACS'):has-text('injoignable')",
                               timeout=_PATIENCE_MS)  # fmt: skip

        archive = start_dcmqrscp(
            tmp_path / "qr", ae_title="PACS", port=port, hosts={"n": ("PCTNODE", node.dicom_port)}
        )
        try:
            archive.fill(write(datasets, tmp_path / "mr"))
            row.get_by_role("button", name="C-ECHO").click()
            page.wait_for_selector("#systems tr:has-text('PACS') .state.ok", timeout=_PATIENCE_MS)
            page.select_option("#pull-peer", "pacs")
            page.fill("#pull-study", str(datasets[0].StudyInstanceUID))
            page.click("#pull button")
            page.wait_for_selector("#pull [role=status].ok", timeout=_PATIENCE_MS)
        finally:
            archive.stop()
        count = len(datasets)
        told = page.inner_text("#pull [role=status]")
        assert f"pacs a envoyé {count} images sur {count}" in told
        page = visit.go("/")
        see_state(page, "Envoyé")
        assert len(tps.files()) > 0
