"""What came of it, from outside: what was acknowledged, what can be fetched, what each place has.

`faults_of` reads a `History` and knows nothing of the node. Every fault of it is a sentence.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

AT_REST = frozenset({"delivered", "refused", "failed", "review", "rejected", "kept"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One object at a destination."""

    place: str
    sop_instance_uid: str
    series: str
    """Series Instance UID of the sCT."""
    frame: str
    """Frame of reference, which it has from its source."""
    digest: str
    """Of its data set."""


@dataclass(slots=True, kw_only=True)
class History:
    """Everything that was done and seen."""

    acknowledged: dict[str, tuple[str, str]] = field(default_factory=dict)
    """SOP Instance UID to series and digest, of what a sender was told is stored."""
    fetched: dict[str, str] = field(default_factory=dict)
    """The same to digest, of what C-GET gave at the end."""
    states: dict[str, str] = field(default_factory=dict)
    """State of each series at the end."""
    told: dict[str, str] = field(default_factory=dict)
    """All that the node says of each series: sentence and findings."""
    again: set[str] = field(default_factory=set)
    """Series with more than one revision or attempt."""
    frames: dict[str, str] = field(default_factory=dict)
    """Frame of reference of each series that was sent."""
    arrived: list[Made] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    """SOP Instance UID to digest, of what the node says it made."""
    withdrawn: set[str] = field(default_factory=set)
    """Series Instance UIDs of sCTs that somebody withdrew."""
    notices: Mapping[str, set[str]] = field(default_factory=dict)
    """By place: Series Instance UIDs that a Key Object there names."""


def faults_of(history: History) -> list[str]:
    """Everything that must not be."""
    return [
        *_lost(history),
        *_stuck(history),
        *_doubled(history),
        *_changed(history),
        *_unwarned(history),
    ]


def _lost(h: History) -> Iterator[str]:
    for uid, (series, digest) in h.acknowledged.items():
        if h.fetched.get(uid) == digest:
            continue
        if not _is_told(h, series):
            how = "differs" if uid in h.fetched else "is not there"
            yield f"lost untold: {uid} of {series} was acknowledged and {how}"


def _is_told(h: History, series: str) -> bool:
    return h.states.get(series) in ("refused", "failed", "review") or "finding" in h.told.get(
        series, ""
    )


def _stuck(h: History) -> Iterator[str]:
    for series in {series for series, _ in h.acknowledged.values()}:
        state = h.states.get(series, "no row")
        if state not in AT_REST:
            yield f"stuck: {series} is {state}"


def _doubled(h: History) -> Iterator[str]:
    by: dict[tuple[str, str], set[str]] = {}
    for one in h.arrived:
        by.setdefault((one.place, one.frame), set()).add(one.series)
    source = {frame: series for series, frame in h.frames.items()}
    for (place, frame), series in by.items():
        alive = series - h.notices.get(place, set())
        if len(alive) > 1 and source.get(frame) not in h.again:
            yield f"doubled: {place} has {len(alive)} sCTs of one series: {sorted(alive)}"


def _changed(h: History) -> Iterator[str]:
    for one in h.arrived:
        made = h.made.get(one.sop_instance_uid)
        if made is None:
            yield f"unknown: {one.sop_instance_uid} at {one.place} was made by nobody"
        elif made != one.digest:
            yield f"changed: {one.sop_instance_uid} at {one.place} is not what was made"
    whole: dict[tuple[str, str], int] = {}
    for one in h.arrived:
        whole[one.place, one.frame] = whole.get((one.place, one.frame), 0) + 1
    for series, state in h.states.items():
        frame = h.frames.get(series)
        places = {place for place, of in whole if of == frame}
        if state == "delivered" and frame is not None and not places:
            yield f"not there: {series} is delivered, and no destination has an object of it"


def _unwarned(h: History) -> Iterator[str]:
    for place in {one.place for one in h.arrived}:
        there = {one.series for one in h.arrived if one.place == place}
        for series in sorted((there & h.withdrawn) - h.notices.get(place, set())):
            yield f"withdrawn without notice: {place} has {series}"


def counted(faults: Iterable[str]) -> dict[str, int]:
    """Faults by kind."""
    found: dict[str, int] = {}
    for fault in faults:
        kind = fault.partition(":")[0]
        found[kind] = found.get(kind, 0) + 1
    return found
