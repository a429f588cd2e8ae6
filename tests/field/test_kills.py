"""Cases of the door whose acceptors are killed: what they heard outlives them."""

from pathlib import Path

import pytest

from tests.field.cases import AT_THE_DOOR
from tests.field.kills import storm

pytestmark = [pytest.mark.crash, pytest.mark.interop, pytest.mark.xdist_group("field")]
KILLS = 12


def test_acceptors_die_before_and_after_what_matters(tmp_path: Path) -> None:
    """Before and after the correction, the refusal, the abort and the other title."""
    with storm(tmp_path, 1) as fire:
        before = fire.in_two("before", AT_THE_DOOR, before_last=True)
        after = fire.in_two("after", AT_THE_DOOR, before_last=False)

    assert fire.kills.total() == 4
    assert before == []
    assert after == []


@pytest.mark.slow
def test_kills_at_random(tmp_path: Path) -> None:
    """A sample of ``python -m tests.field.kills``."""
    with storm(tmp_path, 2) as fire:
        assert fire.round("random", AT_THE_DOOR, KILLS) == []
