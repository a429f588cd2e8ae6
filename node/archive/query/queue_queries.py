"""What the queue reads: rows with their present run, counts, marks of change. It writes nothing."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.domain.states import DeliveryState, State

_MOVING = tuple(
    s.value for s in (State.RECEIVING, State.QUEUED, State.RUNNING, State.DELIVERING, State.REVIEW)
)
_OPEN = (DeliveryState.WAITING.value, DeliveryState.SENT.value)
_MOST_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One series as the queue shows it."""

    id: int
    patient_id: str
    patient_name: str
    """As in the header: components parted by ``^``."""
    description: str
    body_part: str
    calling_ae: str
    instances: int
    state: str
    state_at: float
    """Seconds since 1970 UTC."""
    sentence: str
    findings: Sequence[Mapping[str, Any]]
    model: str | None
    attempt: int
    plan: Mapping[str, Any] | None
    """Of the present run; None before it is made."""
    released_at: float | None
    released_by: str | None
    has_outputs: bool
    """Whether the present run made an sCT."""
    step: str | None
    """The step that runs, or the last one that ran."""
    deliveries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows of the queue."""

    states: tuple[str, ...]
    since: float | None = None
    """State reached at this time or later, seconds since 1970; None: ever."""
    until: float | None = None
    """State reached before this time."""
    words: str = ""
    """Each word must be part of the patient's name or ID, or of the accession number."""
    limit: int = 50
    offset: int = 0


GROUPS = (
    ("review", "failed", "refused"),
    ("receiving", "queued", "running", "delivering"),
    ("delivered", "rejected", "kept"),
)
"""States that stand together in the queue: what needs somebody, what is on its way, the rest."""


class QueueReads:
    """The part of `node.archive.query.queries.Queries` that the queue needs."""

    _engine: sa.Engine

    def queue_rows(self, wanted: Wanted) -> list[QueueRow]:
        """The rows asked for, the one that changed last first."""
        query = _newest_first(sa.select(t.series).where(_matching(wanted)))
        with self._engine.begin() as connection:
            found = connection.execute(query.limit(wanted.limit).offset(wanted.offset))
            return _rows(connection, found.mappings().all())

    def queue_count(self, wanted: Wanted) -> int:
        """How many rows there are in all."""
        query = sa.select(sa.func.count()).select_from(t.series).where(_matching(wanted))
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def queue_search(self, wanted: Wanted) -> tuple[list[QueueRow], int]:
        """The rows asked for and how many there are in all, with one look at the words.

        Parts of words are in no index, so every row is read: in the order they lie in, which is
        three times as fast as by an index of states or times. Hence the expressions about both.
        """
        s = t.series.c
        query = sa.select(s.id).order_by((s.state_at + 0).desc(), s.id.desc())
        query = query.where(_words(wanted), _times(wanted))
        if set(wanted.states) != {state.value for state in State}:
            query = query.where(s.state.concat("").in_(wanted.states))
        with self._engine.begin() as connection:
            ids = connection.execute(query).scalars().all()
            some = ids[wanted.offset : wanted.offset + wanted.limit]
            rows = _newest_first(sa.select(t.series).where(t.series.c.id.in_(some)))
            return _rows(connection, connection.execute(rows).mappings().all()), len(ids)

    def beside(self, series_id: int, state: str) -> tuple[int | None, int | None]:
        """The series above and below one in its group of the queue, as the queue shows them."""
        s = t.series.c
        group = next(g for g in GROUPS if state in g)
        at = sa.select(s.state_at).where(s.id == series_id).scalar_subquery()
        place, here = sa.tuple_(s.state_at, s.id), sa.tuple_(at, sa.literal(series_id))
        same = sa.select(s.id).where(s.state.in_(group))
        above = same.where(place > here).order_by(s.state_at, s.id).limit(1)
        below = same.where(place < here).order_by(s.state_at.desc(), s.id.desc()).limit(1)
        with self._engine.begin() as connection:
            higher, lower = (connection.execute(q).scalar() for q in (above, below))
            return higher, lower

    def counts(self) -> dict[str, int]:
        """How many series stand in each state."""
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


def _newest_first(query: sa.Select[Any]) -> sa.Select[Any]:
    return query.order_by(t.series.c.state_at.desc(), t.series.c.id.desc())


def _matching(wanted: Wanted) -> sa.ColumnElement[bool]:
    return sa.and_(t.series.c.state.in_(wanted.states), _times(wanted), _words(wanted))


def _times(wanted: Wanted) -> sa.ColumnElement[bool]:
    s = t.series.c
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if wanted.since is not None:
        conditions.append(s.state_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(s.state_at < wanted.until)
    return sa.and_(*conditions)


def _words(wanted: Wanted) -> sa.ColumnElement[bool]:
    s = t.series.c
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    for word in wanted.words.replace("^", " ").split()[:_MOST_WORDS]:
        columns = (s.patient_name, s.patient_id, s.accession_number)
        conditions.append(sa.or_(*(c.icontains(word, autoescape=True) for c in columns)))
    return sa.and_(*conditions)


def _rows(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> list[QueueRow]:
    runs = _runs(connection, [row["id"] for row in rows])
    ids = [run["id"] for run in runs.values()]
    with_outputs, steps = _with_outputs(connection, ids), _steps(connection, ids)
    deliveries = _deliveries(connection, ids)
    found = []
    for row in rows:
        run = runs.get(row["id"])
        run_id = run["id"] if run else 0
        found.append(
            QueueRow(
                id=row["id"],
                patient_id=row["patient_id"],
                patient_name=row["patient_name"],
                description=row["description"],
                body_part=row["body_part"],
                calling_ae=row["calling_ae"],
                instances=row["instances"],
                state=row["state"],
                state_at=row["state_at"],
                sentence=row["sentence"],
                findings=row["findings"],
                model=row["model"],
                attempt=row["attempt"],
                plan=run["plan"] if run else None,
                released_at=run["released_at"] if run else None,
                released_by=run["released_by"] if run else None,
                has_outputs=run_id in with_outputs,
                step=steps.get(run_id),
                deliveries=deliveries[run_id],
            )
        )
    return found


def _runs(connection: sa.Connection, series_ids: Sequence[int]) -> dict[int, sa.RowMapping]:
    r, s = t.runs.c, t.series.c
    present = (r.series_id == s.id) & (r.revision == s.revision) & (r.attempt == s.attempt)
    query = sa.select(t.runs).join(t.series, present).where(s.id.in_(series_ids))
    return {row["series_id"]: row for row in connection.execute(query).mappings()}


def _with_outputs(connection: sa.Connection, run_ids: Sequence[int]) -> set[int]:
    o = t.outputs.c
    query = sa.select(o.run_id).where(o.run_id.in_(run_ids)).distinct()
    return set(connection.execute(query).scalars())


def _steps(connection: sa.Connection, run_ids: Sequence[int]) -> dict[int, str]:
    s = t.steps.c
    query = sa.select(s.run_id, s.name).where(s.run_id.in_(run_ids)).order_by(s.started_at)
    return {row.run_id: row.name for row in connection.execute(query)}


def _deliveries(
    connection: sa.Connection, run_ids: Iterable[int]
) -> dict[int, list[Mapping[str, Any]]]:
    d = t.deliveries
    query = sa.select(d).where(d.c.run_id.in_(list(run_ids))).order_by(d.c.id)
    found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["run_id"]].append(dict(row))
    return found
