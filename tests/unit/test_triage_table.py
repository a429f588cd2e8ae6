"""The table of real data in the documentation is what the checks say."""

from pathlib import Path

import pytest

from tests.triage_table import BEGIN, CODES_BEGIN, CODES_END, END, QUICK, between, codes, rows

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "triage.md"


def told(items: tuple[str, ...]) -> list[str]:
    """Lines of the document for these items, all for none."""
    text = DOCUMENT.read_text().split(BEGIN)[1].split(END)[0]
    lines = [line for line in text.splitlines()[3:] if line]
    starts = tuple(f"| {item}" for item in items)
    return [line for line in lines if not starts or line.startswith(starts)]


def test_the_table_of_codes_is_whole() -> None:
    """Every code stands in it with its severity, as a fault of a setting promises."""
    text = DOCUMENT.read_text()

    whole = between(text, CODES_BEGIN, CODES_END, codes())

    assert text == whole, "python -m tests.triage_table docs/triage.md"


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.filterwarnings("ignore")
def test_the_table_of_odd_files_and_series_is_true(real_data: Path) -> None:
    """Crafted and damaged files, Enhanced series, single files of every transfer syntax."""
    assert list(rows(real_data, QUICK)) == told(QUICK)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_whole_table_is_true(real_data: Path) -> None:
    """Every file and series."""
    assert list(rows(real_data)) == told(())
