"""Which worker processes are alive, by the database's clock."""

from collections.abc import Sequence

import sqlalchemy as sa

from node.archive import tables as t


class Leases:
    """One row for each executor: who holds it and when it last gave a sign of life."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def beat(self, executor_id: str, *, role: str, holder: str) -> None:
        """Give a sign of life for ``executor_id``."""
        lease = t.leases
        values = {"role": role, "holder": holder, "beat_at": t.db_clock(), "taken_over": False}
        with self.engine.begin() as connection:
            change = sa.update(lease).where(lease.c.executor_id == executor_id).values(values)
            if connection.execute(change).rowcount == 0:
                connection.execute(sa.insert(lease).values(executor_id=executor_id, **values))

    def dead(self, time_to_live_s: float) -> Sequence[str]:
        """Executors that are silent for longer than that and whose work nobody took over yet."""
        lease = t.leases.c
        silent = lease.beat_at < t.db_clock() - time_to_live_s
        query = sa.select(lease.executor_id).where(silent, lease.taken_over.is_(False))
        with t.reading(self.engine).begin() as connection:
            return connection.execute(query).scalars().all()

    def mark_taken_over(self, executor_id: str, time_to_live_s: float) -> None:
        """Remember that its work was taken over, unless it came back meanwhile."""
        lease = t.leases
        silent = lease.c.beat_at < t.db_clock() - time_to_live_s
        change = sa.update(lease).where(lease.c.executor_id == executor_id, silent)
        with self.engine.begin() as connection:
            connection.execute(change.values(taken_over=True))

    def release(self, executor_id: str) -> None:
        """Give the lease back: the process ends with nothing left to do."""
        lease = t.leases
        with self.engine.begin() as connection:
            connection.execute(sa.delete(lease).where(lease.c.executor_id == executor_id))
