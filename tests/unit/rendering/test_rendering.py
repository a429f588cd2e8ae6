"""Planes, page and PDF of an sCT whose shape is known."""

from dataclasses import replace

import numpy as np
import pytest

from node.domain.findings import finding
from node.domain.qa_report import QaReport, report_of
from node.domain.structures import STRUCTURES, regions_of
from node.rendering.page import HEIGHT, WIDTH, draw_page
from node.rendering.pdf import draw_pdf
from node.rendering.planes import Planes, grid_of, pictures
from node.rendering.texts import NOTE, Heading, note
from tests.phantoms.sct import planned, written_sct

HEADING = Heading(
    patient_name="山田^太郎 <b>",
    patient_id="A&B",
    study_date="",
    series_description="RESEARCH sCT",
    series_instance_uid="2.25.1",
)


@pytest.fixture(scope="module")
def planes() -> Planes:
    """A ball with a shell of bone, brighter in the MR towards left, back and head."""
    made = written_sct()
    result = made.result
    slices, rows, columns = np.indices(result.body.shape)
    mr = np.where(result.body, 10.0 * columns + 3.0 * rows + slices, 0.0)
    structures = regions_of(STRUCTURES, result.sct, result.body)
    return Planes(mr=mr, hu=result.sct.values, body=result.body, structures=structures)


def report(count: int = 1) -> QaReport:
    """A report with so many findings."""
    found = [finding("BODY_AT_EDGE", sides="left")] * count
    return report_of(written_sct().result, found, planned())


def test_planes_are_seen_from_feet_front_and_left(planes: Planes) -> None:
    """Left is on the right, the head is up, the nose of the sagittal plane points left."""
    found = pictures(planes)
    axial, coronal, sagittal = (found[n][0].astype(int) for n in ("axial", "coronal", "sagittal"))

    assert left_of(axial) < right_of(axial)
    assert left_of(coronal) < right_of(coronal)
    assert left_of(sagittal) < right_of(sagittal)
    middle = coronal.shape[1] // 2
    lit = np.flatnonzero(coronal[:, middle, 0])
    assert coronal[lit[2], middle, 0] > coronal[lit[-3], middle, 0]


def left_of(picture: np.ndarray) -> float:
    """Mean of what is lit in the left half."""
    half = picture[:, : picture.shape[1] // 2]
    return float(half[half > 0].mean())


def right_of(picture: np.ndarray) -> float:
    """Mean of what is lit in the right half."""
    half = picture[:, picture.shape[1] // 2 :]
    return float(half[half > 0].mean())


def test_contours_are_drawn_in_their_colours(planes: Planes) -> None:
    """Over the MR, not over the CT."""
    found = pictures(planes)
    for structure, _ in planes.structures:
        assert (found["axial"][2] == structure.colour).all(axis=-1).any()
        assert not (found["axial"][1] == structure.colour).all(axis=-1).any()


def test_all_pictures_are_in_one(planes: Planes) -> None:
    """Nothing is lost in putting them together."""
    found = pictures(planes)
    whole = grid_of(found)
    lit = sum(int(p.astype(int).sum()) for row in found.values() for p in row)
    assert int(whole.astype(int).sum()) == lit


@pytest.mark.long
def test_a_page_is_of_one_size_whatever_it_says(planes: Planes) -> None:
    """More rows than fit are counted, not drawn over each other; an empty body has pictures too."""
    nobody = replace(planes, body=np.zeros_like(planes.body))
    for rows, what in ((1, planes), (200, planes), (1, nobody)):
        page = draw_page(HEADING, report(rows), what)
        assert page.shape == (HEIGHT, WIDTH, 3)
        assert (page[-20:] == 255).all()


@pytest.mark.long
def test_the_pdf_has_pages_for_every_row(planes: Planes) -> None:
    """Names in letters that its faces lack, and marks of its own syntax, do not stop it."""
    short, long = (draw_pdf(HEADING, report(n), planes) for n in (1, 200))

    assert pages(short) in (1, 2)
    assert pages(long) > pages(short) + 4
    assert draw_pdf(HEADING, report(), planes) == short


def pages(pdf: bytes) -> int:
    """Count of page objects."""
    assert pdf.startswith(b"%PDF")
    return pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ")


@pytest.mark.long
def test_a_table_without_passed_rows_says_so() -> None:
    """A reader must not take it for all checks."""
    assert note(report()) == NOTE
