"""The report as objects: what a reader finds in SR, page and PDF."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset

from node.dicom.companion import Companion, written_ct
from node.dicom.qa_report import encode_page, encode_pdf, encode_report
from node.domain.findings import finding
from node.domain.qa_report import QaCheck, QaReport, Verdict, report_of
from tests.phantoms.sct import WrittenSct, planned, written_sct

PASSED = QaCheck(
    code="SLICES_DISORDERED_ONCE_MORE", title="A long code", value=0.25, unit="", high=1.0,
    verdict=Verdict.PASSED,
)  # fmt: skip


@pytest.fixture(scope="module")
def made() -> WrittenSct:
    """An sCT."""
    return written_sct()


def report(made: WrittenSct) -> QaReport:
    """With a check that passed, one that holds, one in words, and figures."""
    found = [
        finding("BONE_SHARE", share_percent=3.5, low_percent=8.0, high_percent=21.0),
        finding("BODY_AT_EDGE", sides="left and right"),
    ]
    return report_of(made.result, found, planned(), [PASSED])


def read(companion: Companion) -> FileDataset:
    """As a receiver does."""
    assert companion.instance is not None
    return pydicom.dcmread(io.BytesIO(companion.instance.data))


def named(item: Dataset, code: str) -> list[Dataset]:
    """Content items below ``item`` with this concept, to any depth."""
    found = []
    for child in item.get("ContentSequence", []):
        concept = child.get("ConceptNameCodeSequence", [Dataset()])[0]
        if code in (concept.get("CodeValue"), concept.get("LongCodeValue")):
            found.append(child)
        found += named(child, code)
    return found


@pytest.mark.long
def test_every_check_is_a_group_with_value_limits_and_verdict(made: WrittenSct) -> None:
    """TID 1501: tracking, algorithm with the hash of settings, measurement, evaluation, words."""
    told = report(made)
    groups = named(read(encode_report(written_ct(made.encoded), told)), "125007")

    assert len(groups) == len(told.checks)
    for group, check in zip(groups, told.checks, strict=True):
        assert [i.TextValue for i in named(group, "112039")] == [check.code]
        (verdict,) = named(group, "VERDICT")
        assert verdict.ConceptCodeSequence[0].CodeMeaning == check.verdict.value
        parameters = [i.TextValue for i in named(group, "111002")]
        assert any(told.settings_sha256 in p for p in parameters)
        assert [i.TextValue for i in named(group, "121106")] == (
            [check.sentence] if check.sentence else []
        )
        values = [i.MeasuredValueSequence[0].NumericValue for i in named(group, check.code)]
        assert [float(v) for v in values] == ([] if check.value is None else [check.value])
        for name, limit in (("LOWEST", check.low), ("HIGHEST", check.high)):
            values = [i.MeasuredValueSequence[0].NumericValue for i in named(group, name)]
            assert [float(v) for v in values] == ([] if limit is None else [limit])


@pytest.mark.long
def test_the_report_refers_to_every_image(made: WrittenSct) -> None:
    """And is a device's, complete, in the CT's study."""
    ct = written_ct(made.encoded)
    dataset = read(encode_report(ct, report(made)))

    evidence = dataset.get("CurrentRequestedProcedureEvidenceSequence", [])
    evidence = [*evidence, *dataset.get("PertinentOtherEvidenceSequence", [])]
    listed = {
        i.ReferencedSOPInstanceUID
        for study in evidence
        for series in study.ReferencedSeriesSequence
        for i in series.ReferencedSOPSequence
    }
    assert listed == set(ct.sop_instance_uids)
    assert dataset.StudyInstanceUID == ct.header.StudyInstanceUID
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_the_page_keeps_its_pixels(made: WrittenSct) -> None:
    """An odd number of bytes too."""
    page = np.random.default_rng(2).integers(0, 255, (7, 9, 3), np.uint8)
    dataset = read(encode_page(written_ct(made.encoded), page, "identity"))

    assert np.array_equal(dataset.pixel_array, page)
    assert dataset.BurnedInAnnotation == "YES"


def test_the_pdf_keeps_its_bytes(made: WrittenSct) -> None:
    """Its length says which byte is padding."""
    pdf = b"%PDF-1.4 of odd length."
    dataset = read(encode_pdf(written_ct(made.encoded), pdf, "identity"))

    assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == pdf
    assert dataset.MIMETypeOfEncapsulatedDocument == "application/pdf"


@pytest.mark.long
def test_the_same_report_gives_the_same_bytes_and_another_other_uids(made: WrittenSct) -> None:
    """In all three forms."""
    ct, again = written_ct(made.encoded), written_ct(written_sct().encoded)
    page = np.zeros((4, 4, 3), np.uint8)

    assert encode_report(ct, report(made)) == encode_report(again, report(made))
    assert encode_page(ct, page, "a") == encode_page(again, page, "a")
    assert encode_pdf(ct, b"%PDF", "a") == encode_pdf(again, b"%PDF", "a")
    other = report_of(made.result, (), planned())
    assert read(encode_report(ct, other)).SOPInstanceUID != (
        read(encode_report(ct, report(made))).SOPInstanceUID
    )
    assert read(encode_pdf(ct, b"%PDF", "a")).SOPInstanceUID != (
        read(encode_pdf(ct, b"%PDF", "b")).SOPInstanceUID
    )
