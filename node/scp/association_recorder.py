"""Who came, what was agreed, what arrived and how it ended: one record for each association."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError

from node.archive.evidence.offering import Offering, Offerings
from node.archive.ingest.receive import Outcome, Receipt
from node.archive.schema.records import AssociationRecord, Transfer
from node.domain.door import Ending
from node.domain.site import Peer
from node.log import get_logger
from node.scp.admission import Asked, Refused
from node.scp.contexts import NOT_SERVED

log = get_logger(__name__)

_MOST_NOTES = 20
_KEPT_CONTEXTS = 128  # PS3.8 9.3.2.2: odd context IDs from 1 to 255
_TOLD = 3  # a general storage client offers a hundred classes; the record holds them all


class Records(Protocol):
    """Where association records go; `node.archive.rows.index.Index` is one."""

    def add_association(self, record: AssociationRecord) -> None:
        """Keep one record."""


class Place(Protocol):
    """What an association holds of its peer's limit; `node.scp.association_slots.Held` is one."""

    def free(self) -> None:
        """Give it back."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """An association while it lasts."""

    asked: Asked
    peer: Peer | None
    opened_at: datetime
    contexts: tuple[Mapping[str, Any], ...] = ()
    """Offered and what was answered, as `node.scp.negotiation.agreement` gives them."""
    place: Place | None = None
    """None where the peer has no limit of its own."""
    offering: Offering | None = None
    """What it offers, for the ledger of its series; None for one that was sent away."""
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    services: Counter[str] = field(default_factory=Counter)
    """Requests answered, by name."""
    studies: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    """Instances of each SOP class, by study and patient."""
    new_studies: set[tuple[str, str]] = field(default_factory=set)
    """Those of which something was not here before."""
    received_bytes: int = 0
    last_received_at: datetime | None = None
    failures: int = 0
    last_failure: str = ""
    """Why the last refused instance was refused."""
    abort: str = ""
    """How the abort came about, as far as it is known."""
    ending: Ending = Ending.SILENT
    """The same for the ledger: without a word of anybody else it is the node that aborts."""

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

    def received(self, size: int, at: datetime | None = None) -> None:
        """A data set of ``size`` bytes arrived, whatever becomes of it."""
        self.services["C-STORE"] += 1
        self.received_bytes += size
        self.last_received_at = at or datetime.now(UTC)

    def took(self, receipt: Receipt) -> None:
        """An instance is safe here; `Retryable` when that cannot be written down."""
        self.outcomes[receipt.outcome] += 1
        study = (receipt.study_instance_uid, receipt.patient_id)
        self.studies.setdefault(study, Counter())[receipt.sop_class_uid] += 1
        if receipt.outcome is not Outcome.DUPLICATE:
            self.new_studies.add(study)
        if self.offering is None:
            return
        if receipt.outcome is Outcome.STORED:
            self.offering.stored(receipt.series_instance_uid)
        else:
            aside = receipt.outcome is Outcome.CONFLICT
            self.offering.known(receipt.series_instance_uid, aside=aside)

    def transfers(self) -> tuple[Transfer, ...]:
        """What arrived, by study and patient."""
        return tuple(
            Transfer(
                received=True,
                ae_title=self.asked.calling_ae,
                address=self.asked.address,
                study_instance_uid=study,
                patient_id=patient,
                classes=classes,
                new=(study, patient) in self.new_studies,
                whole=not self.failures,
            )
            for (study, patient), classes in self.studies.items()
        )

    def failed(self, why: str) -> None:
        """An instance was answered with a failure."""
        self.failures += 1
        self.last_failure = why


class Visits:
    """Keeps the visits of one process and writes each when it ends, once."""

    def __init__(
        self,
        records: Records,
        offerings: Offerings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._records = records
        self._offerings = offerings
        self._now = now
        self._open: WeakKeyDictionary[Any, Visit] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def open(
        self, association: Any, asked: Asked, peer: Peer | None, place: Place | None = None
    ) -> Visit:
        """An association was let in."""
        visit = Visit(
            asked=asked,
            peer=peer,
            opened_at=self._now(),
            place=place,
            offering=self._offerings.open(
                calling_ae=asked.calling_ae,
                called_ae=asked.called_ae,
                peer=peer.name if peer else None,
                address=asked.address,
            ),
        )
        with self._lock:
            self._open[association] = visit
        log.info(
            "association_accepted",
            calling=asked.calling_ae,
            address=asked.address,
            tls=asked.tls_version,
        )
        return visit

    def count(self, *, strangers: bool = False) -> int:
        """How many are here; with ``strangers`` those that are no peer's."""
        with self._lock:
            return sum(visit.peer is None or not strangers for visit in self._open.values())

    def of(self, association: Any) -> Visit | None:
        """The visit of an association that was let in and has not ended."""
        with self._lock:
            return self._open.get(association)

    def refuse(
        self, asked: Asked, refused: Refused, contexts: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """An association was sent away."""
        log.warning(
            "association_refused",
            calling=asked.calling_ae,
            called=asked.called_ae,
            address=asked.address,
            rule=refused.rule.value,
            result=refused.result,
            source=refused.source,
            reason=refused.reason,
            sentence=refused.sentence,
        )
        visit = Visit(asked=asked, peer=None, opened_at=self._now(), contexts=tuple(contexts))
        self._write(visit, f"{refused.sentence} {refused.remedy}", refused=refused)

    def turn_away(self, association: Any, refused: Refused) -> None:
        """An association that was let in is refused after all, by a limit."""
        visit = self._end(association)
        if visit is not None:
            self.refuse(visit.asked, refused, visit.contexts)

    def close(self, association: Any, how: str, ending: Ending) -> None:
        """An association ended; ``how`` says so in a few words. Only the first call counts."""
        visit = self._end(association)
        if visit is None:
            return
        if visit.offering is not None:
            visit.offering.end(ending, how)
        log.info(
            "association_ended",
            calling=visit.asked.calling_ae,
            how=how,
            failures=visit.failures,
            received_bytes=visit.received_bytes,
            **{outcome.value: count for outcome, count in visit.outcomes.items()},
        )
        self._write(visit, _sentence(visit, how))

    def _end(self, association: Any) -> Visit | None:
        with self._lock:
            visit = self._open.pop(association, None)
        if visit is not None and visit.place is not None:
            visit.place.free()
        return visit

    def _write(self, visit: Visit, sentence: str, *, refused: Refused | None = None) -> None:
        last = visit.last_received_at
        record = AssociationRecord(
            opened_at=visit.opened_at,
            closed_at=self._now(),
            calling_ae=visit.asked.calling_ae,
            called_ae=visit.asked.called_ae,
            address=visit.asked.address,
            peer=visit.peer.name if visit.peer else None,
            accepted=refused is None,
            sentence=sentence,
            rule=refused.rule.value if refused else "",
            remedy=refused.remedy if refused else "",
            contexts=visit.contexts[:_KEPT_CONTEXTS],
            implementation=visit.asked.implementation,
            tls=visit.asked.tls,
            services=dict(visit.services),
            received_bytes=visit.received_bytes,
            receiving_s=(last - visit.opened_at).total_seconds() if last else 0.0,
            stored=visit.outcomes[Outcome.STORED],
            duplicates=visit.outcomes[Outcome.DUPLICATE],
            conflicts=visit.outcomes[Outcome.CONFLICT],
            failures=visit.failures,
            transfers=visit.transfers(),
        )
        try:
            self._records.add_association(record)
        except SQLAlchemyError as error:  # the association's own work is safe; its record is not
            log.warning("association_not_recorded", reason=type(error).__name__)


def _sentence(visit: Visit, how: str) -> str:
    parts = [f"{count} {outcome.value}" for outcome, count in visit.outcomes.items() if count]
    parts += visit.notes
    if visit.failures:
        parts.append(f"{visit.failures} refused (last: {visit.last_failure})")
    said = f"{how} {', '.join(parts)}." if parts else how
    kept_out = [str(context["why"]) for context in visit.contexts if context["why"]]
    if visit.services or visit.notes or not kept_out:  # what was wanted was served
        return said
    # A general client offers everything there is: what a peer could be allowed comes first.
    reasons = sorted(dict.fromkeys(kept_out), key=lambda why: why.endswith(NOT_SERVED))
    more = f"; and {len(reasons) - _TOLD} more" if len(reasons) > _TOLD else ""
    told = "; ".join(reasons[:_TOLD])
    return f"{said} {len(kept_out)} of {len(visit.contexts)} contexts not accepted: {told}{more}."
