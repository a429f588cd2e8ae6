"""The book of the field lists what is tried, and nothing else."""

from pathlib import Path

from tests.field.book import BEGIN, CASES_BEGIN, CASES_END, END, case_row, report_row
from tests.field.cases import CASES
from tests.field.reports import REPORTS

BOOK = Path(__file__).resolve().parents[2] / "docs" / "field.md"
_HEAD = 2


def _rows(begin: str, end: str) -> list[str]:
    table = BOOK.read_text().partition(begin)[2].partition(end)[0]
    return table.strip().splitlines()[_HEAD:]


def test_every_case_of_the_door_is_in_the_book() -> None:
    """With where it was seen."""
    assert _rows(CASES_BEGIN, CASES_END) == [case_row(case) for case in CASES]


def test_every_report_is_in_the_book() -> None:
    """With its source, what it is about and what is right."""
    rows = _rows(BEGIN, END)

    assert len(rows) == len(REPORTS)
    for row, report in zip(rows, REPORTS, strict=True):
        assert row.startswith(report_row(report))
    assert len({report.source for report in REPORTS}) == len(REPORTS)
