"""Which worker processes are alive: one row each, and a sign of life now and then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t

# Instead of a time: the executor ended in order, and what it left may be taken at once.
LEFT = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The last sign of life of one executor."""

    executor_id: str
    version: str
    """Version of the durable work it can run."""
    beat_at: float
    """By the database's clock; `LEFT` once it has ended in order."""
    taken_over: bool
    """Whether another executor has taken its work since."""


class Leases:
    """One row for each executor: who holds it and when it last gave a sign of life."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def beat(self, executor_id: str, *, holder: str, version: str) -> None:
        """Give a sign of life for ``executor_id``."""
        lease = t.leases
        values = {
            "role": "worker",
            "holder": holder,
            "version": version,
            "beat_at": t.db_clock(),
            "taken_over": False,
        }
        with self.engine.begin() as connection:
            change = sa.update(lease).where(lease.c.executor_id == executor_id).values(values)
            if connection.execute(change).rowcount == 0:
                connection.execute(sa.insert(lease).values(executor_id=executor_id, **values))

    def tell(self, executor_id: str, facts: dict[str, Any]) -> None:
        """Keep what an executor says of its machine, instead of what it said before."""
        f = t.worker_facts
        values = {"facts": facts, "at": t.db_clock()}
        with self.engine.begin() as connection:
            change = sa.update(f).where(f.c.executor_id == executor_id).values(values)
            if connection.execute(change).rowcount == 0:
                connection.execute(sa.insert(f).values(executor_id=executor_id, **values))

    def told(self) -> list[dict[str, Any]]:
        """Every executor: when it gave its last sign of life, and what it said of its machine.

        ``silent_s`` is None for one that ended in order.
        """
        lease, f = t.leases.c, t.worker_facts.c
        silent = sa.case((lease.beat_at > LEFT, t.db_clock() - lease.beat_at))
        columns = (lease.executor_id, lease.version, silent.label("silent_s"), f.facts)
        query = sa.select(*columns).join(
            t.worker_facts, f.executor_id == lease.executor_id, isouter=True
        )
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query.order_by(lease.executor_id)).mappings().all()
        return [dict(row) | {"facts": row["facts"] or {}} for row in rows]

    def beats(self) -> Sequence[Beat]:
        """The last sign of life of every executor there ever was."""
        lease = t.leases.c
        columns = (lease.executor_id, lease.version, lease.beat_at, lease.taken_over)
        with t.reading(self.engine).begin() as connection:
            return [Beat(**row) for row in connection.execute(sa.select(*columns)).mappings()]

    def mark_taken_over(self, beat: Beat) -> None:
        """Remember that its work was taken over, unless it has given a sign of life since."""
        lease = t.leases
        same = (lease.c.executor_id == beat.executor_id) & (lease.c.beat_at == beat.beat_at)
        with self.engine.begin() as connection:
            connection.execute(sa.update(lease).where(same).values(taken_over=True))

    def leave(self, executor_id: str) -> None:
        """Say that the executor ended in order: what it left may be taken at once."""
        lease = t.leases
        change = sa.update(lease).where(lease.c.executor_id == executor_id)
        with self.engine.begin() as connection:
            connection.execute(change.values(beat_at=LEFT))
