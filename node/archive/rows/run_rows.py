"""Rows of runs inside the caller's transaction: queued, released, and which one counts."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing, lock_series, moment, move_series
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile, Run
from node.domain.states import DeliveryState, State

# Comes before all others, in the order in which they were taken up.
URGENT_TURN = 0


class Superseded(Exception):
    """Newer instances or a newer attempt have replaced this run; it must stop."""


def queue_run(
    connection: sa.Connection,
    series: sa.RowMapping,
    *,
    attempt: int,
    sentence: str,
    urgent: bool = False,
    model: str | None = None,
) -> None:
    """Begin attempt ``attempt`` at a locked series' revision: state, row, identity, turn."""
    turn = URGENT_TURN if urgent else _next_turn(connection, series)
    move_series(connection, series, State.QUEUED, sentence, attempt=attempt)
    values = {
        "series_id": series["id"],
        "revision": series["revision"],
        "attempt": attempt,
        # The same series, revision and attempt is the same workflow, however often it is asked for.
        "workflow_id": f"series-{series['series_instance_uid']}-{series['revision']}-{attempt}",
        "turn": turn,
        "model": model,
        "predecessor_series_uid": _latest_sct(connection, (series["id"], series["corrects"])),
        "created_at": t.db_clock(),
    }
    insert_missing(connection, t.runs, values)


def _next_turn(connection: sa.Connection, series: sa.RowMapping) -> int:
    """The turn of the next run from the sender of ``series``: fair between senders.

    Each sender's runs take turns one apart, beginning where the queue stands: the third series
    of one comes beside the third of another, however many either of them has sent.
    """
    s, r = t.series.c, t.runs.c
    sender = sa.func.coalesce(s.peer, s.calling_ae)
    ours = sender == (series["peer"] or series["calling_ae"])
    query = (
        sa.select(sa.func.min(r.turn), sa.func.max(sa.case((ours, r.turn))))
        .join(t.runs, r.series_id == s.id)
        .where(s.state == State.QUEUED.value, r.turn > URGENT_TURN)
        .where(r.finished_at.is_(None), r.superseded_at.is_(None))
    )
    first, own = connection.execute(query).one()
    return max((first or 1) - 1, own or 0) + 1


def release_run(
    connection: sa.Connection,
    series: sa.RowMapping,
    run: sa.RowMapping,
    destinations: Iterable[str],
    sentence: str,
    *,
    who: str,
) -> None:
    """Release inside the caller's transaction; ``series`` is locked."""
    names = list(destinations)
    for name in names:
        values = {
            "run_id": run["id"],
            "destination": name,
            "state": DeliveryState.WAITING.value,
            "sentence": "Waiting to be sent.",
            "updated_at": t.db_clock(),
        }
        insert_missing(connection, t.deliveries, values)
    _reopen(connection, run["id"])
    connection.execute(
        sa.update(t.runs)
        .where(t.runs.c.id == run["id"])
        .values(released_at=t.db_clock(), released_by=who, finished_at=t.db_clock())
    )
    if not names:
        target, towards = State.DELIVERED, "The route names no destination."
    elif _is_there(connection, run["id"]):
        target, towards = State.DELIVERED, f"Delivered to {', '.join(names)}."
    else:
        target, towards = State.DELIVERING, f"On its way to {', '.join(names)}."
    move_series(connection, series, target, f"{sentence} {towards}")


def _is_there(connection: sa.Connection, run_id: int) -> bool:
    """Whether nothing is left to send or to prove: it was held after that, or meanwhile."""
    d = t.deliveries.c
    open_ = (d.state == DeliveryState.WAITING.value) | (d.proof > "")
    query = sa.select(d.id).where(d.run_id == run_id, open_)
    return connection.execute(query).first() is None


def _reopen(connection: sa.Connection, run_id: int) -> None:
    """Let deliveries that a hold stopped go on where they stopped."""
    d = t.deliveries
    stopped = (d.c.run_id == run_id) & (d.c.state == DeliveryState.FAILED.value)
    change = sa.update(d).where(stopped).values(**send_again("Waiting to be sent."))
    connection.execute(change)


def send_again(sentence: str) -> dict[str, object]:
    """Values of a delivery that begins anew; a try that is under way finds its number changed."""
    return {
        "state": DeliveryState.WAITING.value,
        "tries": t.deliveries.c.tries + 1,
        "proof": "",
        "proof_tries": 0,
        "attempts": 0,
        "next_try_at": None,
        "enqueued_at": None,
        "updated_at": t.db_clock(),
        "sentence": sentence,
    }


def current_run(connection: sa.Connection, run_id: int) -> tuple[sa.RowMapping, sa.RowMapping]:
    """The run and its locked series; raise `Superseded` when the series has gone on without it."""
    series_id = connection.execute(
        sa.select(t.runs.c.series_id).where(t.runs.c.id == run_id)
    ).scalar_one()
    series = lock_series(connection, series_id)
    run = connection.execute(sa.select(t.runs).where(t.runs.c.id == run_id)).mappings().one()
    if (run["revision"], run["attempt"]) != (series["revision"], series["attempt"]):
        raise Superseded
    return run, series


def latest_run(connection: sa.Connection, series: sa.RowMapping) -> sa.RowMapping | None:
    """The run of the series' present revision and attempt, if it was queued yet."""
    r = t.runs.c
    here = (
        (r.series_id == series["id"])
        & (r.revision == series["revision"])
        & (r.attempt == series["attempt"])
    )
    return connection.execute(sa.select(t.runs).where(here)).mappings().one_or_none()


def run_value(row: sa.RowMapping) -> Run:
    """A run row, joined with its series, as a value."""
    return Run(
        id=row["id"],
        series_id=row["series_id"],
        series_instance_uid=row["series_instance_uid"],
        revision=row["revision"],
        attempt=row["attempt"],
        workflow_id=row["workflow_id"],
        peer=row["peer"],
        called_ae=row["called_ae"],
        predecessor_series_uid=row["predecessor_series_uid"],
        plan=row["plan"],
        created_at=moment(row["created_at"]),
        released=row["released_at"] is not None,
        model=row["model"],
    )


def output_value(row: Mapping[Any, Any]) -> OutputFile:
    """An output row as a value."""
    return OutputFile(
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        transfer_syntax_uid=row["transfer_syntax_uid"],
        series_instance_uid=row["series_instance_uid"],
        number=row["number"],
        kind=row["kind"],
        stack=row["stack"],
        path=row["path"],
        size=row["size"],
        sha256=row["sha256"],
    )


def finish_run(connection: sa.Connection, run_id: int) -> None:
    """Write down that the run has ended."""
    change = sa.update(t.runs).where(t.runs.c.id == run_id)
    connection.execute(change.values(finished_at=t.db_clock()))


def _latest_sct(connection: sa.Connection, series_ids: Iterable[int | None]) -> str | None:
    """The sCT made last of a series, or of the one it corrects."""
    ids = [number for number in series_ids if number is not None]
    query = (
        sa.select(t.outputs.c.series_instance_uid)
        .join(t.runs, t.runs.c.id == t.outputs.c.run_id)
        .where(t.runs.c.series_id.in_(ids), t.outputs.c.kind == "ct")
        .order_by(t.runs.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


def stop_deliveries(connection: sa.Connection, run_id: int, sentence: str) -> None:
    """End every open try; a try already begun finds its number changed."""
    d = t.deliveries
    open_ones = (d.c.run_id == run_id) & (d.c.state == DeliveryState.WAITING.value)
    stopped = send_again(sentence) | {"state": DeliveryState.FAILED.value}
    connection.execute(sa.update(d).where(open_ones).values(**stopped))
