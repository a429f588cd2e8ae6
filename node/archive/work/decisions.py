"""What a person decides about a series: run again, sign, reject, hold, send, withdraw.

Each decision is one transaction that also appends its line to the audit trail, so that deed and
record stand or fall together. `Rejected` says why a decision is not possible; nothing has changed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.evidence.conflicts import refresh
from node.archive.evidence.corrections import must_be_settled
from node.archive.people.audit import By, append
from node.archive.rows import whereabouts
from node.archive.rows.run_rows import (
    latest_run,
    queue_run,
    release_run,
    send_again,
    stop_deliveries,
)
from node.archive.rows.series_rows import (
    add_event,
    insert_missing,
    lock_series,
    move_series,
    supersede_runs,
)
from node.archive.rows.sign_offs import must_be_free
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.work.withdrawing import (
    Withdrawable,
    outputs_of,
    to_tell,
    withdraw_run,
    withdrawable_run,
)
from node.domain.errors import Rejected
from node.domain.release import to_read
from node.domain.states import DeliveryState, State

_AT_REST = (
    State.KEPT,
    State.REFUSED,
    State.REVIEW,
    State.DELIVERED,
    State.REJECTED,
    State.FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a person signs, as he saw it."""

    attempt: str
    """Revision and attempt, as ``1.2``: another attempt is another sCT."""
    ticked: Collection[str]
    """Each warning that was read and is acceptable; see `node.domain.release.to_read`."""
    destinations: Collection[str]
    instances: int
    """Objects that will leave."""
    comment: str = ""


class Decisions:
    """The database as a person's decision sees it."""

    def __init__(self, engine: sa.Engine, asked: Callable[[], None] = lambda: None) -> None:
        """``asked`` is called once there is something for a worker to do."""
        self.engine = engine
        self._asked = asked

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        """A transaction that gives the workers something to do."""
        with self.engine.begin() as connection:
            yield connection
        self._asked()

    def retry(self, series_id: int, by: By, *, model: str | None = None) -> str:
        """Begin a new attempt at a series that is at rest; return what happens now.

        ``model`` is used instead of the route's; whether there is such a model is known above.
        """
        with self._begin() as connection:
            row = asked_series(connection, series_id, "run again", _AT_REST)
            attempt = row["attempt"] + 1
            supersede_runs(connection, series_id)
            other = f" with model {model}" if model else ""
            sentence = f"Attempt {attempt}{other}, asked for by {by.who}."
            _clear(connection, series_id)
            # Somebody waits for it, so it comes before what arrived by itself.
            queue_run(connection, row, attempt=attempt, sentence=sentence, urgent=True, model=model)
            add_event(connection, series_id, "retry", sentence, who=by.who)
            append(connection, by.act("run again", f"series {series_id}", model=model))
            return sentence

    def release(self, series_id: int, by: By, *, reason: str = "", seen: str | None = None) -> str:
        """Let the sCT of a series in review leave.

        ``seen`` is revision and attempt that were looked at, as ``1.2``; another one is refused.
        """
        with self._begin() as connection:
            row = asked_series(connection, series_id, "released", (State.REVIEW,))
            _must_be(row, seen)
            run = latest_run(connection, row)
            if run is None or run["plan"] is None:
                raise no_sct(series_id)
            must_be_free(connection, run["plan"])
            must_be_settled(connection, series_id)
            sentence = f"Released by {by.who}{because(reason)}."
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(held_by=None))
            release_run(connection, row, run, run["plan"]["destinations"], sentence, who=by.who)
            add_event(connection, series_id, "release", sentence, who=by.who)
            append(connection, by.act("release", f"series {series_id}", reason=reason))
            return sentence

    def reject(self, series_id: int, by: By, *, reason: str) -> str:
        """Refuse the sCT of a series in review: it never leaves."""
        if not reason.strip():
            raise Rejected(
                "Rejecting an sCT needs a reason.", code="REASON", remedy="Say why in one sentence."
            )
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "rejected", (State.REVIEW,))
            _must_be_here(connection, row)
            sentence = f"Rejected by {by.who}{because(reason)}."
            move_series(connection, row, State.REJECTED, sentence)
            add_event(connection, series_id, "reject", sentence, who=by.who)
            append(connection, by.act("reject", f"series {series_id}", reason=reason))
            return sentence

    def set_aside(self, series_id: int, by: By, *, reason: str) -> str:
        """Take a series that was refused or failed out of what needs somebody; it may run again."""
        if not reason.strip():
            raise Rejected(
                "Setting a series aside needs a reason.",
                code="REASON",
                remedy="Say why in one sentence.",
            )
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "set aside", (State.REFUSED, State.FAILED))
            _must_be_here(connection, row)
            must_be_settled(connection, series_id)
            sentence = f"Set aside by {by.who}{because(reason)}."
            move_series(connection, row, State.REJECTED, sentence)
            add_event(connection, series_id, "aside", sentence, who=by.who)
            append(connection, by.act("set aside", f"series {series_id}", reason=reason))
            return sentence

    def resend(self, series_id: int, by: By, *, destination: str | None = None) -> str:
        """Send a released sCT again, whole, to one destination or to all of them."""
        allowed = (State.DELIVERING, State.DELIVERED, State.FAILED)
        with self._begin() as connection:
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
            sentence = f"Sent again to {', '.join(names)}, asked for by {by.who}."
            move_series(connection, row, State.DELIVERING, sentence)
            add_event(connection, series_id, "resend", sentence, who=by.who)
            act = by.act("send again", f"series {series_id}", destination=destination)
            append(connection, act)
            return sentence

    def sign(self, series_id: int, signature: Signature, by: By) -> str:
        """Release an sCT in review, exactly as it was seen; return what happens now."""
        with self._begin() as connection:
            row = asked_series(connection, series_id, "signed", (State.REVIEW,))
            run = latest_run(connection, row)
            if run is None or run["plan"] is None:
                raise no_sct(series_id)
            must_be_free(connection, run["plan"])
            must_be_settled(connection, series_id)
            outputs = outputs_of(connection, run["id"])
            names = list(run["plan"]["destinations"])
            _as_seen(signature, row, names, len(outputs))
            sentence = f"Signed by {by.who}{because(signature.comment)}."
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(held_by=None))
            release_run(connection, row, run, names, sentence, who=by.who)
            add_event(connection, series_id, "sign", sentence, who=by.who)
            append(
                connection,
                by.act(
                    "sign",
                    f"series {series_id}",
                    run=run["id"],
                    sct=sorted({o.series_instance_uid for o in outputs}),
                    destinations=names,
                    instances=len(outputs),
                    objects={o.sop_instance_uid: o.sha256 for o in outputs},
                    accepted=sorted(signature.ticked),
                    comment=signature.comment,
                ),
            )
            return sentence

    def hold(self, series_id: int, by: By, *, reason: str = "") -> str:
        """Keep an sCT from leaving by itself, or stop one that is on its way."""
        allowed = (
            State.RECEIVING, State.QUEUED, State.RUNNING, State.REVIEW, State.DELIVERING,
            State.FAILED,
        )  # fmt: skip
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "held", allowed)
            sentence = f"Held by {by.who}{because(reason)}."
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(held_by=by.who))
            run = latest_run(connection, row)
            places = whereabouts.places_of(connection, run["id"]) if run is not None else ()
            if run is not None and run["released_at"] is not None:
                stop_deliveries(connection, run["id"], sentence)
                unreleased = sa.update(t.runs).where(t.runs.c.id == run["id"])
                connection.execute(unreleased.values(released_at=None, released_by=None))
                sentence += whereabouts.already(places)
                move_series(connection, row, State.REVIEW, sentence)
            add_event(connection, series_id, "hold", sentence, who=by.who)
            append(
                connection,
                by.act(
                    "hold",
                    f"series {series_id}",
                    reason=reason,
                    may_be_at=[place.name for place in places],
                ),
            )
            return sentence

    def resume(self, series_id: int, by: By) -> str:
        """Take back a hold before there is an sCT to review: the route's policy decides again."""
        allowed = (State.RECEIVING, State.QUEUED, State.RUNNING)
        with self.engine.begin() as connection:
            row = asked_series(connection, series_id, "resumed", allowed)
            if row["held_by"] is None:
                raise Rejected(f"Nobody holds series {series_id}.", code="STATE")
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(held_by=None))
            sentence = f"Resumed by {by.who}; {row['held_by']} had held it."
            add_event(connection, series_id, "resume", sentence, who=by.who)
            append(connection, by.act("resume", f"series {series_id}", held_by=row["held_by"]))
            return sentence

    def send_to(self, series_id: int, destination: str, by: By) -> str:
        """Send a released sCT to a peer its route does not name."""
        allowed = (State.DELIVERING, State.DELIVERED, State.FAILED)
        with self._begin() as connection:
            row = asked_series(connection, series_id, "sent", allowed)
            run = latest_run(connection, row)
            if run is None or run["released_at"] is None:
                raise no_sct(series_id)
            must_be_free(connection, run["plan"])
            must_be_settled(connection, series_id)
            values = {
                "run_id": run["id"],
                "destination": destination,
                "state": DeliveryState.WAITING.value,
                "sentence": "Waiting to be sent.",
                "updated_at": t.db_clock(),
            }
            if not insert_missing(connection, t.deliveries, values).rowcount:
                raise Rejected(
                    f"{destination} is a destination of this sCT already.",
                    code="DESTINATION",
                    remedy="Send it again there.",
                )
            sentence = f"Sent to {destination} as well, asked for by {by.who}."
            move_series(connection, row, State.DELIVERING, sentence)
            add_event(connection, series_id, "send", sentence, who=by.who)
            count = len(outputs_of(connection, run["id"]))
            target = f"series {series_id}"
            append(
                connection,
                by.act("send", target, run=run["id"], destination=destination, instances=count),
            )
            return sentence

    def withdrawable(
        self, series_id: int, attempt: int | None = None, revision: int | None = None
    ) -> Withdrawable:
        """The newest sCT of a series that may have left, or that of attempt and revision.

        Attempts are counted anew in each revision: where one alone is named and fits several, none
        is taken for the one that was meant.
        """
        r = t.runs.c
        query = (
            sa.select(r.id, r.attempt, r.revision, r.withdrawn_at)
            .where(r.series_id == series_id)
            .where(whereabouts.may_have_left(r.id))
            .order_by(r.id.desc())
        )
        if attempt is not None:
            query = query.where(r.attempt == attempt)
        if revision is not None:
            query = query.where(r.revision == revision)
        with t.reading(self.engine).begin() as connection:
            runs = connection.execute(query).all()
            run = runs[0] if runs else None
            if attempt is not None and len(runs) > 1:
                raise Rejected(
                    f"Attempt {attempt} of series {series_id} was delivered in several revisions.",
                    code="CHANGED",
                    remedy="Name the revision, too.",
                )
            if run is None or run.withdrawn_at is not None:
                raise Rejected(
                    f"No sCT of series {series_id} that reached a destination is left to withdraw.",
                    code="STATE",
                    remedy="An sCT in review is rejected instead.",
                )
            found = withdrawable_run(connection, series_id, run.id, run.attempt)
            if found is None:
                raise Rejected(
                    f"The files of series {series_id} were removed after its delivery.",
                    code="REMOVED",
                    remedy="Tell whoever has the sCT; nothing here names its images any more.",
                )
            return found

    def may_have_left(self, series_id: int) -> bool:
        """Whether the present sCT of a series may be anywhere, and nobody has withdrawn it."""
        r, s = t.runs.c, t.series.c
        present = (r.revision == s.revision) & (r.attempt == s.attempt)
        query = (
            sa.select(r.id)
            .join(t.series, r.series_id == s.id)
            .where(s.id == series_id, present, r.withdrawn_at.is_(None))
            .where(whereabouts.may_have_left(r.id))
        )
        with t.reading(self.engine).begin() as connection:
            return connection.execute(query).first() is not None

    def withdraw(
        self, what: Withdrawable, notice: OutputFile, by: By, *, reason: str, concept: str
    ) -> str:
        """Send ``notice`` to every place of the sCT; nothing else of it leaves."""
        with self.engine.begin() as connection:
            row = asked_series(connection, what.series_id, "withdrawn", tuple(State), removed=True)
            run = sa.select(t.runs).where(t.runs.c.id == what.run_id)
            if connection.execute(run).mappings().one()["withdrawn_at"] is not None:
                raise Rejected("This sCT is withdrawn already.", code="STATE")
            places = withdraw_run(connection, what, notice)
            sentence = f"Withdrawn by {by.who}{because(reason)}."
            told = sentence + to_tell(places)
            if latest_run_id(connection, row) == what.run_id:
                move_series(connection, row, State.REJECTED, told)
            add_event(connection, what.series_id, "withdraw", told, who=by.who)
            refresh(connection, what.series_id)  # an earlier sCT may have been spoken against
            append(
                connection,
                by.act(
                    "withdraw",
                    f"series {what.series_id}",
                    run=what.run_id,
                    sct=sorted({f.series_instance_uid for f in what.files}),
                    successor=what.successor_series_uid,
                    destinations=[place.peer for place in places if place.peer],
                    to_be_told=[place.name for place in places if not place.peer],
                    concept=concept,
                    reason=reason,
                    notice=notice.sop_instance_uid,
                ),
            )
            return told


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


def latest_run_id(connection: sa.Connection, series: sa.RowMapping) -> int | None:
    """The id of a series' present run."""
    run = latest_run(connection, series)
    return None if run is None else int(run["id"])


def _as_seen(
    signature: Signature, row: sa.RowMapping, destinations: Sequence[str], instances: int
) -> None:
    attempt = f"{row['revision']}.{row['attempt']}"
    if signature.attempt != attempt:
        raise _changed(f"it was attempt {signature.attempt} and is attempt {attempt} now")
    missing = [key for key in to_read(row["findings"]) if key not in signature.ticked]
    if missing:
        raise Rejected(
            f"Warnings are not ticked: {', '.join(missing)}.",
            code="WARNINGS",
            remedy="Read each warning and tick it, or reject the sCT.",
        )
    if set(signature.destinations) != set(destinations):
        raise _changed(f"it goes to {', '.join(destinations) or 'nobody'}")
    if signature.instances != instances:
        raise _changed(f"it has {instances} objects, not {signature.instances}")


def _changed(what: str) -> Rejected:
    return Rejected(
        f"The sCT is not what was signed: {what}.",
        code="CHANGED",
        remedy="Look at it again and sign what is there now.",
    )


def because(reason: str) -> str:
    """How a reason goes on after what was done."""
    return f": {reason.strip().rstrip('.')}" if reason.strip() else ""
