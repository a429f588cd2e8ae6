"""Times in what we write stand as those of the study do: a planner compares the two."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydicom.dataset import Dataset

from node.dicom.ct_series import local

AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("offset", "told"),
    [
        (None, "20260702 003000"),
        ("", "20260702 003000"),
        ("+0530", "20260702 040000"),
        ("-0330", "20260701 190000"),
        ("+1", "20260702 003000"),
    ],
)
def test_the_offset_of_the_study_holds_for_our_times_too(offset: str | None, told: str) -> None:
    """Without one, or with one nobody can read, the clock of the node stands."""
    dataset = Dataset()
    if offset is not None:
        dataset.add_new("TimezoneOffsetFromUTC", "SH", offset)
    here = AT.astimezone(timezone(timedelta(hours=2)))

    assert local(here, dataset).strftime("%Y%m%d %H%M%S") == told
