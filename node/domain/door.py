"""What happened at the door while a series came: who offered what, and how each of them ended.

A sender is believed that it is done when it releases its association (PS3.8 7.2). Whoever breaks
off has said nothing, and may have more; so has whoever was refused something. Such a series waits
for the sender to come back, and where it does not a person decides.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from node.domain.codes.table import refusal
from node.domain.errors import NodeError, Rejected
from node.domain.findings import Finding, Severity, finding

# A time so far ahead of the clock was written before the clock was set back.
_CLOCK_STEP_S = 60.0


class Ending(StrEnum):
    """How an association, or a request, ended."""

    RELEASED = "released"
    """In order: its sender was done."""
    ABORTED = "aborted"
    """By the sender (A-ABORT)."""
    BROKEN = "broken"
    """The connection went away."""
    SILENT = "silent"
    """By the node, after a silence that was too long."""
    STOPPED = "stopped"
    """By the node, which stopped or was told something it could not follow."""
    LOST = "lost"
    """Not known: the process that had it ended first."""


NOT_STORED, CUT_OFF = "NOT_STORED", "CUT_OFF"
"""Codes of refusals that are none of the instance: no room or database just then; its sender broke
off half-way."""


def refusal_code(error: NodeError) -> str:
    """What an instance that was refused with ``error`` is remembered under."""
    return error.code if isinstance(error, Rejected) and error.code else NOT_STORED


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one association, or request, brought of a series."""

    origin: str
    """Names the association."""
    calling_ae: str
    called_ae: str
    peer: str | None
    """Name of the peer; None for an unknown one."""
    address: str
    opened_at: float
    """Seconds since 1970 UTC."""
    begun_at: float
    """When the first instance of the series came on it."""
    last_at: float
    """When the last one came that was taken."""
    ended_at: float | None
    """None while it is open, as far as anybody knows."""
    ending: Ending | None
    """None while it is open."""
    held: int
    """Instances of the series that are here and came with it first."""
    duplicates: int
    """Instances that were here already."""
    asides: int
    """Instances that lie aside."""
    taken: int = 0
    """Instances it was told are safe here, old and new; 0 while that is not known."""
    overlaps: int = 0
    """Instances that count as held by it, and that another association had brought as new."""
    moved_on: bool = False
    """Whether it went on to bring other series after this one."""

    @property
    def sender(self) -> str:
        """What a person calls it."""
        return self.peer or self.calling_ae or "?"

    @property
    def trouble_at(self) -> float | None:
        """From when on its sender may have come back; None where nothing went wrong.

        What the sender ended is ended for both at once; what the node ended, or lost, its sender
        may have given up long before.
        """
        if self.ending in (None, Ending.RELEASED) or self.ended_at is None:
            return None
        known = self.ending in (Ending.ABORTED, Ending.BROKEN, Ending.STOPPED)
        return self.ended_at if known else self.last_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An instance that was offered, not taken, and is not here."""

    sop_instance_uid: str
    origin: str
    code: str
    """Why it was not taken: a code of `node.domain.codes.table`, or `NOT_STORED`, `CUT_OFF`."""
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPatient:
    """Images that were refused under another patient than the one the series has."""

    patient_id: str
    """Of the series."""
    other: str
    """As the refused images name it."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a series waits for a sender."""

    return_s: float = 300.0
    """For one whose association broke off, or who was refused something."""
    open_s: float = 900.0
    """For more of the series on an association that stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that happened at the door to one series."""

    held: int
    """Instances that are here."""
    offers: tuple[Offer, ...] = ()
    """In the order in which they began."""
    missing: tuple[Missing, ...] = ()
    other_patients: tuple[OtherPatient, ...] = ()

    @property
    def open(self) -> tuple[Offer, ...]:
        """Associations that may bring more."""
        return tuple(o for o in self.offers if o.ended_at is None)

    @property
    def troubles(self) -> tuple[Offer, ...]:
        """Those that broke off and whose sender has not come back and ended in order."""
        return tuple(o for o in self.offers if not self._made_good(o))

    def _made_good(self, offer: Offer) -> bool:
        """Whether nothing went wrong, or the sender came back, was refused nothing and released."""
        at = offer.trouble_at
        if at is None:
            return True
        refused = {m.origin for m in self.missing}
        return any(
            later.ending is Ending.RELEASED
            and later.calling_ae == offer.calling_ae
            # The end of the broken one may be seen later than its sender came back.
            and (later.begun_at >= at or later.opened_at >= offer.last_at)
            and later.origin not in refused
            and self._goes_on_or_begins_anew(later)
            for later in self.offers
        )

    def _goes_on_or_begins_anew(self, later: Offer) -> bool:
        """Whether an association brought what was left, or everything once more.

        One that repeats a part of what is here is neither, and says nothing of what is missing.
        """
        # What another acceptor had just taken is a repeat that was taken for new at first.
        brought = max(later.taken, later.held + later.duplicates)
        went_on = 0 < brought == later.held and not later.overlaps
        return went_on or brought >= self.held


def must_wait(evidence: Evidence, now: float, patience: Patience) -> bool:
    """Whether a quiet series is still waited for: more of it may come.

    Time counts from the first thing that went wrong, or from the last new instance: a sender that
    comes again and again with the same does not keep a series waiting for ever.
    """
    waits = [(offer.last_at, patience.open_s) for offer in evidence.open]
    wrong = [o.ended_at or 0.0 for o in evidence.troubles] + [m.at for m in evidence.missing]
    if wrong:
        newest = max((o.last_at for o in evidence.offers if o.held), default=0.0)
        waits.append((max(min(wrong), newest), patience.return_s))
    return any(-_CLOCK_STEP_S <= now - since < wait_s for since, wait_s in waits)


def incomplete(evidence: Evidence, *, expected: int | None = None) -> tuple[Finding, ...]:
    """Why the series may lack images; ``expected`` is how many its archive says it has.

    That count proves a series whole whatever became of an association; that an instance was
    offered which is not here it does not explain.
    """
    found = [
        finding("REFUSED_OTHER_PATIENT", patient=o.patient_id, other=o.other, count=o.count)
        for o in evidence.other_patients
    ]
    found += _refused(evidence)
    if expected is None or expected != evidence.held:
        found += _broken_off(evidence)
        found += _still_open(evidence)
    return tuple(found)


def _refused(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.missing:
        return
    reasons = Counter(m.code for m in evidence.missing)
    yield finding(
        "IMAGES_REFUSED",
        uids=[m.sop_instance_uid for m in evidence.missing],
        count=len(evidence.missing),
        held=evidence.held,
        refusals="; ".join(f"{refusal(code)} ({n})" for code, n in sorted(reasons.items())),
    )


_CODES = {
    Ending.ABORTED: "SENDER_ABORTED",
    Ending.BROKEN: "SENDER_LOST",
    Ending.SILENT: "SENDER_SILENT",
    Ending.STOPPED: "SENDER_CUT_OFF",
    Ending.LOST: "SENDER_CUT_OFF",
}


UNENDED = frozenset({"SENDER_OPEN", *_CODES.values()})
"""Codes of findings that say only that a sender has not ended in order."""


def _broken_off(evidence: Evidence) -> Iterator[Finding]:
    """One finding for each sender and kind of end, of the last of them."""
    last: dict[tuple[str, str], Offer] = {}
    for offer in evidence.troubles:
        if offer.ending in _CODES:
            last[_CODES[offer.ending], offer.sender] = offer
    for (code, sender), offer in last.items():
        at = offer.ended_at if offer.trouble_at == offer.ended_at else offer.last_at
        yield finding(code, count=evidence.held, sender=sender, at=_clock(at or 0.0))


def _still_open(evidence: Evidence) -> Iterator[Finding]:
    for offer in evidence.open:
        yield finding(
            "SENDER_OPEN",
            # Who brought other series since has most likely brought all of this one.
            severity=Severity.WARNING if offer.moved_on else None,
            count=evidence.held,
            sender=offer.sender,
            at=_clock(offer.last_at),
        )


def _clock(at_s: float) -> str:
    """A moment as the clock on the wall shows it."""
    return datetime.fromtimestamp(at_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
