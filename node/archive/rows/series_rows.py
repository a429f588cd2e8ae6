"""Rows of series and instances inside the caller's transaction: lock, move, note, insert once.

Shared by everything that writes about a series; nothing here opens a transaction of its own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from node.archive.headers.matching import fold
from node.archive.schema import tables as t
from node.archive.schema.records import StoredInstance
from node.domain.states import State, move


def insert_missing(
    connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]
) -> sa.CursorResult[Any]:
    """Insert a row unless one with its key is there already; ``rowcount`` tells which."""
    return connection.execute(insert_statement(connection.dialect.name, table).values(values))


def add_to_catalogue(
    connection: sa.Connection, series_instance_uid: str, header: Mapping[str, Any], **own: Any
) -> None:
    """Let a series be found by queries; ``own`` says what it belongs to."""
    values = {
        "series_instance_uid": series_instance_uid,
        "study_instance_uid": header.get("StudyInstanceUID", ""),
        "patient_id": header.get("PatientID", ""),
        "folded_name": fold(header.get("PatientName", "")),
        "study_date": "".join(c for c in header.get("StudyDate", "") if c.isdigit()),
        "accession_number": header.get("AccessionNumber", ""),
        "header": dict(header),
        **own,
    }
    insert_missing(connection, t.catalogue, values)


def add_event(
    connection: sa.Connection, series_id: int, kind: str, sentence: str, *, who: str = ""
) -> None:
    """One line of a series' timeline, inside the caller's transaction."""
    connection.execute(
        sa.insert(t.events).values(
            series_id=series_id, kind=kind, sentence=sentence, who=who, at=t.db_clock()
        )
    )


def lock_series(connection: sa.Connection, series_id: int) -> sa.RowMapping:
    """The series' row, locked until the transaction ends (SQLite locks the whole file)."""
    query = sa.select(t.series).where(t.series.c.id == series_id).with_for_update()
    return connection.execute(query).mappings().one()


def move_series(
    connection: sa.Connection, row: sa.RowMapping, target: State, sentence: str, **more: Any
) -> None:
    """Move a locked series to ``target`` if the table of states allows it, else raise `Defect`."""
    current = State(row["state"])
    move(current, target)
    changes: dict[str, Any] = {"state": target.value, "sentence": sentence, **more}
    if target is not current:
        changes["state_at"] = t.db_clock()
        add_event(connection, row["id"], target.value, sentence)
    connection.execute(sa.update(t.series).where(t.series.c.id == row["id"]).values(changes))


def supersede_runs(connection: sa.Connection, series_id: int) -> None:
    """Mark every earlier run of a series as replaced: none of them may deliver from now on."""
    connection.execute(
        sa.update(t.runs)
        .where(t.runs.c.series_id == series_id, t.runs.c.superseded_at.is_(None))
        .values(superseded_at=t.db_clock())
    )


def begin_revision(
    connection: sa.Connection, row: sa.RowMapping, sentence: str = "", *, revision: int = 0
) -> None:
    """Late instances: what was made or is being made of the older set is out of date."""
    late = f"More instances arrived after revision {row['revision']} was taken up."
    move_series(
        connection,
        row,
        State.RECEIVING,
        sentence or late,
        revision=revision or row["revision"] + 1,
        attempt=1,
        findings=[],
    )
    supersede_runs(connection, row["id"])


def stored_instance(row: Mapping[Any, Any]) -> StoredInstance:
    """An instance row, joined with its series' UID, as a value."""
    return StoredInstance(
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        transfer_syntax_uid=row["transfer_syntax_uid"],
        series_instance_uid=row["series_instance_uid"],
        path=row["path"],
        size=row["size"],
        sha256=row["sha256"],
        received_at=moment(row["received_at"]),
    )


def seconds(at: datetime) -> float:
    """A moment as the tables keep it."""
    return at.timestamp()


def moment(at_s: float) -> datetime:
    """A moment out of the tables, in UTC."""
    return datetime.fromtimestamp(at_s, UTC)


@cache
def insert_statement(dialect: str, table: sa.Table) -> Any:
    """Give the dialect's INSERT that leaves a row alone which is there already."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # Without the option PostgreSQL's count of an INSERT is not kept and reads as -1.
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
