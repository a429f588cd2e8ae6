"""dicom3tools' dciodvfy on every kind of companion."""

from pathlib import Path

import numpy as np
import pytest

from node.dicom.companion import Companion, written_ct
from node.dicom.qa_report import encode_page, encode_pdf, encode_report
from node.dicom.rtstruct import encode_rtstruct
from node.dicom.uncertainty_map import encode_uncertainty
from node.domain.findings import finding
from node.domain.qa_report import report_of
from node.domain.structures import STRUCTURES, regions_of
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.sct import WrittenSct, planned, written_sct

pytestmark = pytest.mark.interop


def rtstruct(made: WrittenSct) -> Companion:
    """Structures."""
    return encode_rtstruct(
        written_ct(made.encoded), regions_of(STRUCTURES, made.result.sct, made.result.body)
    )


def uncertainty(made: WrittenSct) -> Companion:
    """The map."""
    assert made.result.uncertainty is not None
    return encode_uncertainty(written_ct(made.encoded), made.result.uncertainty)


def report(made: WrittenSct) -> Companion:
    """Every kind of row."""
    found = [
        finding("BONE_SHARE", share_percent=3.5, low_percent=8.0, high_percent=21.0),
        finding("BODY_AT_EDGE", sides="left"),
        finding("SLICES_DISORDERED", ratio=1.2, limit=0.9),
    ]
    return encode_report(written_ct(made.encoded), report_of(made.result, found, planned()))


def page(made: WrittenSct) -> Companion:
    """A small page."""
    return encode_page(written_ct(made.encoded), np.zeros((31, 21, 3), np.uint8), "x")


def pdf(made: WrittenSct) -> Companion:
    """A document."""
    return encode_pdf(written_ct(made.encoded), b"%PDF-1.4", "x")


BARE: dict[str, object] = {
    "StudyDate": "", "StudyTime": "", "StudyDescription": None, "AccessionNumber": "",
    "ReferringPhysicianName": "", "PatientBirthDate": "", "PatientSex": "",
    "BodyPartExamined": None, "SpecificCharacterSet": None,
}  # fmt: skip
KINDS = {
    "RTStructureSet": rtstruct,
    "ParametricMap": uncertainty,
    "ComprehensiveSR": report,
    "SCImage": page,
    "EncapsulatedPDF": pdf,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patient", ["usual", "bare"])
def test_every_companion_is_valid(kind: str, patient: str, tmp_path: Path) -> None:
    """No error, whatever type 2 and 3 attributes the MR had."""
    made = written_sct(tags=BARE if patient == "bare" else None)
    companion = KINDS[kind](made)
    assert companion.instance is not None
    (tmp_path / "companion.dcm").write_bytes(companion.instance.data)

    verdict = run_dciodvfy(tmp_path / "companion.dcm")

    assert (verdict.iod, verdict.errors) == (kind, ())
