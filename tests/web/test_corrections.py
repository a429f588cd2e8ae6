"""A correction that waits, on the page and over the API: seen by all, decided by who may sign."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser, Page
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.rows.index import Index
from tests.phantoms.mr import part10
from tests.phantoms.small_mr import data_set_of
from tests.web.browsing import violations, visiting
from tests.web.guarded import PASSWORD
from tests.web.test_decisions import Review, accounts, review

__all__ = ["accounts", "review"]
pytestmark = pytest.mark.interop
Change = Callable[[Dataset], None]


def moved(dataset: Dataset) -> None:
    """Another patient, study and series."""
    dataset.PatientID, dataset.PatientName = "RIGHT-1", "Right^Rita"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.881", "2.25.882"


def resend(review: Review, change: Change, count: int | None = None) -> None:
    """Receive the images of the series again after ``change``."""
    receiver = Receiver(Folder(review.shelf.root), Index(review.shelf.engine))
    context = ReceiveContext(
        transfer_syntax_uid=ExplicitVRLittleEndian, calling_ae="PACS", called_ae="PCTNODE",
        peer="pacs",
    )  # fmt: skip
    file = Path(review.shelf.root) / "again.dcm"
    for dataset in review.datasets[:count]:
        again = pydicom.dcmread(BytesIO(part10(dataset)))
        change(again)
        again.save_as(file)
        assert receiver.receive(data_set_of(file), context).outcome is Outcome.CONFLICT


def test_who_may_sign_adopts_over_the_api(review: Review) -> None:
    """Nobody else does, nor without his password; old and new values are told to all."""
    resend(review, moved)
    seen = review.node.session("viewer").get(f"/api/series/{review.series}").json()
    (told,) = seen["corrections"]
    changed = {d["attribute"]: (d["old"], d["new"]) for d in told["differences"]}
    assert changed["PatientID"] == (seen["patient_id"], "RIGHT-1")
    assert (told["state"], told["instances"]) == ("waiting", len(review.datasets))

    assert review.post("viewer", "adopt", password=PASSWORD).status_code == 403
    assert review.post("physicist", "adopt", password=PASSWORD[:-1]).status_code == 403
    assert review.post("physicist", "sign", **review.signature()).status_code == 409
    other = review.post("physicist", "adopt", password=PASSWORD, correction=told["id"] + 1)
    assert other.status_code == 409
    done = review.post("physicist", "adopt", password=PASSWORD, correction=told["id"])

    assert done.status_code == 200, done.text
    own = review.node.session("viewer").get(f"/api/series/{told['series']}").json()
    assert (own["patient_id"], own["instances"]) == ("RIGHT-1", len(review.datasets))
    assert own["state"] == "receiving"
    assert review.item()["state"] == "rejected"


def test_a_partial_correction_is_a_conflict(review: Review) -> None:
    """What is not whole is told as such, and dismissing it needs a reason."""
    resend(review, moved, 5)

    partial = review.post("physicist", "adopt", password=PASSWORD)
    silent = review.post("physicist", "dismiss", password=PASSWORD)
    done = review.post("physicist", "dismiss", password=PASSWORD, reason="sent by mistake")

    assert (partial.status_code, silent.status_code, done.status_code) == (409, 422, 200)
    assert "5 of 12" in partial.text
    assert review.item()["state"] == "review"


def _logged_in(page: Page) -> None:
    page.fill("#name", "physicist")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("#correction", timeout=120_000)
    page.wait_for_selector("#viewer[data-ready]", timeout=120_000)  # it fetches nothing any more


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("These images came again, corrected", "Adopt the correction", "Series 2 in the")),
        ("fr", ("Ces images sont revenues corrigées", "Adopter la correction", "Série 2 dans la")),
    ],
)
def test_the_page_shows_old_and_new_and_adopts(
    browser: Browser, review: Review, language: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    """In either language, without a fault of accessibility, up to the new revision."""
    resend(review, moved)
    forgiven = ("403", "409", "willReadFrequently")
    with visiting(browser, review.node.url, language=language, forgiven=forgiven) as visit:
        page = visit.go(f"/series/{review.series}")
        _logged_in(page)
        shown = page.inner_text("#correction")
        assert all(word in shown for word in words), shown
        assert "RIGHT-1" in shown
        assert review.item()["patient_id"] in shown
        assert page.query_selector("#approve-open") is None
        assert violations(page) == []
        page.screenshot(path=str(tmp_path / f"correction-{language}.png"))
        page.click("[data-dialog=adopt]")
        page.fill("#adopt-password", PASSWORD)
        page.click("#adopt button.button:not(.quiet)")
        page.wait_for_selector("#decided", timeout=120_000)
        page = visit.go("/series/2")
        assert "RIGHT-1" in page.inner_text("#series-head")


def test_the_queue_has_a_row_for_the_series_that_corrects(
    browser: Browser, review: Review, tmp_path: Path
) -> None:
    """Found by the corrected patient, it leads to the series it corrects."""
    resend(review, moved)
    with visiting(browser, review.node.url, forgiven=("willReadFrequently",)) as visit:
        page = visit.go("/series/2")
        page.fill("#name", "physicist")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(".trouble", timeout=120_000)
        assert f"series {review.series}" in page.inner_text(".trouble")
        page = visit.go("/")
        shown = page.inner_text("main")
        page.screenshot(path=str(tmp_path / "queue.png"))
        assert f"Corrects series {review.series}" in shown
        assert "Stopped: images came again from PACS" in shown or "to read" in shown
