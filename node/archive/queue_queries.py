"""What the queue reads: counts, marks of change. Nothing here writes."""

import hashlib

import sqlalchemy as sa

from node.archive import tables as t
from node.domain.states import DeliveryState, State

_MOVING = tuple(
    s.value for s in (State.RECEIVING, State.QUEUED, State.RUNNING, State.DELIVERING, State.REVIEW)
)
_OPEN = (DeliveryState.WAITING.value, DeliveryState.SENT.value)


class QueueReads:
    """The part of `node.archive.queries.Queries` that the queue needs."""

    _engine: sa.Engine

    def counts(self) -> dict[str, int]:
        """How many series stand in each state, for the metrics."""
        s = t.series.c
        query = sa.select(s.state, sa.func.count()).group_by(s.state)
        with self._engine.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def marks(self) -> dict[str, str]:
        """One short text for each topic that is another once something of it has changed.

        Only rows that an index finds are looked at: the events, and the series and deliveries that
        are on their way.
        """
        s, d = t.series.c, t.deliveries.c
        moving = sa.select(s.id, s.state, s.sentence, s.instances, s.attempt).where(
            s.state.in_(_MOVING)
        )
        sending = sa.select(d.id, d.state, d.attempts, d.sentence).where(d.state.in_(_OPEN))
        newest_event = sa.select(sa.func.max(t.events.c.id))
        newest_visit = sa.select(sa.func.max(t.associations.c.id))
        newest_change = sa.select(sa.func.max(t.site_changes.c.id))
        with self._engine.begin() as connection:
            series = [
                connection.execute(newest_event).scalar_one(),
                *map(tuple, connection.execute(moving.order_by(s.id).limit(1000))),
                *map(tuple, connection.execute(sending.order_by(d.id).limit(1000))),
            ]
            network = [connection.execute(q).scalar_one() for q in (newest_visit, newest_change)]
        return {"series": _mark(series), "network": _mark(network)}


def _mark(values: list[object]) -> str:
    return hashlib.blake2b(repr(values).encode(), digest_size=8).hexdigest()
