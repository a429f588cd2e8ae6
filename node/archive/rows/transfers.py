"""Which studies went between the node and a peer, and how many instances of each kind.

Written in the transaction that says what they came to, and read by nobody but the audit relay.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.archive.schema.records import Transfer

# As many as associations are kept: a collector may be away for long.
KEPT = 20_000


def add(connection: sa.Connection, transfers: Iterable[Transfer], at: Any) -> None:
    """Keep ``transfers`` inside the caller's transaction; the oldest are forgotten."""
    rows = [
        {
            "at": at,
            "received": one.received,
            "ae_title": one.ae_title,
            "address": one.address,
            "study_instance_uid": one.study_instance_uid,
            "patient_id": one.patient_id.replace("\0", ""),
            "classes": dict(one.classes),
            "new": one.new,
            "whole": one.whole,
        }
        for one in transfers
    ]
    n = t.transfers
    for row in rows:
        number = connection.execute(sa.insert(n).values(row).returning(n.c.id)).scalar_one()
        forget_beyond(connection, n, number - KEPT)


def forget_beyond(connection: sa.Connection, table: sa.Table, number: int) -> None:
    """Forget the rows up to ``number``, but none that an audit collector has not been told.

    Twenty thousand refused connections would otherwise push out the alerts of those before them.
    """
    c = t.audit_positions.c
    told = sa.select(c.position).where(c.source == table.name).scalar_subquery()
    old = (table.c.id <= number) & (table.c.id <= sa.func.coalesce(told, number))
    connection.execute(sa.delete(table).where(old))
