"""The browser of the session, and archives that several tests look at."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.web.browsing import launch
from tests.web.head import WARNINGS, datasets, doubt, head, hounsfield
from tests.web.sample import fill
from tests.web.serving import served
from tests.web.shelf import Shelf, page_of


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A day's queue, whose first series has images and two warnings; nobody may decide here."""
    shelf = Shelf(root=tmp_path_factory.mktemp("clinic"))
    made = head((64, 64, 48), 4.0)
    files = datasets(made)
    series = shelf.receive(files, patient_name="SPECIMEN^Alix", patient_id="PX-004182")
    shelf.synthesise(
        series, files, hounsfield(made), findings=WARNINGS, uncertainty=doubt(made), spacing_mm=4.0
    )
    fill(shelf)
    with served(page_of(shelf)) as address:
        yield address
