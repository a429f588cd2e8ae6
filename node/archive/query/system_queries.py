"""What the system page reads: how full the queues are, and since when they wait."""

from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import moment
from node.archive.schema import tables as t
from node.domain.states import DeliveryState, State

_WAIT = (State.RECEIVING, State.QUEUED, State.RUNNING, State.REVIEW, State.DELIVERING, State.FAILED)


def queues(engine: sa.Engine) -> list[dict[str, Any]]:
    """For each state in which a series waits: how many, and since when the oldest does."""
    s = t.series.c
    query = (
        sa.select(s.state, sa.func.count(), sa.func.min(s.state_at))
        .where(s.state.in_([state.value for state in _WAIT]))
        .group_by(s.state)
    )
    with t.reading(engine).begin() as connection:
        found = {state: (count, since) for state, count, since in connection.execute(query)}
    return [
        {
            "state": state.value,
            "series": found.get(state.value, (0, None))[0],
            "oldest": moment(found[state.value][1]).isoformat() if state.value in found else None,
        }
        for state in _WAIT
    ]


def deliveries(engine: sa.Engine) -> list[dict[str, Any]]:
    """For each destination how many deliveries wait, and how many have failed."""
    d = t.deliveries.c
    states = (DeliveryState.WAITING.value, DeliveryState.SENT.value, DeliveryState.FAILED.value)
    query = (
        sa.select(d.destination, d.state, sa.func.count())
        .where(d.state.in_(states))
        .group_by(d.destination, d.state)
    )
    rows: dict[str, dict[str, Any]] = {}
    with t.reading(engine).begin() as connection:
        for name, state, count in connection.execute(query):
            rows.setdefault(name, {"destination": name, **dict.fromkeys(states, 0)})[state] = count
    return [rows[name] for name in sorted(rows)]


def stored(engine: sa.Engine) -> dict[str, Any]:
    """How many series have their files here, and since when the oldest does."""
    s = t.series.c
    query = sa.select(sa.func.count(), sa.func.min(s.created_at)).where(s.instances > 0)
    with t.reading(engine).begin() as connection:
        count, since = connection.execute(query).one()
    return {"series": count, "since": None if since is None else moment(since).isoformat()}


def database_version(engine: sa.Engine) -> str:
    """Name and version of the database."""
    with t.reading(engine).begin() as connection:
        if engine.dialect.name == "sqlite":
            version = connection.execute(sa.text("SELECT sqlite_version()")).scalar_one()
            return f"SQLite {version}"
        version = connection.execute(sa.text("SHOW server_version")).scalar_one()
        return f"PostgreSQL {version}"
