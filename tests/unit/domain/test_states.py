"""The table of states."""

import pytest

from node.domain.errors import Defect
from node.domain.states import MOVES, State, move


def test_every_state_has_a_row() -> None:
    """A state without a row could never be left or would raise KeyError."""
    assert set(MOVES) == set(State)


def test_staying_is_legal_everywhere() -> None:
    """A step that runs twice says the same thing twice."""
    assert all(move(state, state) is state for state in State)


@pytest.mark.parametrize(
    ("current", "target"),
    [
        (State.REFUSED, State.DELIVERING),
        (State.REJECTED, State.DELIVERED),
        (State.RECEIVING, State.DELIVERED),
        (State.KEPT, State.REVIEW),
    ],
)
def test_illegal_moves_raise(current: State, target: State) -> None:
    """What was refused or rejected is never delivered."""
    with pytest.raises(Defect, match="cannot move"):
        move(current, target)


def test_late_instances_reopen_every_state() -> None:
    """A new revision may begin wherever the series stands."""
    reopened = [s for s in State if s is not State.RECEIVING]

    assert all(move(s, State.RECEIVING) is State.RECEIVING for s in reopened)
