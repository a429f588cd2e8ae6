"""What both forms of the report say: heading, columns, rows."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from node.domain.qa_report import QaCheck, QaReport, Verdict

TITLE = "Quality assurance of a synthetic CT"
COLUMNS = ("Check", "Value", "Limit", "Verdict")
PICTURES = ("MR", "Synthetic CT", "MR with contours")
COLOURS = {
    "passed": (20, 110, 60),
    "measured": (70, 70, 70),
    "noted": (70, 70, 70),
    "warning": (160, 90, 0),
    "held": (180, 30, 30),
    "refused": (180, 30, 30),
}


NOTE = "Checks that found nothing are not listed."
"""Under a table without a row that passed: a reader must not take it for all there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Whose sCT it is."""

    patient_name: str
    patient_id: str
    study_date: str
    series_description: str
    series_instance_uid: str


def lines(heading: Heading, report: QaReport) -> tuple[str, ...]:
    """The lines above the pictures."""
    study = f"study of {heading.study_date or 'no date'}"
    return (
        f"{heading.patient_name}   {heading.patient_id}   {study}",
        heading.series_description,
        f"Series {heading.series_instance_uid}",
        f"Model {report.model}; judged by {report.algorithm}; settings "
        f"{report.settings_sha256[:16]}",
    )


def cells(check: QaCheck) -> tuple[str, str, str, str]:
    """The row of a check, as `COLUMNS`."""
    value = "" if check.value is None else f"{check.value:g} {check.unit}".strip()
    limit = f"{check.limits} {check.unit}".strip() if check.limits else ""
    return f"{check.title} ({check.code})", value, limit, check.verdict.value


def legend(names: Sequence[str]) -> str:
    """What the lines over the MR are."""
    return (
        "Contours of the synthetic CT: "
        + ", ".join(names)
        + ". The patient's right is on the left."
    )


def note(report: QaReport) -> str:
    """What a reader must know of the table; empty where it is whole."""
    return "" if any(c.verdict is Verdict.PASSED for c in report.checks) else NOTE


def printable(text: str) -> str:
    """``text`` in the characters that the standard faces of a PDF have."""
    spread = unicodedata.normalize("NFC", text)
    return spread.encode("cp1252", "replace").decode("cp1252")
