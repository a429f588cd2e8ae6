"""Who came, what arrived and how it ended: one record for each association."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError

from node.archive.receive import Outcome
from node.archive.records import AssociationRecord
from node.domain.site import Peer
from node.log import get_logger
from node.scp.admission import Asked, Refused

log = get_logger(__name__)

_MOST_NOTES = 20


class Records(Protocol):
    """Where association records go; `node.archive.index.Index` is one."""

    def add_association(self, record: AssociationRecord) -> None:
        """Keep one record."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """An association while it lasts."""

    asked: Asked
    peer: Peer | None
    opened_at: datetime
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    failures: int = 0
    last_failure: str = ""
    """Why the last refused instance was refused."""
    abort: str = ""
    """How the abort came about, as far as it is known."""

    notes: list[str] = field(default_factory=list)
    """What was asked and answered besides, a few words each; the first `_MOST_NOTES` are kept."""

    def note(self, words: str) -> None:
        """Remember what a request came to."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(words)

    @property
    def arrived(self) -> int:
        """Instances answered so far."""
        return sum(self.outcomes.values()) + self.failures


class Visits:
    """Keeps the visits of one process and writes each when it ends, once."""

    def __init__(
        self, records: Records, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._records = records
        self._now = now
        self._open: WeakKeyDictionary[Any, Visit] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def open(self, association: Any, asked: Asked, peer: Peer | None) -> Visit:
        """An association was let in."""
        visit = Visit(asked=asked, peer=peer, opened_at=self._now())
        with self._lock:
            self._open[association] = visit
        log.info("association_accepted", calling=asked.calling_ae, address=asked.address)
        return visit

    def of(self, association: Any) -> Visit | None:
        """The visit of an association that was let in and has not ended."""
        with self._lock:
            return self._open.get(association)

    def refuse(self, asked: Asked, refused: Refused) -> None:
        """An association was sent away."""
        log.warning(
            "association_refused",
            calling=asked.calling_ae,
            called=asked.called_ae,
            address=asked.address,
            result=refused.result,
            source=refused.source,
            reason=refused.reason,
            sentence=refused.sentence,
        )
        visit = Visit(asked=asked, peer=None, opened_at=self._now())
        self._write(visit, accepted=False, sentence=f"{refused.sentence} {refused.remedy}")

    def close(self, association: Any, how: str, *, accepted: bool = True) -> None:
        """An association ended; ``how`` says so in a few words. Only the first call counts."""
        with self._lock:
            visit = self._open.pop(association, None)
        if visit is None:
            return
        log.info(
            "association_ended",
            calling=visit.asked.calling_ae,
            how=how,
            failures=visit.failures,
            **{outcome.value: count for outcome, count in visit.outcomes.items()},
        )
        self._write(visit, accepted=accepted, sentence=_sentence(visit, how))

    def _write(self, visit: Visit, *, accepted: bool, sentence: str) -> None:
        record = AssociationRecord(
            opened_at=visit.opened_at,
            closed_at=self._now(),
            calling_ae=visit.asked.calling_ae,
            called_ae=visit.asked.called_ae,
            address=visit.asked.address,
            peer=visit.peer.name if visit.peer else None,
            accepted=accepted,
            sentence=sentence,
            stored=visit.outcomes[Outcome.STORED],
            duplicates=visit.outcomes[Outcome.DUPLICATE],
            conflicts=visit.outcomes[Outcome.CONFLICT],
            failures=visit.failures,
        )
        try:
            self._records.add_association(record)
        except SQLAlchemyError as error:  # the association's own work is safe; its record is not
            log.warning("association_not_recorded", reason=type(error).__name__)


def _sentence(visit: Visit, how: str) -> str:
    if not visit.arrived and not visit.notes:
        return how
    parts = [f"{count} {outcome.value}" for outcome, count in visit.outcomes.items() if count]
    parts += visit.notes
    if visit.failures:
        parts.append(f"{visit.failures} refused (last: {visit.last_failure})")
    return f"{how} {', '.join(parts)}."
