"""What the page, the commands and the metrics read. Nothing here writes.

Items are plain JSON values with the keys the HTTP contract promises.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from node.archive.evidence import corrections
from node.archive.query.door_queries import door_item
from node.archive.query.queue_queries import QueueReads
from node.archive.query.view_queries import ViewReads
from node.archive.rows.run_rows import output_value
from node.archive.rows.series_rows import moment, stored_instance
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile, StoredInstance

Item = dict[str, Any]


class Queries(QueueReads, ViewReads):
    """The database for those who only look; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = t.reading(engine)

    def alive(self) -> bool:
        """Whether the database answers; raises what it says otherwise."""
        with self._engine.begin() as connection:
            return bool(connection.execute(sa.select(sa.literal(1))).scalar_one() == 1)

    def series_items(
        self, *, limit: int = 200, offset: int = 0, states: Iterable[str] = ()
    ) -> list[Item]:
        """The series, the one that changed last first."""
        s = t.series
        query = sa.select(s).order_by(s.c.state_at.desc(), s.c.id.desc())
        wanted = tuple(states)
        if wanted:
            query = query.where(s.c.state.in_(wanted))
        with self._engine.begin() as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).mappings().all()
            return _items(connection, rows)

    def series_detail(self, series_id: int) -> Item | None:
        """One series with its runs, steps, timeline, conflicts and delivery statuses."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                sa.select(t.series).where(t.series.c.id == series_id)
            ).mappings()
            row = rows.one_or_none()
            if row is None:
                return None
            item = _items(connection, [row])[0]
            runs = _runs(connection, series_id)
            return item | {
                "patient_name": row["patient_name"],
                "accession_number": row["accession_number"],
                "called_ae": row["called_ae"],
                "held_by": row["held_by"],
                "peer": row["peer"],
                "runs": runs,
                "steps": _steps(connection, runs),
                "timeline": _timeline(connection, series_id),
                "earlier": _earlier(connection, row),
                "conflicts": _conflicts(connection, row["series_instance_uid"]),
                "corrects": row["corrects"],
                "corrections": corrections.items(connection, row),
                "door": door_item(connection, row),
            }

    def series_id(self, series_instance_uid: str) -> int | None:
        """The id of a series, by its Series Instance UID."""
        s = t.series.c
        with self._engine.begin() as connection:
            query = sa.select(s.id).where(s.series_instance_uid == series_instance_uid)
            return connection.execute(query).scalar_one_or_none()

    def instance_files(self, series_id: int) -> list[StoredInstance]:
        """The MR instances of a series, as they came."""
        i = t.instances
        query = (
            sa.select(i, t.series.c.series_instance_uid)
            .join(t.series, t.series.c.id == i.c.series_id)
            .where(i.c.series_id == series_id)
            .order_by(i.c.sop_instance_uid)
        )
        with self._engine.begin() as connection:
            return [stored_instance(row) for row in connection.execute(query).mappings()]

    def output_files(self, series_id: int, *, released_only: bool = False) -> list[OutputFile]:
        """What the newest run with any output made.

        Where ``released_only``, only what may leave: pulling never bypasses release.
        """
        o, r = t.outputs, t.runs
        newest = (
            sa.select(sa.func.max(r.c.id))
            .join(o, o.c.run_id == r.c.id)
            .where(r.c.series_id == series_id)
        )
        if released_only:
            newest = newest.where(r.c.released_at.is_not(None))
        query = sa.select(o).where(o.c.run_id == newest.scalar_subquery())
        order = (o.c.stack, o.c.kind, o.c.number)
        with self._engine.begin() as connection:
            return [
                output_value(row) for row in connection.execute(query.order_by(*order)).mappings()
            ]

    def delivery_statuses(self, delivery_id: int) -> list[Item]:
        """What a destination answered for each SOP instance."""
        i = t.delivery_instances
        query = sa.select(i).where(i.c.delivery_id == delivery_id).order_by(i.c.sop_instance_uid)
        with self._engine.begin() as connection:
            return [
                {
                    "sop_instance_uid": row["sop_instance_uid"],
                    "status": row["status"],
                    "stored": row["stored"],
                    "sentence": row["sentence"],
                    "at": iso(row["at"]),
                }
                for row in connection.execute(query).mappings()
            ]

    def associations(self, *, limit: int = 200) -> list[Item]:
        """The associations other AEs opened, newest first."""
        a = t.associations
        query = sa.select(a).order_by(a.c.id.desc()).limit(limit)
        with self._engine.begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            dict(row)
            | {
                "opened_at": iso(row["opened_at"]),
                "closed_at": iso(row["closed_at"]),
                "megabytes_per_s": _rate(row["received_bytes"], row["receiving_s"]),
            }
            for row in rows
        ]

    def site_changes(self, *, limit: int = 200) -> list[Item]:
        """Who added or removed which peer or route, newest first."""
        c = t.site_changes
        query = sa.select(c).order_by(c.c.id.desc()).limit(limit)
        with self._engine.begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [dict(row) | {"at": iso(row["at"])} for row in rows]

    def totals(self) -> dict[str, int]:
        """Rows of the counting tables, for the metrics."""
        counted = {
            "instances": sa.select(sa.func.count()).select_from(t.instances),
            "conflicts": sa.select(sa.func.count()).select_from(t.conflicts),
            "outputs": sa.select(sa.func.count()).select_from(t.outputs),
            "associations": sa.select(sa.func.max(t.associations.c.id)),
        }
        with self._engine.begin() as connection:
            return {name: connection.execute(q).scalar_one() or 0 for name, q in counted.items()}

    def step_seconds(self, *, limit: int = 500) -> dict[str, list[float]]:
        """How long the newest finished steps took, by step."""
        s = t.steps.c
        query = (
            sa.select(s.name, s.finished_at - s.started_at)
            .where(s.finished_at.is_not(None))
            .order_by(s.finished_at.desc())
            .limit(limit)
        )
        found: dict[str, list[float]] = defaultdict(list)
        with self._engine.begin() as connection:
            for name, took in connection.execute(query):
                found[name].append(float(took))
        return dict(found)

    def workers(self, *, time_to_live_s: float = 60.0) -> list[Item]:
        """The workers and whether each gave a sign of life lately."""
        lease = t.leases.c
        query = sa.select(lease.executor_id, lease.beat_at, t.db_clock().label("now"))
        with self._engine.begin() as connection:
            return [
                {
                    "id": row.executor_id,
                    "beat_at": iso(row.beat_at),
                    "alive": row.now - row.beat_at < time_to_live_s,
                }
                for row in connection.execute(query.order_by(lease.executor_id))
            ]


def iso(at_s: float | None) -> str | None:
    """A time of the tables as ISO 8601 in UTC, milliseconds."""
    return None if at_s is None else moment(at_s).isoformat(timespec="milliseconds")


def _rate(size_bytes: int, took_s: float) -> float | None:
    """Megabytes a second; None where nothing arrived."""
    return round(size_bytes / took_s / 1e6, 2) if size_bytes and took_s > 0 else None


def _items(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> list[Item]:
    ids = [row["id"] for row in rows]
    outputs = _outputs(connection, ids)
    deliveries, places = _deliveries(connection, ids), _places(connection, ids)
    return [
        _item(row, outputs[row["id"]], deliveries[row["id"]]) | {"places": places[row["id"]]}
        for row in rows
    ]


def _item(row: sa.RowMapping, outputs: list[Item], deliveries: list[Item]) -> Item:
    return {
        "id": row["id"],
        "series_instance_uid": row["series_instance_uid"],
        "study_instance_uid": row["study_instance_uid"],
        "patient_id": row["patient_id"],
        "description": row["description"],
        "body_part": row["body_part"],
        "modality": row["modality"],
        "calling_ae": row["calling_ae"],
        "instances": row["instances"],
        "state": row["state"],
        "sentence": row["sentence"],
        "findings": row["findings"],
        "route": row["route"],
        "model": row["model"],
        "outputs": outputs,
        "deliveries": deliveries,
        "revision": row["revision"],
        "attempts": row["attempt"],
        "times": {
            "first_received": iso(row["created_at"]),
            "last_received": iso(row["last_received_at"]),
            "state_since": iso(row["state_at"]),
        },
    }


def _current() -> sa.ColumnElement[bool]:
    r, s = t.runs.c, t.series.c
    return (r.series_id == s.id) & (r.revision == s.revision) & (r.attempt == s.attempt)


def _outputs(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Item]]:
    o, r = t.outputs.c, t.runs.c
    query = (
        sa.select(
            r.series_id,
            o.series_instance_uid,
            o.kind,
            o.stack,
            sa.func.count().label("instances"),
            sa.func.sum(o.size).label("size"),
            sa.func.max(r.released_at).label("released_at"),
        )
        .select_from(t.outputs)
        .join(t.runs, r.id == o.run_id)
        .join(t.series, _current())
        .where(r.series_id.in_(ids))
        .group_by(r.series_id, o.series_instance_uid, o.kind, o.stack)
        .order_by(o.stack, o.kind)
    )
    found: dict[int, list[Item]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["series_id"]].append(
            {
                "series_instance_uid": row["series_instance_uid"],
                "kind": row["kind"],
                "stack": row["stack"],
                "instances": row["instances"],
                "size": int(row["size"]),
                "released": row["released_at"] is not None,
            }
        )
    return found


def _places(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Item]]:
    """Where the present sCT may be, by series."""
    w, r = t.whereabouts.c, t.runs.c
    query = (
        sa.select(r.series_id, w.place, w.how, w.peer, w.at)
        .join(t.runs, r.id == w.run_id)
        .join(t.series, _current())
        .where(r.series_id.in_(ids))
        .order_by(w.id)
    )
    found: dict[int, list[Item]] = defaultdict(list)
    for row in connection.execute(query):
        one = {"name": row.place, "how": row.how, "notice": bool(row.peer), "at": iso(row.at)}
        found[row.series_id].append(one)
    return found


def _deliveries(connection: sa.Connection, ids: Sequence[int]) -> dict[int, list[Item]]:
    d, r = t.deliveries, t.runs.c
    query = (
        sa.select(d, r.series_id)
        .join(t.runs, r.id == d.c.run_id)
        .join(t.series, _current())
        .where(r.series_id.in_(ids))
        .order_by(d.c.id)
    )
    found: dict[int, list[Item]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["series_id"]].append(
            {
                "id": row["id"],
                "destination": row["destination"],
                "via": row["via"],
                "state": row["state"],
                "proof": row["proof"],
                "attempts": row["attempts"],
                "sentence": row["sentence"],
                "next_try_at": iso(row["next_try_at"]),
                "updated_at": iso(row["updated_at"]),
            }
        )
    return found


def _runs(connection: sa.Connection, series_id: int) -> list[Item]:
    r = t.runs.c
    query = sa.select(t.runs).where(r.series_id == series_id).order_by(r.id)
    return [
        {
            "id": row["id"],
            "revision": row["revision"],
            "attempt": row["attempt"],
            "created_at": iso(row["created_at"]),
            "finished_at": iso(row["finished_at"]),
            "released_at": iso(row["released_at"]),
            "released_by": row["released_by"],
            "superseded_at": iso(row["superseded_at"]),
            "plan": row["plan"],
        }
        for row in connection.execute(query).mappings()
    ]


def _steps(connection: sa.Connection, runs: Sequence[Item]) -> list[Item]:
    if not runs:
        return []
    s = t.steps.c
    query = sa.select(t.steps).where(s.run_id == runs[-1]["id"]).order_by(s.started_at)
    return [
        {
            "name": row["name"],
            "started_at": iso(row["started_at"]),
            "finished_at": iso(row["finished_at"]),
            "seconds": row["finished_at"] and round(row["finished_at"] - row["started_at"], 3),
            "sentence": row["sentence"],
        }
        for row in connection.execute(query).mappings()
    ]


def _timeline(connection: sa.Connection, series_id: int) -> list[Item]:
    e = t.events.c
    query = sa.select(t.events).where(e.series_id == series_id).order_by(e.id)
    return [
        {
            "at": iso(row["at"]),
            "kind": row["kind"],
            "sentence": row["sentence"],
            "who": row["who"],
        }
        for row in connection.execute(query).mappings()
    ]


def _earlier(connection: sa.Connection, row: sa.RowMapping) -> list[Item]:
    """Other attempts whose sCT may have left and was not withdrawn, newest first."""
    r, w = t.runs.c, t.whereabouts.c
    present = (r.revision == row["revision"]) & (r.attempt == row["attempt"])
    query = (
        sa.select(r.revision, r.attempt, w.place)
        .join(t.whereabouts, w.run_id == r.id)
        .where(r.series_id == row["id"], ~present, r.withdrawn_at.is_(None))
        .order_by(r.id.desc(), w.id)
    )
    found: dict[tuple[int, int], list[str]] = defaultdict(list)
    for revision, attempt, place in connection.execute(query):
        found[revision, attempt].append(place)
    return [
        {"revision": revision, "attempt": attempt, "destinations": names}
        for (revision, attempt), names in found.items()
    ]


def _conflicts(connection: sa.Connection, series_instance_uid: str) -> list[Item]:
    c = t.conflicts.c
    own = (c.series_instance_uid == series_instance_uid) & c.replaced.is_(False)
    query = sa.select(t.conflicts).where(own)
    return [
        {
            "sop_instance_uid": row["sop_instance_uid"],
            "path": row["path"],
            "sha256": row["sha256"],
            "calling_ae": row["calling_ae"],
            "received_at": iso(row["received_at"]),
        }
        for row in connection.execute(query.order_by(c.id)).mappings()
    ]
