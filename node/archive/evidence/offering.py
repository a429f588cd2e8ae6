"""What one association, or request, offers while it lasts, and the book of all of a process.

What the database does not take now is kept here and written once it answers. Should the process end
before, the rows it has begun stay open, and are told from those of the living by its lock.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger, Refusal
from node.archive.rows.offers import Caller, End, Tally
from node.archive.schema.records import Origin
from node.domain.door import Ending
from node.domain.errors import Retryable
from node.log import get_logger

log = get_logger(__name__)

# How often what is still to be written is tried again.
_AGAIN_S = 1.0
# A sender that is refused everything is told of; its first ones say all there is to say.
_MOST_REFUSALS = 10_000


@dataclass(slots=True)
class _Series:
    """One series on one association; counted for each instance, so nothing is made anew."""

    begun_at: float
    last_at: float
    taken: int = 0
    duplicates: int = 0
    asides: int = 0
    is_safe: bool = False
    """Whether a row, or a record of the journal, says that the association brought it."""

    def tally(self, series_instance_uid: str) -> Tally:
        """What came so far."""
        return Tally(
            series_instance_uid=series_instance_uid,
            begun_at=self.begun_at,
            last_at=self.last_at,
            taken=self.taken,
            duplicates=self.duplicates,
            asides=self.asides,
        )


@dataclass(slots=True)
class _Unwritten:
    """What the database has not taken yet."""

    series: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)


class Offering:
    """What one association offers; for one thread, and for the book's own."""

    def __init__(self, book: "Offerings", caller: Caller) -> None:
        self.caller = caller
        self._book = book
        self._series: dict[str, _Series] = {}
        self._last = ""
        self._unwritten = _Unwritten()
        self._refused = 0
        self._end: End | None = None
        self._lock = threading.Lock()

    @property
    def origin(self) -> Origin:
        """What its instances bear."""
        return self.caller.origin

    def stored(self, series_instance_uid: str) -> None:
        """An instance was stored anew: its own record or row says who brought it."""
        own = self._tallied(series_instance_uid)
        own.taken += 1
        own.is_safe = True

    def known(self, series_instance_uid: str, *, aside: bool = False) -> None:
        """An instance was here already, or lies aside; raise `Retryable` when it cannot be told."""
        own = self._tallied(series_instance_uid)
        own.asides += aside
        own.duplicates += not aside
        own.taken += not aside
        if own.is_safe:
            return
        try:
            self._book.ledger.write(self.caller, [own.tally(series_instance_uid)])
        except SQLAlchemyError as error:
            raise Retryable(
                "The database does not answer, so nothing can be acknowledged.",
                remedy="Send again; look at the node's database meanwhile.",
            ) from error
        own.is_safe = True

    def refused(
        self,
        sop_instance_uid: str,
        code: str,
        sentence: str,
        series_instance_uid: str = "",
        patient_id: str = "",
    ) -> None:
        """An instance was not taken; without its series it is one of the series brought last."""
        uid = series_instance_uid or self._last
        self._refused += 1
        if not uid or self._refused > _MOST_REFUSALS:
            return
        own = self._tallied(uid)
        refusal = Refusal(
            series_instance_uid=uid,
            sop_instance_uid=sop_instance_uid,
            code=code,
            sentence=sentence,
            patient_id=patient_id,
            at=self._book.now(),
        )
        with self._lock:
            self._unwritten.series.add(uid)
            self._unwritten.refusals.append(refusal)
        own.is_safe = self._book.try_now(self) or own.is_safe

    def end(self, ending: Ending, sentence: str) -> None:
        """It has ended; only the first call counts."""
        if self._end is not None or not self._series:
            return
        with self._lock:
            self._end = End(ending=ending, sentence=sentence, at=self._book.now())
            self._unwritten.series.update(self._series)
        self._book.try_now(self, always=True)

    def write(self) -> None:
        """Bring the rows up to date; raise `SQLAlchemyError` and keep what they lack."""
        with self._lock:
            unwritten, self._unwritten = self._unwritten, _Unwritten()
            tallies = [self._series[uid].tally(uid) for uid in sorted(unwritten.series)]
            end = self._end
        if not tallies:
            return
        try:
            self._book.ledger.write(self.caller, tallies, unwritten.refusals, end)
        except SQLAlchemyError:
            with self._lock:
                self._unwritten.series |= unwritten.series
                self._unwritten.refusals[:0] = unwritten.refusals
            raise

    def _tallied(self, series_instance_uid: str) -> _Series:
        """The series, which something of came just now."""
        now = self._book.now()
        own = self._series.get(series_instance_uid)
        if own is None:
            own = self._series[series_instance_uid] = _Series(now, now)
        own.last_at = now
        self._last = series_instance_uid
        return own


class Offerings:
    """All offerings of this process."""

    def __init__(
        self, ledger: Ledger, holder: Holder, now: Callable[[], float] = time.time
    ) -> None:
        self.ledger = ledger
        self.now = now
        self._holder = holder
        self._waiting: set[Offering] = set()
        self._change = threading.Condition()
        self._away_until = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(
        self,
        *,
        calling_ae: str,
        called_ae: str = "",
        peer: str | None = None,
        address: str = "",
        kind: str = "association",
    ) -> Offering:
        """An association was let in, or a request begins."""
        origin = Origin(
            key=token_hex(12),
            holder=self._holder.name,
            kind=kind,
            address=address,
            opened_at=self.now(),
        )
        caller = Caller(origin=origin, calling_ae=calling_ae, called_ae=called_ae, peer=peer)
        return Offering(self, caller)

    def try_now(self, offering: Offering, *, always: bool = False) -> bool:
        """Write what ``offering`` has, or keep it for later; whether it was written.

        While the database is away a refusal does not wait for it; an end does, once.
        """
        if always or time.monotonic() >= self._away_until:
            try:
                offering.write()
            except SQLAlchemyError as error:
                log.warning("ledger_waits", reason=type(error).__name__)
                self._away_until = time.monotonic() + _AGAIN_S
            else:
                return True
        with self._change:
            self._waiting.add(offering)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
        return False

    def close(self) -> None:
        """Write what is left, if the database takes it, and let go of the process's place."""
        with self._change:
            waiting = list(self._waiting)
        for offering in waiting:
            self._write_late(offering)
        self._holder.close()

    def _run(self) -> None:
        """Try again until nothing waits; the thread ends then."""
        while True:
            with self._change:
                if not self._waiting:
                    self._thread = None
                    return
                self._change.wait(_AGAIN_S)
                waiting = list(self._waiting)
            for offering in waiting:
                if not self._write_late(offering):
                    break

    def _write_late(self, offering: Offering) -> bool:
        with self._change:
            self._waiting.discard(offering)
        try:
            offering.write()
        except SQLAlchemyError:
            with self._change:
                self._waiting.add(offering)
            return False
        return True
