"""What a person asks of a series: run again, release, reject, resend. One transaction each.

An action that the series' state does not allow raises `Rejected` with code STATE and changes
nothing.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from node.archive.evidence.corrections import must_be_settled
from node.archive.rows import whereabouts
from node.archive.rows.run_rows import latest_run, queue_run, release_run, send_again
from node.archive.rows.series_rows import add_event, lock_series, move_series, supersede_runs
from node.archive.rows.sign_offs import must_be_free
from node.archive.schema import tables as t
from node.domain.errors import Rejected
from node.domain.states import State

_AT_REST = (
    State.KEPT,
    State.REFUSED,
    State.REVIEW,
    State.DELIVERED,
    State.REJECTED,
    State.FAILED,
)


class Actions:
    """The database as a person's request sees it."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def retry(self, series_id: int, *, who: str, model: str | None = None) -> str:
        """Begin a new attempt at a series that is at rest; return what happens now.

        ``model`` is used instead of the route's; whether there is such a model is known above.
        """
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "run again", _AT_REST)
            attempt = row["attempt"] + 1
            supersede_runs(connection, series_id)
            other = f" with model {model}" if model else ""
            sentence = f"Attempt {attempt}{other}, asked for by {who or 'somebody'}."
            _clear(connection, series_id)
            # Somebody waits for it, so it comes before what arrived by itself.
            queue_run(connection, row, attempt=attempt, sentence=sentence, urgent=True, model=model)
            add_event(connection, series_id, "retry", sentence, who=who)
            return sentence

    def release(
        self, series_id: int, *, who: str, reason: str = "", seen: str | None = None
    ) -> str:
        """Let the sCT of a series in review leave.

        ``seen`` is revision and attempt that were looked at, as ``1.2``; another one is refused.
        """
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "released", (State.REVIEW,))
            _must_be(row, seen)
            run = latest_run(connection, row)
            if run is None or run["plan"] is None:
                raise no_sct(series_id)
            must_be_free(connection, run["plan"])
            must_be_settled(connection, series_id)
            sentence = _by("Released", who, reason)
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(held_by=None))
            release_run(connection, row, run, run["plan"]["destinations"], sentence, who=who)
            add_event(connection, series_id, "release", sentence, who=who)
            return sentence

    def reject(self, series_id: int, *, who: str, reason: str) -> str:
        """Refuse the sCT of a series in review: it never leaves."""
        if not reason.strip():
            raise Rejected(
                "Rejecting an sCT needs a reason.", code="REASON", remedy="Say why in one sentence."
            )
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "rejected", (State.REVIEW,))
            _must_be_here(connection, row)
            sentence = _by("Rejected", who, reason)
            move_series(connection, row, State.REJECTED, sentence)
            add_event(connection, series_id, "reject", sentence, who=who)
            return sentence

    def resend(self, series_id: int, *, who: str, destination: str | None = None) -> str:
        """Send a released sCT again, whole, to one destination or to all of them."""
        allowed = (State.DELIVERING, State.DELIVERED, State.FAILED)
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "sent again", allowed)
            run = latest_run(connection, row)
            if run is None or run["released_at"] is None:
                raise no_sct(series_id)
            must_be_free(connection, run["plan"])
            must_be_settled(connection, series_id)
            names = _reset(connection, run["id"], destination)
            if not names:
                raise Rejected(
                    f"Series {series_id} has no delivery to {destination or 'anybody'}.",
                    code="DESTINATION",
                    remedy="Name a destination of its route, or run the series again.",
                )
            sentence = f"Sent again to {', '.join(names)}, asked for by {who or 'somebody'}."
            move_series(connection, row, State.DELIVERING, sentence)
            add_event(connection, series_id, "resend", sentence, who=who)
            return sentence


def _must_be_here(connection: sa.Connection, row: sa.RowMapping) -> None:
    """Raise `Rejected` (LEFT) where rejecting would leave an sCT with somebody who has it."""
    run = latest_run(connection, row)
    places = whereabouts.places_of(connection, run["id"]) if run is not None else ()
    if places and run is not None and run["withdrawn_at"] is None:
        names = ", ".join(place.name for place in places)
        raise Rejected(
            f"The sCT of series {row['id']} may have reached {names} already.",
            code="LEFT",
            remedy="Withdraw it, so that they are told.",
        )


def _must_be(row: sa.RowMapping, seen: str | None) -> None:
    attempt = f"{row['revision']}.{row['attempt']}"
    if seen is not None and seen != attempt:
        raise Rejected(
            f"The sCT is not the one that was looked at: that was attempt {seen}, and attempt "
            f"{attempt} is there now.",
            code="CHANGED",
            remedy="Look at it again and release what is there now.",
        )


def asked_series(
    connection: sa.Connection,
    series_id: int,
    words: str,
    allowed: Iterable[State],
    *,
    removed: bool = False,
) -> sa.RowMapping:
    """The locked series; `Rejected` when its state does not allow what ``words`` says.

    ``removed``: also one whose files retention has removed.
    """
    known = connection.execute(sa.select(t.series.c.id).where(t.series.c.id == series_id)).first()
    if known is None:
        raise Rejected(
            f"There is no series {series_id}.", code="UNKNOWN", remedy="List the series."
        )
    row = lock_series(connection, series_id)
    states = tuple(allowed)
    if State(row["state"]) not in states:
        raise Rejected(
            f"Series {series_id} is {row['state']} and cannot be {words}.",
            code="STATE",
            remedy=f"That is possible when it is {', '.join(states)}.",
        )
    if not row["instances"] and not removed:
        raise Rejected(
            f"The files of series {series_id} were removed after its delivery.",
            code="REMOVED",
            remedy="Send the MR series again from the PACS; it begins a new revision.",
        )
    return row


def no_sct(series_id: int) -> Rejected:
    """The error for a series without an sCT."""
    return Rejected(f"Series {series_id} has no sCT.", code="STATE", remedy="Run the series again.")


def _by(word: str, who: str, reason: str) -> str:
    text = f"{word} by {who or 'somebody'}"
    return f"{text}: {reason.strip().rstrip('.')}." if reason.strip() else f"{text}."


def _clear(connection: sa.Connection, series_id: int) -> None:
    change = sa.update(t.series).where(t.series.c.id == series_id)
    connection.execute(change.values(findings=[], route=None, model=None))


def _reset(connection: sa.Connection, run_id: int, destination: str | None) -> list[str]:
    d, i = t.deliveries, t.delivery_instances
    query = sa.select(d.c.id, d.c.destination).where(d.c.run_id == run_id)
    if destination is not None:
        query = query.where(d.c.destination == destination)
    rows = connection.execute(query.order_by(d.c.id)).all()
    for row in rows:
        connection.execute(sa.delete(i).where(i.c.delivery_id == row.id))
        again = send_again("Waiting to be sent again.") | {"via": None}
        connection.execute(sa.update(d).where(d.c.id == row.id).values(**again))
    return [row.destination for row in rows]
