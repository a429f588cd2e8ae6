"""Rows of the report: each with a verdict, none that contradicts its own limits."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain.errors import Defect
from node.domain.findings import finding
from node.domain.qa_report import QaCheck, Verdict, of_finding, report_of
from tests.phantoms.sct import planned, written_sct


def check(**changes: Any) -> QaCheck:
    """A check that passes."""
    usual: dict[str, Any] = {
        "code": "X", "title": "Something", "value": 5.0, "unit": "%", "low": 1.0, "high": 9.0,
        "verdict": Verdict.PASSED,
    }  # fmt: skip
    return QaCheck(**usual | changes)


@pytest.mark.parametrize("wrong", [{"value": 9.1}, {"value": 0.9}, {"value": float("nan")}])
def test_what_is_outside_its_limits_cannot_be_passed(wrong: dict[str, float]) -> None:
    """Nor what is no number."""
    check()
    with pytest.raises(Defect):
        check(**wrong)
    check(**wrong, verdict=Verdict.HELD)


def test_limits_in_words() -> None:
    """Both, one, none."""
    assert check().limits == "1 to 9"
    assert check(low=None).limits == "at most 9"
    assert check(high=None).limits == "at least 1"
    assert check(low=None, high=None).limits == ""


def test_a_finding_gives_value_and_limits() -> None:
    """From the values of its sentence, with the severity it has at this site."""
    found = of_finding(finding("BONE_SHARE", share_percent=3.5, low_percent=8.0, high_percent=21.0))
    assert (found.value, found.unit, found.low, found.high) == (3.5, "%", 8.0, 21.0)
    assert found.verdict is Verdict.HELD
    assert found.title == "Unusual share of bone"

    words = of_finding(finding("BODY_AT_EDGE", sides="left"))
    assert (words.value, words.limits, words.verdict) == (None, "", Verdict.WARNING)


def test_the_report_has_the_gravest_verdict_and_every_figure() -> None:
    """A clean sCT is measured, not passed: no check is claimed that was not seen."""
    made, plan = written_sct(), planned()
    clean = report_of(made.result, (), plan)
    assert clean.verdict is Verdict.MEASURED
    codes = {c.code for c in clean.checks}
    assert codes == {"BODY_ML", "BRAIN_SHARE", "BONE_SHARE", "AIR_SHARE", "UNCERTAIN_P95_HU"}

    found = report_of(made.result, [finding("BODY_AT_EDGE", sides="left")], plan, [check()])
    assert found.verdict is Verdict.WARNING
    assert {"X", "BODY_AT_EDGE"} <= {c.code for c in found.checks}


def test_settings_are_part_of_it() -> None:
    """Another setting, another hash."""
    made, plan = written_sct(), planned()
    flipped = replace(plan, settings={"flips": "lr"})
    one, other = (report_of(made.result, (), p).settings_sha256 for p in (plan, flipped))
    assert one != other
