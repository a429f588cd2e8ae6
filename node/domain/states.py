"""The states a series passes and every move that is legal between them.

An illegal move raises and changes nothing.
"""

from enum import StrEnum

from node.domain.errors import Defect


class State(StrEnum):
    """Where a series stands; the word a person reads is in the page's templates."""

    RECEIVING = "receiving"
    """Instances still arrive."""
    KEPT = "kept"
    """Stored; no route asks for anything."""
    QUEUED = "queued"
    """Waiting for a step."""
    RUNNING = "running"
    """In a step."""
    REFUSED = "refused"
    """A check refused it; the findings say why."""
    REVIEW = "review"
    """The sCT is made and held for a person."""
    DELIVERING = "delivering"
    """Released and on its way."""
    DELIVERED = "delivered"
    """Every destination has the proof its peer asks for."""
    REJECTED = "rejected"
    """A person refused the sCT."""
    FAILED = "failed"
    """Ours or a peer's fault after all retries; a person must act."""


class DeliveryState(StrEnum):
    """Where the delivery to one destination stands."""

    WAITING = "waiting"
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"


_S = State
# Every state may return to RECEIVING: late instances begin a new revision, never a mixture. And
# every one may end in REJECTED: a correction has given the images to another series.
_AGAIN = frozenset({_S.RECEIVING, _S.QUEUED})
MOVES: dict[State, frozenset[State]] = {
    _S.RECEIVING: frozenset({_S.KEPT, _S.QUEUED, _S.REFUSED, _S.FAILED, _S.REJECTED}),
    _S.KEPT: _AGAIN | {_S.REJECTED},
    _S.QUEUED: frozenset({_S.RUNNING, _S.RECEIVING, _S.FAILED, _S.REJECTED}),
    _S.RUNNING: frozenset(
        {
            _S.KEPT,
            _S.REFUSED,
            _S.REVIEW,
            _S.DELIVERING,
            _S.DELIVERED,
            _S.FAILED,
            _S.QUEUED,
            _S.RECEIVING,
            _S.REJECTED,
        }
    ),
    _S.REFUSED: _AGAIN | {_S.REJECTED},
    _S.REVIEW: _AGAIN | {_S.DELIVERING, _S.DELIVERED, _S.REJECTED},
    _S.DELIVERING: _AGAIN | {_S.DELIVERED, _S.FAILED, _S.REVIEW, _S.REJECTED},
    _S.DELIVERED: _AGAIN | {_S.DELIVERING, _S.REJECTED, _S.REVIEW},
    _S.REJECTED: _AGAIN | {_S.REVIEW},
    _S.FAILED: _AGAIN | {_S.DELIVERING, _S.DELIVERED, _S.REVIEW, _S.REJECTED},
}


def move(current: State, target: State) -> State:
    """Return ``target`` when the table allows the move; raise `Defect` otherwise.

    Staying where one is is always legal: a step that runs twice says the same thing twice.
    """
    if target is not current and target not in MOVES[current]:
        raise Defect(f"A series cannot move from {current} to {target}.")
    return target
