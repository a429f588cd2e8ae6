"""Where a series is on its way, and the one sentence that says what follows.

A pure function of the row: the same for queue and series, in either language.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from node.archive.evidence.ledger import WAITING
from node.archive.query.queue_queries import QueueRow
from node.domain.codes.table import CODES, sentence
from node.domain.states import DeliveryState, State
from node.web.messages.sentences import spoken
from node.web.messages.texts import Translator

STEPS = ("receive", "check", "infer", "encode", "deliver")
_STEP_OF = {"collect": 1, "check": 1, "plan": 1, "synthesise": 2, "encode": 3, "release": 4}
_STOPPED = (
    "Held by ", "Held: ", "Stopped: ", "Correction dismissed by ", "Sign-off of ",
    "The sign-off this sCT was made under",
)  # fmt: skip
_TO_READ = ("warning", "hold")
# A peer's AE title and address behind its name, in either language.
_ADDRESS = re.compile(r" \(\S+(?: at|,) \S+:\d+\)")
_PERCENT = re.compile(r"(?<=\d)%")
# Before a number and after no word: a minus, not a hyphen as of a date.
_HYPHEN = re.compile(r"(?<![\w.-])-(?=\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One part of the step bar."""

    shape: str
    """``todo done past dash part hollow-attn hollow-idle broken``: how it is drawn."""
    share: float = 0.0
    """How much of it is done, for ``part``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the queue says of one series."""

    segments: tuple[Segment, ...]
    """Five, or none where there is no way to show."""
    caption: str
    """Under the bar: the step, or where it stopped."""
    sentence: str
    """What is happening and what follows."""
    foreign: bool = False
    """Whether the sentence is English on a French page."""


def tell(row: QueueRow, t: Translator) -> Story:
    """The story of one series."""
    told = _TELLERS[State(row.state)](row, t)
    return replace(told, sentence=_brief(told.sentence))


def _brief(sentence: str) -> str:
    """As a row has room for: peers by their names, no full stop, a space before the unit."""
    said = _PERCENT.sub("\u00a0%", _ADDRESS.sub("", sentence))
    return said.removesuffix(".")


def stopped_by_somebody(sentence: str) -> bool:
    """Whether a series in review is there because of a person, not of the line."""
    return sentence.startswith(_STOPPED)


def to_read(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The findings a person has to read before release."""
    return [f for f in findings if f["severity"] in _TO_READ]


def finding_sentence(found: Mapping[str, Any], language: str) -> str:
    """What a stored finding says, in ``language`` where its code is known."""
    if found["code"] not in CODES:
        return str(found["sentence"])
    return _HYPHEN.sub("−", sentence(found["code"], found["values"], language))


def _bar(done: int, now: Segment | None = None, *, full: str = "done") -> tuple[Segment, ...]:
    head = [Segment(shape=full)] * done
    middle = [now] if now else []
    return (*head, *middle, *[Segment(shape="todo")] * (len(STEPS) - done - len(middle)))


def _receiving(row: QueueRow, t: Translator) -> Story:
    return Story(
        segments=_bar(0, Segment(shape="dash")),
        caption=t("step.receive"),
        sentence=spoken(row.sentence, t.language)
        if row.sentence == WAITING
        else t.count("queue.arriving", row.instances),
    )


def _queued(row: QueueRow, t: Translator) -> Story:
    return Story(
        segments=_bar(1, Segment(shape="hollow-idle")),
        caption=t("queue.waiting_for", step=t("step.check").lower()),
        sentence=spoken(row.sentence, t.language),
    )


def _running(row: QueueRow, t: Translator) -> Story:
    at = _STEP_OF.get(row.step or "", 1)
    found = re.search(r"(\d+) ?%", row.sentence)
    share = int(found.group(1)) / 100 if found and at == 2 else 0.5
    percent = f" {found.group(1)}\u00a0%" if found and at == 2 else ""
    return Story(
        segments=_bar(at, Segment(shape="part", share=share)),
        caption=t(f"step.{STEPS[at]}") + percent,
        sentence=spoken(row.sentence, t.language),
    )


def _review(row: QueueRow, t: Translator) -> Story:
    count = len(to_read(row.findings))
    said = t.count("queue.to_read", count) if count else t("queue.asks_signature")
    if stopped_by_somebody(row.sentence):
        said = spoken(row.sentence, t.language)
    return Story(
        segments=_bar(4, Segment(shape="hollow-attn")),
        caption=t("queue.held_before", names=_destinations(row) or t("say.unknown").lower()),
        sentence=said,
    )


def _refused(row: QueueRow, t: Translator) -> Story:
    refusals = [f for f in row.findings if f["severity"] == "refuse"]
    at = 2 if refusals and all(f.get("stage") == "quality" for f in refusals) else 1
    said = finding_sentence(refusals[0], t.language) if refusals else row.sentence
    return Story(
        segments=_bar(at, Segment(shape="broken")),
        caption=_stopped(at, t),
        sentence=said if refusals else spoken(said, t.language),
    )


def _failed(row: QueueRow, t: Translator) -> Story:
    at = 4 if row.deliveries else _STEP_OF.get(row.step or "", 1)
    return Story(
        segments=_bar(at, Segment(shape="broken")), caption=_stopped(at, t), **_said(row, t)
    )


def _delivering(row: QueueRow, t: Translator) -> Story:
    total = max(1, len(row.deliveries))
    there = [d for d in row.deliveries if d["state"] in _THERE]
    away = [d for d in row.deliveries if d["state"] not in _THERE]
    text = away[0]["sentence"] if away else row.sentence
    said = spoken(text, t.language)
    return Story(
        segments=_bar(4, Segment(shape="part", share=max(0.12, len(there) / total))),
        caption=t("queue.sending_to", names=", ".join(d["destination"] for d in away)),
        sentence=said,
        foreign=_foreign(text, said, t),
    )


def _delivered(row: QueueRow, t: Translator) -> Story:
    names = ", ".join(d["destination"] for d in row.deliveries)
    by = row.released_by or ""
    said = t("queue.released_by_policy") if by == "policy" else t("queue.approved_by", who=by)
    return Story(
        segments=_bar(5, full="past"),
        caption=t("queue.sent_to", names=names) if names else t("queue.no_destination"),
        sentence=said if by else spoken(row.sentence, t.language),
    )


def _rejected(row: QueueRow, t: Translator) -> Story:
    return Story(
        segments=_bar(4, Segment(shape="hollow-idle"), full="past"),
        caption=t("queue.not_sent"),
        **_said(row, t),
    )


def _kept(row: QueueRow, t: Translator) -> Story:
    return Story(segments=(), caption="", **_said(row, t))


def _said(row: QueueRow, t: Translator) -> dict[str, Any]:
    said = spoken(row.sentence, t.language)
    return {"sentence": said, "foreign": _foreign(row.sentence, said, t)}


def _foreign(written: str, said: str, t: Translator) -> bool:
    return t.language != "en" and written == said


def _stopped(at: int, t: Translator) -> str:
    return t("queue.stopped_at", step=t(f"step.{STEPS[at]}").lower())


def _destinations(row: QueueRow) -> str:
    return ", ".join(row.plan["destinations"]) if row.plan else ""


_THERE = (DeliveryState.SENT.value, DeliveryState.CONFIRMED.value)
_TELLERS = {
    State.RECEIVING: _receiving,
    State.QUEUED: _queued,
    State.RUNNING: _running,
    State.REVIEW: _review,
    State.REFUSED: _refused,
    State.FAILED: _failed,
    State.DELIVERING: _delivering,
    State.DELIVERED: _delivered,
    State.REJECTED: _rejected,
    State.KEPT: _kept,
}
