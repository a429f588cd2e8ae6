"""Who sent a series: every sender of its instances, not that of the first."""

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.domain.routing import Sender, Share


def by_sender(
    connection: sa.Connection, series_id: int, *, revision: int | None = None
) -> list[Share]:
    """Who sent how many instances, the most first; of ``revision`` and earlier ones."""
    i, o, s = t.instances.c, t.offers.c, t.series.c
    # What came before a ledger was kept, or by a way without one, is as the series' row says.
    is_known = o.id.is_not(None)
    peer = sa.case((is_known, o.peer), else_=s.peer).label("peer")
    calling = sa.case((is_known, o.calling_ae), else_=s.calling_ae).label("calling_ae")
    called = sa.case((is_known, o.called_ae), else_=s.called_ae).label("called_ae")
    same = (o.origin == i.origin) & (o.series_instance_uid == s.series_instance_uid)
    query = (
        sa.select(peer, calling, called, sa.func.count().label("instances"))
        .select_from(t.instances)
        .join(t.series, s.id == i.series_id)
        .outerjoin(t.offers, same)
        .where(i.series_id == series_id)
        .group_by(peer, calling, called)
    )
    if revision is not None:
        query = query.where(i.revision <= revision)
    shares = [
        Share(
            sender=Sender(peer=row.peer, called_ae=row.called_ae),
            calling_ae=row.calling_ae,
            instances=row.instances,
        )
        for row in connection.execute(query)
    ]
    return sorted(shares, key=lambda s: (-s.instances, s.sender.peer or "", s.calling_ae))


def name_sender(
    connection: sa.Connection, row: sa.RowMapping, shares: list[Share]
) -> sa.RowMapping:
    """Let a locked series' row name who sent most of it; the row as it is then."""
    if not shares:
        return row
    most = shares[0]
    values = {
        "peer": most.sender.peer,
        "calling_ae": most.calling_ae,
        "called_ae": most.sender.called_ae,
    }
    if all(row[key] == value for key, value in values.items()):
        return row
    here = t.series.c.id == row["id"]
    connection.execute(sa.update(t.series).where(here).values(values))
    return connection.execute(sa.select(t.series).where(here)).mappings().one()
