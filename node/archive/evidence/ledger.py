"""The ledger of the door: who offered instances of a series, and what became of them.

A row without an end belongs to an open association, or to a process that has ended:
`Ledger.mark_lost` tells them apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.rows.offers import Caller, End, Tally, clean, put_offer
from node.archive.rows.series_rows import begin_revision, insert_missing, lock_series
from node.archive.schema import tables as t
from node.crashpoints import reach
from node.domain.door import UNENDED, Ending, Evidence, Missing, Offer, OtherPatient
from node.domain.states import State

WAITING = "Its sender broke off or was refused images; waiting for it to come back."
CAME_BACK = "Its sender came back and ended in order."
_UID_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One instance that was not taken."""

    series_instance_uid: str
    sop_instance_uid: str
    """As it says itself, else as the command names it."""
    code: str
    sentence: str
    at: float
    patient_id: str = ""
    """As it says itself; empty where that cannot be read."""


class Ledger:
    """The rows; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def write(
        self,
        caller: Caller,
        tallies: Sequence[Tally],
        refusals: Sequence[Refusal] = (),
        end: End | None = None,
    ) -> None:
        """Bring the rows of one association up to date, in one transaction; again is the same."""
        with self.engine.begin() as connection:
            for tally in tallies:
                put_offer(connection, caller, tally, end)
            for refusal in refusals:
                _add_refusal(connection, caller.origin.key, refusal)
            if end is not None or refusals:
                for tally in tallies:
                    _follow(connection, tally.series_instance_uid, end)
        reach("ledger.begun" if end is None else "ledger.ended")

    def mark_lost(self, is_alive: Callable[[str], bool]) -> int:
        """End the rows of processes that have ended; return how many there were."""
        o = t.offers
        still_open = o.c.ended_at.is_(None)
        with t.reading(self.engine).begin() as connection:
            holders = connection.execute(sa.select(o.c.holder).where(still_open).distinct())
            dead = [holder for holder in holders.scalars() if not is_alive(holder)]
        if not dead:
            return 0
        values = {"ended_at": t.db_clock(), "ending": Ending.LOST.value}
        lost = still_open & o.c.holder.in_(dead)
        series = sa.select(o.c.series_instance_uid).where(lost)
        with self.engine.begin() as connection:
            say_waiting(connection, t.series.c.series_instance_uid.in_(series))
            return int(connection.execute(sa.update(o).where(lost).values(values)).rowcount)


def read_evidence(connection: sa.Connection, series_id: int, series_instance_uid: str) -> Evidence:
    """Everything that happened at the door to one series."""
    held = _held_by_origin(connection, series_id)
    return Evidence(
        held=sum(held.values()),
        offers=tuple(_offers(connection, series_instance_uid, held)),
        missing=tuple(_missing(connection, series_id, series_instance_uid)),
        other_patients=tuple(_other_patients(connection, series_id)),
    )


def forget(connection: sa.Connection, series_instance_uid: str) -> None:
    """Remove the rows of a series whose instances are removed."""
    for table in (t.offers, t.refusals):
        here = table.c.series_instance_uid == series_instance_uid
        connection.execute(sa.delete(table).where(here))


def _add_refusal(connection: sa.Connection, origin: str, refusal: Refusal) -> None:
    uid, sop = refusal.series_instance_uid, clean(refusal.sop_instance_uid)[:_UID_LENGTH]
    values = {
        "series_instance_uid": uid,
        "sop_instance_uid": sop,
        "origin": origin,
        "code": refusal.code,
        "sentence": clean(refusal.sentence),
        "patient_id": clean(refusal.patient_id),
        "at": refusal.at,
    }
    if insert_missing(connection, t.refusals, values).rowcount:
        _tell(connection, uid, sop)
        return
    r = t.refusals
    here = (r.c.series_instance_uid == uid) & (r.c.sop_instance_uid == sop)
    # Its first time stays: who is refused again and again keeps nobody waiting for ever.
    latest = {key: values[key] for key in ("origin", "code", "sentence")}
    connection.execute(sa.update(r).where(here).values(times=r.c.times + 1, **latest))


def _tell(connection: sa.Connection, series_instance_uid: str, sop_instance_uid: str) -> None:
    """Let a series that was taken up know that an instance was offered which it has not."""
    s, i = t.series.c, t.instances.c
    query = sa.select(s.id).where(s.series_instance_uid == series_instance_uid)
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        return
    row = lock_series(connection, number)
    here = sa.select(i.series_id).where(
        i.sop_instance_uid == sop_instance_uid, i.series_id == number
    )
    if State(row["state"]) is State.RECEIVING or connection.execute(here).first() is not None:
        return
    if not row["instances"]:
        return  # it only says what it corrects, or its images went after delivery: nothing lacks it
    # As with any late instance: what was made lacks it.
    begin_revision(connection, row)
    change = {"last_received_at": t.db_clock()}
    connection.execute(sa.update(t.series).where(s.id == number).values(change))


def _follow(connection: sa.Connection, series_instance_uid: str, end: End | None) -> None:
    """Let the series say what it waits for, or go on with it."""
    if end is None or end.ending is not Ending.RELEASED:
        say_waiting(connection, t.series.c.series_instance_uid == series_instance_uid)
    else:
        _make_good(connection, series_instance_uid)


def say_waiting(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Let series that are not taken up yet say that their sender may come back."""
    s = t.series
    here = which & (s.c.state == State.RECEIVING.value)
    connection.execute(sa.update(s).where(here).values(sentence=WAITING))


_HELD = sa.select(t.series.c.id, t.series.c.findings).where(
    t.series.c.series_instance_uid == sa.bindparam("uid"),
    t.series.c.state == State.REVIEW.value,
)


def _make_good(connection: sa.Connection, series_instance_uid: str) -> None:
    """Take up anew what is held only because its sender had not ended, now that it has."""
    found = connection.execute(_HELD, {"uid": series_instance_uid}).one_or_none()
    if found is None or not {f["code"] for f in found.findings} & UNENDED:
        return
    row = lock_series(connection, found.id)
    evidence = read_evidence(connection, found.id, series_instance_uid)
    if State(row["state"]) is State.REVIEW and not evidence.troubles and not evidence.open:
        begin_revision(connection, row, CAME_BACK)


def _held_by_origin(connection: sa.Connection, series_id: int) -> dict[str, int]:
    i = t.instances.c
    query = sa.select(i.origin, sa.func.count()).where(i.series_id == series_id).group_by(i.origin)
    return {row[0]: row[1] for row in connection.execute(query)}


def _offers(
    connection: sa.Connection, series_instance_uid: str, held: Mapping[str, int]
) -> list[Offer]:
    o, other = t.offers, t.offers.alias()
    moved_on = sa.exists().where(
        other.c.origin == o.c.origin,
        other.c.series_instance_uid != o.c.series_instance_uid,
        other.c.last_at > o.c.last_at,
    )
    query = (
        sa.select(o, sa.case((o.c.ended_at.is_(None), moved_on), else_=sa.false()).label("moved"))
        .where(o.c.series_instance_uid == series_instance_uid)
        .order_by(o.c.begun_at, o.c.id)
    )
    return [_offer(row, held) for row in connection.execute(query).mappings()]


def _offer(row: sa.RowMapping, held: Mapping[str, int]) -> Offer:
    return Offer(
        origin=row["origin"],
        calling_ae=row["calling_ae"],
        called_ae=row["called_ae"],
        peer=row["peer"],
        address=row["address"],
        opened_at=row["opened_at"],
        begun_at=row["begun_at"],
        last_at=row["last_at"],
        ended_at=row["ended_at"],
        ending=Ending(row["ending"]) if row["ending"] else None,
        held=held.get(row["origin"], 0),
        taken=row["taken"],
        duplicates=row["duplicates"],
        asides=row["asides"],
        overlaps=row["overlaps"],
        moved_on=bool(row["moved"]),
    )


def _other_patients(connection: sa.Connection, series_id: int) -> list[OtherPatient]:
    """Whom refused images named, taken since or not, that is not the patient of the series."""
    r, s = t.refusals.c, t.series.c
    query = (
        sa.select(s.patient_id, r.patient_id, sa.func.count())
        .join(t.refusals, r.series_instance_uid == s.series_instance_uid)
        .where(s.id == series_id, r.patient_id != "", r.patient_id != s.patient_id)
        .group_by(s.patient_id, r.patient_id)
        .order_by(r.patient_id)
    )
    return [
        OtherPatient(patient_id=held, other=other, count=count)
        for held, other, count in connection.execute(query)
        if held.strip(" \0") != other
    ]


def _missing(connection: sa.Connection, series_id: int, series_instance_uid: str) -> list[Missing]:
    r, i = t.refusals.c, t.instances.c
    here = sa.exists().where(i.sop_instance_uid == r.sop_instance_uid, i.series_id == series_id)
    query = (
        sa.select(r.sop_instance_uid, r.origin, r.code, r.at)
        .where(r.series_instance_uid == series_instance_uid, ~here)
        .order_by(r.id)
    )
    return [Missing(**row) for row in connection.execute(query).mappings()]
