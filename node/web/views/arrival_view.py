"""What the page of a series says of how it arrived: pure, in either language."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.domain.codes.table import refusal
from node.domain.wording import agreed
from node.web.messages.texts import Translator
from node.web.views.time_format import day_clock

_COUNTS = ("stored", "duplicates", "conflicts", "refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a series arrived."""

    said: str
    """Whether it is whole, as far as anybody knows."""
    lines: tuple[str, ...]
    """Who brought what and how it ended, and why images were refused."""


def arrival(door: Mapping[str, Any], t: Translator) -> Arrival:
    """What happened at the door, as `node.archive.query.door_queries` gives it."""
    why = Counter(m["code"] for m in door["missing"])
    return Arrival(
        said=_said(door, t),
        lines=(
            *(_line(association, t) for association in door["associations"]),
            *(
                t("series.door.missing", why=refusal(code, t.language), n=n)
                for code, n in sorted(why.items())
            ),
        ),
    )


def _said(door: Mapping[str, Any], t: Translator) -> str:
    held, expected = door["held"], door["expected"]
    if door["complete"] and expected == held and held:
        return t("series.door.counted", n=held, who=door["expected_by"])
    if door["complete"]:
        known = door["associations"] or not held
        return t.count("series.door.complete", held) if known else t("series.door.unknown")
    if expected is not None and held < expected:
        return t("series.door.short", n=held, who=door["expected_by"], expected=expected)
    endings = {association["ending"] for association in door["associations"]}
    if "open" in endings and not door["missing"]:
        return t.count("series.door.open", held)
    return t.count("series.door.doubt", held)


def _line(association: Mapping[str, Any], t: Translator) -> str:
    counted = [
        agreed(t(f"series.door.{k}", n=association[k]), t.language)
        for k in _COUNTS
        if association[k]
    ]
    called = f" → {association['called_ae']}" if association["called_ae"] else ""
    return t(
        "series.door.line",
        who=(association["peer"] or association["calling_ae"]) + called,
        at=day_clock(association["opened_at"]),
        what=", ".join(counted) or t("series.door.nothing"),
        how=t(f"series.ending.{association['ending']}"),
    )
