"""How many instances an archive says a series has: what was pulled, or asked about."""

from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing
from node.archive.schema import tables as t

# A pull that has not ended by then has ended all the same.
_LONGEST_PULL_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What one archive said of one series."""

    peer: str
    """Name of who said it."""
    instances: int


class Expectations:
    """The counts; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def expect(self, series_instance_uid: str, peer: str, instances: int, *, moving: bool) -> None:
        """Keep what ``peer`` says; ``moving`` while it sends the series to us."""
        values = {
            "peer": peer,
            "instances": instances,
            "asked_at": t.db_clock(),
            "moved_at": None if moving else t.db_clock(),
            "sentence": "",
        }
        key = {"series_instance_uid": series_instance_uid}
        here = t.expectations.c.series_instance_uid == series_instance_uid
        with self.engine.begin() as connection:
            if not insert_missing(connection, t.expectations, values | key).rowcount:
                connection.execute(sa.update(t.expectations).where(here).values(values))

    def moved(self, series_instance_uid: str, sentence: str) -> None:
        """The archive has ended sending, well or not."""
        here = t.expectations.c.series_instance_uid == series_instance_uid
        change = sa.update(t.expectations).where(here)
        with self.engine.begin() as connection:
            connection.execute(change.values(moved_at=t.db_clock(), sentence=sentence))

    def of(self, series_instance_uid: str) -> Expectation | None:
        """What was said of a series."""
        with t.reading(self.engine).begin() as connection:
            return expectation_of(connection, series_instance_uid)


def expectation_of(connection: sa.Connection, series_instance_uid: str) -> Expectation | None:
    """What was said of a series, inside the caller's transaction."""
    e = t.expectations.c
    query = sa.select(e.peer, e.instances).where(e.series_instance_uid == series_instance_uid)
    row = connection.execute(query).first()
    return None if row is None else Expectation(peer=row.peer, instances=row.instances)


def is_whole() -> sa.ColumnElement[bool]:
    """A pulled series all of whose instances are here: nobody waits for quiet.

    Only at first: what comes later is waited for as usual, else each late image made its own run.
    """
    e, s = t.expectations.c, t.series.c
    return (s.revision == 1) & sa.exists().where(
        e.series_instance_uid == s.series_instance_uid,
        e.moved_at.is_not(None),
        e.instances > 0,
        e.instances <= s.instances,
    )


def is_moving() -> sa.ColumnElement[bool]:
    """A series that an archive is still sending at our request, however slowly."""
    e, s = t.expectations.c, t.series.c
    return sa.exists().where(
        e.series_instance_uid == s.series_instance_uid,
        e.moved_at.is_(None),
        e.asked_at > t.db_clock() - _LONGEST_PULL_S,
    )
