"""What is withdrawn, and to whom the notice goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from node.archive.rows import whereabouts
from node.archive.rows.run_rows import output_value, send_again
from node.archive.rows.series_rows import insert_missing
from node.archive.rows.tombstones import tombstone_of
from node.archive.rows.whereabouts import Place
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.work.deliveries import WITHDRAWAL
from node.domain.states import DeliveryState

_NOTICE_WAITS = "Waiting to send the withdrawal."


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawable:
    """An sCT that may have left, and can be withdrawn."""

    series_id: int
    run_id: int
    attempt: int
    files: tuple[OutputFile, ...]
    """Everything the run made; without a path what retention has removed."""
    successor_series_uid: str | None
    """Series Instance UID of the sCT that replaces it; None while there is none."""
    header: Mapping[str, Any] | None = None
    """Patient and study of what was removed here; None where the files are."""


def withdrawable_run(
    connection: sa.Connection, series_id: int, run_id: int, attempt: int
) -> Withdrawable | None:
    """What is to be withdrawn of a run; None where nothing names it any more."""
    found = Withdrawable(
        series_id=series_id,
        run_id=run_id,
        attempt=attempt,
        files=tuple(outputs_of(connection, run_id)),
        successor_series_uid=_successor(connection, series_id, run_id),
    )
    if any(file.kind != WITHDRAWAL for file in found.files):
        return found
    tombstone = tombstone_of(connection, run_id)
    if tombstone is None:
        return None
    return replace(found, files=tombstone.files, header=tombstone.header)


def to_tell(places: Sequence[Place]) -> str:
    """Who gets the notice, and whom a person has to tell."""
    peers = ", ".join(place.peer for place in places if place.peer)
    others = ", ".join(place.name for place in places if not place.peer)
    told = f" The notice goes to {peers}." if peers else ""
    return told + (f" Tell {others}: no notice can be sent there." if others else "")


def withdraw_run(
    connection: sa.Connection, what: Withdrawable, notice: OutputFile
) -> Sequence[Place]:
    """Let nothing of a run leave but the notice, to every place where it may be; these."""
    _index_notice(connection, what.run_id, notice)
    withdrawn = sa.update(t.runs).where(t.runs.c.id == what.run_id)
    connection.execute(withdrawn.values(withdrawn_at=t.db_clock(), released_at=None))
    places = whereabouts.places_of(connection, what.run_id)
    _renew_deliveries(connection, what.run_id, [place.peer for place in places if place.peer])
    return places


def outputs_of(connection: sa.Connection, run_id: int) -> list[OutputFile]:
    """What a run made."""
    o = t.outputs.c
    query = sa.select(t.outputs).where(o.run_id == run_id).order_by(o.stack, o.kind, o.number)
    return [output_value(row) for row in connection.execute(query).mappings()]


def _successor(connection: sa.Connection, series_id: int, run_id: int) -> str | None:
    o, r = t.outputs.c, t.runs.c
    query = (
        sa.select(o.series_instance_uid)
        .join(t.runs, r.id == o.run_id)
        .where(r.series_id == series_id, r.id > run_id, o.kind == "ct", r.withdrawn_at.is_(None))
        .order_by(r.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def _renew_deliveries(connection: sa.Connection, run_id: int, peers: Sequence[str]) -> None:
    """Have the notice sent to each of ``peers`` by a delivery of its own; stop all else."""
    d = t.deliveries
    rows = connection.execute(sa.select(d.c.id, d.c.destination).where(d.c.run_id == run_id)).all()
    for row in rows:
        values = send_again(_NOTICE_WAITS) | {"via": None}
        if row.destination not in peers:
            values |= {"state": DeliveryState.FAILED.value, "sentence": "Withdrawn; never sent."}
        connection.execute(sa.update(d).where(d.c.id == row.id).values(**values))
    for name in sorted(set(peers) - {row.destination for row in rows}):
        values = {
            "run_id": run_id,
            "destination": name,
            "state": DeliveryState.WAITING.value,
            "sentence": _NOTICE_WAITS,
            "updated_at": t.db_clock(),
        }
        connection.execute(sa.insert(d).values(**values))


def _index_notice(connection: sa.Connection, run_id: int, notice: OutputFile) -> None:
    values = {
        "sop_instance_uid": notice.sop_instance_uid,
        "run_id": run_id,
        "kind": WITHDRAWAL,
        "stack": notice.stack,
        "series_instance_uid": notice.series_instance_uid,
        "sop_class_uid": notice.sop_class_uid,
        "transfer_syntax_uid": notice.transfer_syntax_uid,
        "number": notice.number,
        "path": notice.path,
        "size": notice.size,
        "sha256": notice.sha256,
        "header": {},
    }
    insert_missing(connection, t.outputs, values)
