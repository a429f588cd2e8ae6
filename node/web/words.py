"""The words, groups and icons a person sees for each state."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from node.domain.states import State

_S = State


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a state looks."""

    word: str
    """What a person reads."""
    tone: str
    """Colour token of the style sheet."""
    icon: str
    """Path of the icon in a box of 24 by 24 (Lucide, ISC)."""


_CIRCLE = "M22 12a10 10 0 1 1-20 0a10 10 0 0 1 20 0"
_OCTAGON = "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9z"
LOOKS: dict[str, Look] = {
    _S.RECEIVING: Look(word="Receiving", tone="run", icon="M12 3v12m-5-5l5 5l5-5M4 17v4h16v-4"),
    _S.KEPT: Look(word="Kept", tone="idle", icon="M2 3h20v5H2zM4 8v13h16V8M10 12h4"),
    _S.QUEUED: Look(word="Queued", tone="idle", icon=_CIRCLE + "M12 6v6l4 2"),
    _S.RUNNING: Look(
        word="Running",
        tone="run",
        icon="M12 2v4m0 12v4M2 12h4m12 0h4M5 5l3 3m8 8l3 3M5 19l3-3m8-8l3-3",
    ),
    _S.REFUSED: Look(word="Refused", tone="fail", icon=_OCTAGON + "M12 8v4m0 4v.1"),
    _S.REVIEW: Look(
        word="Waiting for review",
        tone="attn",
        icon="M2 12s4-7 10-7s10 7 10 7s-4 7-10 7s-10-7-10-7M15 12a3 3 0 1 1-6 0a3 3 0 0 1 6 0",
    ),
    _S.DELIVERING: Look(word="Sending", tone="run", icon="M22 2L15 22l-4-9l-9-4zM22 2L11 13"),
    _S.DELIVERED: Look(word="Delivered", tone="ok", icon=_CIRCLE + "M8 12l3 3l5-6"),
    _S.REJECTED: Look(word="Rejected", tone="idle", icon=_CIRCLE + "M5 5l14 14"),
    _S.FAILED: Look(word="Failed", tone="fail", icon=_OCTAGON + "M9 9l6 6m0-6l-6 6"),
}
_NEEDS_YOU = frozenset({_S.REVIEW, _S.FAILED, _S.REFUSED})
_IN_PROGRESS = frozenset({_S.RECEIVING, _S.QUEUED, _S.RUNNING, _S.DELIVERING})


def grouped(items: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Split the queue into what needs a person, what goes on and what is done."""
    found: dict[str, list[dict[str, Any]]] = {"Needs you": [], "In progress": [], "Done": []}
    for item in items:
        state = item["state"]
        name = "Needs you" if state in _NEEDS_YOU else "Done"
        found["In progress" if state in _IN_PROGRESS else name].append(item)
    return found


def clock(iso: str | None) -> str:
    """Date and time to the second, UTC, of an ISO 8601 text; empty for None."""
    return "" if iso is None else iso[:19].replace("T", " ")
