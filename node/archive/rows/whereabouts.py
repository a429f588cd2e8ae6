"""Where the sCT of a run may be: every place, written down before the first byte goes there.

A place is never forgotten, whatever the delivery comes to: a hold tells of it, and a withdrawal
goes to each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing
from node.archive.schema import tables as t


class How(StrEnum):
    """By which service it may have come there."""

    DELIVERY = "delivery"
    MOVE = "C-MOVE"
    GET = "C-GET"
    WEB = "DICOMweb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Somebody who may hold an sCT."""

    name: str
    """Of the peer, or of whoever fetched it."""
    how: How
    peer: str = ""
    """Name of the peer a notice can be sent to; empty: a person has to tell."""
    address: str = ""


def of_peer(name: str, how: How, address: str = "") -> Place:
    """The place of a peer that can be sent to."""
    return Place(name=name, how=how, peer=name, address=address)


def note(connection: sa.Connection, run_ids: Iterable[int], place: Place) -> None:
    """Write down that sCTs may get to ``place``; commit before anything is sent."""
    for run_id in sorted(set(run_ids)):
        values = {
            "run_id": run_id,
            "place": place.name,
            "how": place.how.value,
            "peer": place.peer,
            "address": place.address,
            "at": t.db_clock(),
        }
        insert_missing(connection, t.whereabouts, values)


def places_of(connection: sa.Connection, run_id: int) -> Sequence[Place]:
    """Every place of a run's sCT, the first one first."""
    w = t.whereabouts
    query = sa.select(w).where(w.c.run_id == run_id).order_by(w.c.id)
    return [
        Place(name=row.place, how=How(row.how), peer=row.peer, address=row.address)
        for row in connection.execute(query)
    ]


def may_have_left(run_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether the sCT of a run may be anywhere."""
    return sa.exists().where(t.whereabouts.c.run_id == run_id)


def already(places: Iterable[Place]) -> str:
    """What is told when an sCT is stopped that may be elsewhere; empty when it is nowhere."""
    names = ", ".join(place.name for place in places)
    return f" It may have reached {names} already." if names else ""
