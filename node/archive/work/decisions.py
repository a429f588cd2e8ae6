"""What a person decides about an sCT: sign, hold, send elsewhere, withdraw.

Each decision is one transaction that also appends its line to the audit trail, so that deed and
record stand or fall together. `Rejected` says why a decision is not possible; nothing has changed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import refresh
from node.archive.evidence.corrections import must_be_settled
from node.archive.people.audit import By, append
from node.archive.rows import whereabouts
from node.archive.rows.run_rows import (
    latest_run,
    output_value,
    release_run,
    send_again,
    stop_deliveries,
)
from node.archive.rows.series_rows import add_event, insert_missing, move_series
from node.archive.rows.sign_offs import must_be_free
from node.archive.rows.tombstones import tombstone_of
from node.archive.rows.whereabouts import Place
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.work.actions import asked_series, no_sct
from node.archive.work.deliveries import WITHDRAWAL
from node.domain.errors import Rejected
from node.domain.release import to_read
from node.domain.states import DeliveryState, State

_NOTICE_WAITS = "Waiting to send the withdrawal."


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


class Decisions:
    """The database as a person's decision sees it."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def sign(self, series_id: int, signature: Signature, by: By) -> str:
        """Release an sCT in review, exactly as it was seen; return what happens now."""
        with self.engine.begin() as connection:
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
        with self.engine.begin() as connection:
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
