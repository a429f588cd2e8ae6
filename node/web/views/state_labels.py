"""The look of each state: the word for programs that print, the colour, the icon."""

from dataclasses import dataclass

from node.domain.states import State
from node.web.messages.texts.states import STATES

_S = State


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a state looks; its word in the reader's language is the text ``state.<name>``."""

    word: str
    """What a person reads, in English."""
    tone: str
    """Colour token of the style sheet."""
    icon: str
    """Name in the sprite (Lucide)."""


def _look(state: State, tone: str, icon: str) -> Look:
    return Look(word=STATES[f"state.{state}"][0], tone=tone, icon=icon)


LOOKS: dict[str, Look] = {
    _S.RECEIVING: _look(_S.RECEIVING, "run", "download"),
    _S.KEPT: _look(_S.KEPT, "idle", "archive"),
    _S.QUEUED: _look(_S.QUEUED, "idle", "clock"),
    _S.RUNNING: _look(_S.RUNNING, "run", "loader"),
    _S.REFUSED: _look(_S.REFUSED, "fail", "octagon-alert"),
    _S.REVIEW: _look(_S.REVIEW, "attn", "eye"),
    _S.DELIVERING: _look(_S.DELIVERING, "run", "send"),
    _S.DELIVERED: _look(_S.DELIVERED, "ok", "circle-check"),
    _S.REJECTED: _look(_S.REJECTED, "idle", "ban"),
    _S.FAILED: _look(_S.FAILED, "fail", "octagon-x"),
}
NEEDS_YOU = (_S.REVIEW, _S.FAILED, _S.REFUSED)
IN_PROGRESS = (_S.RECEIVING, _S.QUEUED, _S.RUNNING, _S.DELIVERING)
DONE = (_S.DELIVERED, _S.REJECTED, _S.KEPT)
