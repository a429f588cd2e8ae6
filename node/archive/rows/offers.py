"""Rows of the ledger inside the caller's transaction: what each association brought of a series.

A row begins with the first instance that is taken, in the transaction that indexes it; until then
the journal's record says which association it came with. What is never indexed, a duplicate or a
refusal, begins its row by itself (`node.archive.evidence.ledger`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from node.archive.schema import tables as t
from node.archive.schema.records import Origin, ReceivedHeader, StoredInstance
from node.domain.door import Ending


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who opened an association, and what names it."""

    origin: Origin
    calling_ae: str
    called_ae: str
    peer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What of a series came on one association; instances stored anew are counted by their rows."""

    series_instance_uid: str
    begun_at: float
    last_at: float
    taken: int = 0
    """Instances that were answered as safe here, those that were here before among them."""
    duplicates: int = 0
    asides: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an association ended."""

    ending: Ending
    sentence: str
    at: float


def note_received(
    connection: sa.Connection,
    series_instance_uid: str,
    received: Iterable[tuple[StoredInstance, ReceivedHeader]],
) -> None:
    """Begin or carry on the rows of those who brought instances that are indexed just now."""
    values: dict[str, dict[str, Any]] = {}
    for stored, header in received:
        if header.origin is None:
            continue
        at = stored.received_at.timestamp()
        known = values.get(header.origin.key)
        if known is None:
            caller = Caller(
                origin=header.origin,
                calling_ae=header.calling_ae,
                called_ae=header.called_ae,
                peer=header.peer,
            )
            tally = Tally(series_instance_uid=series_instance_uid, begun_at=at, last_at=at)
            values[header.origin.key] = _begun(caller, tally)
        else:
            known["begun_at"] = min(known["begun_at"], at)
            known["last_at"] = max(known["last_at"], at)
    for row in values.values():
        connection.execute(_carry_on(connection.dialect.name), row)


def note_overlaps(
    connection: sa.Connection,
    series_instance_uid: str,
    received: Iterable[tuple[StoredInstance, ReceivedHeader]],
) -> None:
    """Tell associations whose instances others had brought as new, before either had a row.

    Two acceptors, or a journal that is filed late: each took the instance for new, and whose row
    came first says nothing of who brought it first.
    """
    i, o = t.instances.c, t.offers
    for stored, header in received:
        first = connection.execute(
            sa.select(i.origin).where(i.sop_instance_uid == stored.sop_instance_uid)
        ).scalar_one_or_none()
        if header.origin is None or not first or first == header.origin.key:
            continue
        here = (o.c.series_instance_uid == series_instance_uid) & (o.c.origin == first)
        connection.execute(sa.update(o).where(here).values(overlaps=o.c.overlaps + 1))


def _begun(caller: Caller, tally: Tally) -> dict[str, Any]:
    origin = caller.origin
    return {
        "series_instance_uid": tally.series_instance_uid,
        "origin": origin.key,
        "kind": origin.kind,
        "holder": origin.holder,
        "calling_ae": clean(caller.calling_ae),
        "called_ae": clean(caller.called_ae),
        "peer": caller.peer,
        "address": origin.address,
        "opened_at": origin.opened_at,
        "begun_at": tally.begun_at,
        "last_at": tally.last_at,
    }


def _offer_values(caller: Caller, tally: Tally, end: End | None) -> dict[str, Any]:
    counts = {
        "taken": tally.taken,
        "duplicates": tally.duplicates,
        "asides": tally.asides,
    }
    ended = {}
    if end is not None:
        ended = {
            "ended_at": end.at,
            "ending": end.ending.value,
            "sentence": clean(end.sentence),
        }
    return _begun(caller, tally) | counts | ended


def put_offer(connection: sa.Connection, caller: Caller, tally: Tally, end: End | None) -> None:
    """Write what is known of one series on one association; twice is the same as once."""
    values = _offer_values(caller, tally, end)
    connection.execute(_put(connection.dialect.name, tuple(values)), values)


@cache
def _put(dialect: str, keys: tuple[str, ...]) -> Any:
    """Write a row; one that is there takes over all but where it begins."""
    insert, fixed = _insert(dialect), {"series_instance_uid", "origin", "begun_at", "last_at"}
    return _on_conflict(insert, {key: insert.excluded[key] for key in keys if key not in fixed})


@cache
def _carry_on(dialect: str) -> Any:
    """Begin a row; one that is there, ended or not, learns when the last instance came."""
    return _on_conflict(_insert(dialect), {})


def _insert(dialect: str) -> Any:
    return (postgresql.insert if dialect == "postgresql" else sqlite.insert)(t.offers)


def _on_conflict(insert: Any, changed: Mapping[str, Any]) -> Any:
    new, old = insert.excluded, t.offers.c
    later = sa.case((new.last_at > old.last_at, new.last_at), else_=old.last_at)
    earlier = sa.case((new.begun_at < old.begun_at, new.begun_at), else_=old.begun_at)
    return insert.on_conflict_do_update(
        index_elements=["series_instance_uid", "origin"],
        set_={"last_at": later, "begun_at": earlier, **changed},
    )


def clean(text: str) -> str:
    """As a peer's words may be kept: PostgreSQL takes no NUL."""
    return text.replace("\0", "")
