"""What the page of one series says, put together from its rows: pure, in either language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.codes.acquisition import ACQUISITION
from node.domain.codes.geometry import GEOMETRY
from node.domain.codes.kind import KIND
from node.domain.codes.pixels import PIXELS
from node.domain.codes.table import CODES, words
from node.domain.states import DeliveryState, State
from node.web.messages.sentences import spoken
from node.web.messages.texts import TEXTS, Translator
from node.web.views.timeline import STEPS, finding_sentence

Item = Mapping[str, Any]
_STEP_WORDS = {"collect": 1, "check": 1, "plan": 1, "synthesise": 2, "encode": 3, "release": 4}
# What the checks of every accepted series look for.
_LOOKED_FOR = (*KIND, *PIXELS, *GEOMETRY, *ACQUISITION)
# Findings whose worst place the viewer can find itself when the check does not name it.
_STORED = (DeliveryState.SENT.value, DeliveryState.CONFIRMED.value)
_SEEN_IN = {"UNCERTAINTY_HIGH": "uncertainty"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One finding as the page shows it."""

    number: int
    """Place among all findings of the series: names it in a signature."""
    code: str
    severity: str
    title: str
    sentence: str
    remedy: str
    where_mm: Sequence[float] | None
    """LPS mm the crosshair goes to; None where there is no place."""
    seen_in: str
    """Volume the viewer finds the worst place in itself; empty where there is none."""
    uids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of the timeline."""

    at: str
    """ISO 8601."""
    word: str
    sentence: str
    who: str
    took_s: float | None = None
    """How long a step took; None for an event."""
    foreign: bool = False
    """Whether the sentence is English on a French page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What went wrong, in four parts."""

    title: str
    safe: str
    why: Sequence[str]
    to_do: Sequence[str]
    code: str
    """Stable name for the technical details; empty where there is none."""
    stopped: int
    """Number of the step it stopped at, from 0."""
    can_resend: bool = False
    details: Sequence[str] = ()


def points(findings: Sequence[Item], t: Translator) -> list[Point]:
    """Every finding in the reader's language."""
    return [_point(n, f, t) for n, f in enumerate(findings)]


def passed(findings: Sequence[Item], t: Translator) -> list[str]:
    """Titles of what was looked for and not found."""
    found = {f["code"] for f in findings}
    return [words(code, t.language).title for code in _LOOKED_FOR if code not in found]


def moments(item: Item, t: Translator) -> list[Moment]:
    """Events and steps in the order they happened."""
    lines = [_event(e, t) for e in item["timeline"] if e["kind"] != State.RUNNING.value]
    lines += [
        Moment(
            at=step["started_at"],
            word=t(f"timeline.{step['name']}"),
            sentence=spoken(step["sentence"], t.language),
            who="",
            took_s=step["seconds"],
        )
        for step in item["steps"]
    ]
    return sorted(lines, key=lambda line: line.at)


def trouble(item: Item, t: Translator) -> Trouble | None:
    """The four parts where a person must act, or may wonder; None for every other state."""
    state = State(item["state"])
    if state is State.REFUSED:
        return _refused(item, t)
    if state is State.FAILED:
        failed = [d for d in item["deliveries"] if d["state"] == DeliveryState.FAILED.value]
        return _undelivered(failed, t) if failed else _stopped(item, t)
    if state is State.KEPT and item["corrects"] and not item["instances"]:
        return _corrects(item, t)
    if state is State.KEPT:
        return Trouble(
            title=t("trouble.kept.title"),
            safe=t("trouble.kept.safe"),
            why=[spoken(item["sentence"], t.language)],
            to_do=[t("trouble.kept.do")],
            code="",
            stopped=1,
        )
    return None


def _corrects(item: Item, t: Translator) -> Trouble:
    number = item["corrects"]
    return Trouble(
        title=t("trouble.corrects.title"),
        safe=t("trouble.corrects.safe", n=number),
        why=[spoken(item["sentence"], t.language)],
        to_do=[t("trouble.corrects.do", n=number)],
        code="",
        stopped=1,
    )


def destinations(item: Item) -> list[str]:
    """Where the present plan sends the sCT."""
    runs = item["runs"]
    plan = runs[-1]["plan"] if runs else None
    return list(plan["destinations"]) if plan else []


def elsewhere(item: Item) -> list[str]:
    """Where the present sCT may be and no delivery says that it is."""
    stored = {d["via"] or d["destination"] for d in item["deliveries"] if d["state"] in _STORED}
    return [place["name"] for place in item["places"] if place["name"] not in stored]


def images(item: Item) -> int:
    """How many CT images the present run made."""
    return sum(o["instances"] for o in item["outputs"] if o["kind"] == "ct")


def _point(number: int, found: Item, t: Translator) -> Point:
    known = CODES.get(found["code"])
    told = words(found["code"], t.language) if known else None
    return Point(
        number=number,
        code=found["code"],
        severity=found["severity"],
        title=told.title if told else t(f"severity.{found['severity']}"),
        sentence=finding_sentence(found, t.language),
        remedy=told.remedy if told else found["remedy"],
        where_mm=found.get("where_mm"),
        seen_in=_SEEN_IN.get(found["code"], ""),
        uids=found.get("uids", ()),
    )


def _event(event: Item, t: Translator) -> Moment:
    kind = event["kind"].split(" ")[0]
    key = f"timeline.{kind}" if f"timeline.{kind}" in TEXTS else f"state.{kind}"
    said = spoken(event["sentence"], t.language)
    return Moment(
        at=event["at"],
        word=t(key) if key in TEXTS else kind,
        sentence=said,
        who=event["who"],
        foreign=t.language != "en" and said == event["sentence"],
    )


def _refused(item: Item, t: Translator) -> Trouble:
    refusals = [f for f in item["findings"] if f["severity"] == "refuse"]
    told = [_point(n, f, t) for n, f in enumerate(refusals)]
    late = bool(refusals) and all(f.get("stage") == "quality" for f in refusals)
    remedies = list(dict.fromkeys(p.remedy for p in told))
    return Trouble(
        title=told[0].title if told else t("state.refused"),
        safe=t("trouble.refused.safe"),
        why=[p.sentence for p in told] or [spoken(item["sentence"], t.language)],
        to_do=[*remedies, t("trouble.refused.then")],
        code=", ".join(dict.fromkeys(p.code for p in told)),
        stopped=2 if late else 1,
        details=[uid for p in told for uid in p.uids],
    )


def _undelivered(failed: Sequence[Item], t: Translator) -> Trouble:
    names = ", ".join(d["destination"] for d in failed)
    return Trouble(
        title=t("trouble.delivery.title", names=names),
        safe=t("trouble.delivery.safe"),
        why=[spoken(d["sentence"], t.language) for d in failed],
        to_do=[
            t("trouble.delivery.check", names=names),
            t("trouble.delivery.echo"),
            t("trouble.delivery.again"),
        ],
        code="DELIVERY_FAILED",
        stopped=4,
        can_resend=True,
    )


def _stopped(item: Item, t: Translator) -> Trouble:
    open_steps = [s for s in item["steps"] if s["finished_at"] is None]
    at = _STEP_WORDS.get(open_steps[-1]["name"] if open_steps else "check", 1)
    return Trouble(
        title=t("trouble.defect.title", step=t(f"step.{STEPS[at]}").lower()),
        safe=t("trouble.defect.safe"),
        why=[spoken(item["sentence"], t.language)],
        to_do=[
            t("trouble.defect.again"),
            t("trouble.defect.log", at=item["times"]["state_since"][:19].replace("T", " ")),
        ],
        code="STEP_FAILED",
        stopped=at,
    )
