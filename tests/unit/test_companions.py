"""Everything beside an sCT, made at once: what fails alone, fails alone."""

from dataclasses import replace

import numpy as np
import pytest

from node.companions import ROLES, Companions, make_companions
from node.domain.findings import Severity
from tests.phantoms.sct import WrittenSct, planned, written_sct


@pytest.fixture(scope="module")
def made() -> WrittenSct:
    """An sCT."""
    return written_sct()


def beside(made: WrittenSct) -> Companions:
    """Its companions."""
    return make_companions(made.mr, made.result, planned(), made.encoded, ())


@pytest.mark.long
def test_every_role_is_made_and_made_alike(made: WrittenSct) -> None:
    """Five objects, five series, none of them the CT's, the same bytes twice."""
    companions = beside(made)

    assert set(companions.instances) == set(ROLES)
    assert companions.findings == ()
    series = {i.series_instance_uid for i in companions.instances.values()}
    assert len(series | {made.encoded[0].series_instance_uid}) == len(ROLES) + 1
    assert beside(written_sct()).instances == companions.instances


@pytest.mark.long
def test_a_model_without_doubt_has_no_map(made: WrittenSct) -> None:
    """That is no failure."""
    companions = beside(replace(made, result=replace(made.result, uncertainty=None)))

    assert set(companions.instances) == set(ROLES) - {"uncertainty"}
    assert companions.findings == ()


def test_what_cannot_be_made_is_told_and_the_rest_is_made(made: WrittenSct) -> None:
    """Pictures of an MR that lies nowhere; the contours need no MR."""
    nowhere = replace(made.mr, affine=np.zeros((4, 4)))
    companions = beside(replace(made, mr=nowhere))

    assert set(companions.instances) == {"rtstruct", "uncertainty", "report"}
    assert [f.code for f in companions.findings] == ["COMPANION_NOT_MADE"] * 2
    assert {f.severity for f in companions.findings} == {Severity.WARNING}
    assert {f.values["companion"] for f in companions.findings} == {ROLES["page"], ROLES["pdf"]}


def test_a_map_of_nan_is_left_out(made: WrittenSct) -> None:
    """And nothing else."""
    assert made.result.uncertainty is not None
    values = np.full_like(made.result.uncertainty.values, np.nan)
    bad = replace(made.result.uncertainty, values=values)
    companions = beside(replace(made, result=replace(made.result, uncertainty=bad)))

    assert "uncertainty" not in companions.instances
    assert "COMPANION_NOT_MADE" in [f.code for f in companions.findings]
    assert {"rtstruct", "report", "page", "pdf"} <= set(companions.instances)
