"""What is known of each model file: who signed it off for what, its checks, what it has made.

A sign-off and its end are one transaction with their line of the audit trail.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from node.archive.people.audit import By, append
from node.archive.rows.run_rows import stop_deliveries
from node.archive.rows.series_rows import (
    add_event,
    insert_missing,
    lock_series,
    moment,
    move_series,
)
from node.archive.rows.sign_offs import standing
from node.archive.schema import tables as t
from node.domain.errors import Rejected
from node.domain.plan import ModelRef
from node.domain.sign_off import Scope, Source, covering
from node.domain.states import State

_POPULATION = 500


class ModelBook:
    """The database as models see it; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def sign_off(self, model: ModelRef, scope: Scope, by: By, *, note: str = "") -> int:
        """Let a model's results leave as more than RESEARCH for a scanner and protocol."""
        values = {
            "model": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "manufacturer": scope.manufacturer,
            "scanner": scope.scanner,
            "protocol": scope.protocol,
        }
        with self.engine.begin() as connection:
            if any(s.scope == scope for s in standing(connection, model.sha256)):
                raise Rejected(
                    "The model is signed off for exactly that already.", code="SIGNED_OFF"
                )
            insert = sa.insert(t.sign_offs).values(**values, note=note, who=by.who, at=t.db_clock())
            number = int(connection.execute(insert.returning(t.sign_offs.c.id)).scalar_one())
            target = f"model {model.name} {model.version}"
            append(
                connection, by.act("sign off model", target, sign_off=number, note=note, **values)
            )
            return number

    def revoke(self, number: int, by: By, *, reason: str) -> int:
        """End a sign-off and stop what is on its way under it; how many series that were."""
        if not reason.strip():
            raise Rejected("Revoking a sign-off needs a reason.", code="REASON", remedy="Say why.")
        s = t.sign_offs
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(s).where(s.c.id == number)).mappings().first()
            if row is None or row["ended_at"] is not None:
                raise Rejected(
                    "There is no such sign-off, or it was revoked already.", code="UNKNOWN"
                )
            end = sa.update(s).where(s.c.id == number)
            connection.execute(end.values(ended_by=by.who, ended_at=t.db_clock()))
            told = f"Sign-off of {row['model']} {row['version']} revoked by {by.who}: "
            stopped = _stop(connection, number, f"{told}{reason.strip().rstrip('.')}.", by.who)
            target = f"model {row['model']} {row['version']}"
            append(
                connection,
                by.act("revoke sign-off", target, sign_off=number, reason=reason, stopped=stopped),
            )
            return len(stopped)

    def covering(self, sha256: str, source: Source) -> int | None:
        """The sign-off under which an sCT of ``source`` is made; None: it is RESEARCH."""
        with t.reading(self.engine).begin() as connection:
            return covering(standing(connection, sha256), source)

    def sign_offs(self, sha256: str) -> list[dict[str, Any]]:
        """Every sign-off of a model file, revoked ones too, newest first."""
        return self._rows(t.sign_offs, sha256, ("at", "ended_at"))

    def remember_check(self, row: Mapping[str, Any], *, who: str) -> None:
        """Keep what came of verifying a model."""
        keys = ("sha256", "provider", "ok", "verdict", "version")
        values = {key: row[key] for key in keys} | {"model": row["name"], "who": who}
        with self.engine.begin() as connection:
            connection.execute(sa.insert(t.model_checks).values(**values, at=t.db_clock()))

    def checks(self, sha256: str) -> list[dict[str, Any]]:
        """What came of verifying a model file, newest first."""
        return self._rows(t.model_checks, sha256, ("at",))

    def remember_figures(
        self, run_id: int, sha256: str, source: Source, measured: Mapping[str, Any]
    ) -> None:
        """Keep what was measured of a run's sCT; a step that runs twice says the same twice."""
        values = {
            "run_id": run_id,
            "sha256": sha256,
            "at": t.db_clock(),
            "manufacturer": source.manufacturer,
            "scanner": source.scanner,
            "protocol": source.protocol,
            "measured": dict(measured),
        }
        with self.engine.begin() as connection:
            insert_missing(connection, t.figures, values)

    def figures(self, sha256: str, *, limit: int = _POPULATION) -> list[dict[str, Any]]:
        """What was measured of the newest sCTs of a model file, oldest first."""
        f, r = t.figures.c, t.runs.c
        columns = (f.at, f.scanner, f.protocol, f.measured, r.series_id, r.released_at)
        query = (
            sa.select(*columns)
            .join(t.runs, r.id == f.run_id)
            .where(f.sha256 == sha256)
            .order_by(f.at.desc())
            .limit(limit)
        )
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            {
                "at": moment(row["at"]).isoformat(),
                "series": row["series_id"],
                "scanner": row["scanner"],
                "protocol": row["protocol"],
                "released": row["released_at"] is not None,
                **row["measured"],
            }
            for row in reversed(rows)
        ]

    def seen(self, sha256: str) -> list[dict[str, Any]]:
        """From which scanners and protocols a model file got series, the most frequent first."""
        f = t.figures.c
        what = (f.manufacturer, f.scanner, f.protocol)
        count = sa.func.count().label("series")
        query = sa.select(*what, count).where(f.sha256 == sha256).group_by(*what)
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query.order_by(count.desc()).limit(50)).mappings().all()
        return [dict(row) for row in rows]

    def _rows(self, table: sa.Table, sha256: str, times: tuple[str, ...]) -> list[dict[str, Any]]:
        query = sa.select(table).where(table.c.sha256 == sha256).order_by(table.c.id.desc())
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query.limit(200)).mappings().all()
        return [
            dict(row)
            | {name: None if row[name] is None else moment(row[name]).isoformat() for name in times}
            for row in rows
        ]


def _stop(connection: sa.Connection, number: int, sentence: str, who: str) -> list[int]:
    """Bring what is on its way under a sign-off back to review; the ids of its series."""
    r, s = t.runs.c, t.series.c
    query = (
        sa.select(s.id, r.id.label("run_id"))
        .join(t.runs, r.series_id == s.id)
        .where(s.state == State.DELIVERING.value, r.released_at.is_not(None))
        .where(r.superseded_at.is_(None), r.plan["sign_off"].as_integer() == number)
    )
    stopped = []
    for row in connection.execute(query).all():
        series = lock_series(connection, row.id)
        stop_deliveries(connection, row.run_id, sentence)
        unreleased = sa.update(t.runs).where(r.id == row.run_id)
        connection.execute(unreleased.values(released_at=None, released_by=None))
        move_series(connection, series, State.REVIEW, sentence)
        add_event(connection, row.id, "hold", sentence, who=who)
        stopped.append(row.id)
    return stopped
