"""What the worker writes about deliveries: one row for each run and destination.

Every try is asked for by number. A try whose number is no longer the row's does nothing, so a
repeated or late workflow cannot send a series behind the back of a newer one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from node.archive.rows import transfers, whereabouts
from node.archive.rows.delivery_values import Answer, DeliveryJob, DueDelivery
from node.archive.rows.run_rows import Superseded, current_run, output_value
from node.archive.rows.series_rows import add_event, move_series
from node.archive.rows.whereabouts import How
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile, Transfer
from node.domain.states import DeliveryState, State
from node.domain.wording import counted

WITHDRAWAL = "ko"
"""Kind of the output that withdraws the others of its run."""
_WAITING, _SENT = DeliveryState.WAITING.value, DeliveryState.SENT.value
# Nothing waits longer than this for its next try.
LONGEST_WAIT_S = 600.0


class Deliveries:
    """The database as delivery sees it; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def due(self) -> Sequence[DueDelivery]:
        """Tries whose time has come and that no workflow was asked for yet."""
        next_try, now = t.deliveries.c.next_try_at, t.db_clock()
        # A time beyond the longest wait was written before the clock was set back.
        due = next_try.is_(None) | (next_try <= now) | (next_try > now + LONGEST_WAIT_S)
        return self._tries(t.deliveries.c.enqueued_at.is_(None), due)

    def mark_enqueued(self, delivery_id: int, number: int) -> None:
        """Remember that the engine has the workflow of try ``number``."""
        d = t.deliveries
        change = sa.update(d).where(d.c.id == delivery_id, d.c.tries == number)
        with self.engine.begin() as connection:
            connection.execute(change.values(enqueued_at=t.db_clock()))

    def enqueued(self) -> Sequence[DueDelivery]:
        """Tries the engine was asked for and that have not ended."""
        return self._tries(t.deliveries.c.enqueued_at.is_not(None))

    def _tries(self, *which: sa.ColumnElement[bool]) -> Sequence[DueDelivery]:
        d = t.deliveries.c
        query = (
            sa.select(d.id, d.destination, d.tries, t.runs.c.workflow_id, t.runs.c.turn)
            .join(t.runs, t.runs.c.id == d.run_id)
            .where(is_open(), *which)
            .order_by(d.id)
        )
        with t.reading(self.engine).begin() as connection:
            return [
                DueDelivery(
                    delivery_id=row.id,
                    destination=row.destination,
                    number=row.tries,
                    workflow_id=f"deliver-{row.workflow_id}-{row.id}-{row.tries}",
                    turn=row.turn,
                )
                for row in connection.execute(query)
            ]

    def begin(self, delivery_id: int, number: int) -> DeliveryJob | None:
        """What try ``number`` has to send; None when there is nothing to do any more."""
        with self.engine.begin() as connection:
            row = _locked(connection, delivery_id)
            if row["tries"] != number or not _row_is_open(row):
                return None
            withdrawn = _withdrawn(connection, row["run_id"])
            if not withdrawn and not _may_go_on(connection, row):
                return None
            outputs = _outputs(connection, row["run_id"])
            if withdrawn:  # nothing of it leaves any more but the word that it must not be used
                outputs = [o for o in outputs if o.kind == WITHDRAWAL]
            elif row["state"] == _SENT:
                return _job(row, outputs, outputs, _studies(connection, row["run_id"]))
            have = _stored(connection, delivery_id)
            missing = [o for o in outputs if o.sop_instance_uid not in have]
            sentence = f"Sending {len(missing)} of {len(outputs)} objects."
            attempts = row["attempts"] + 1
            _change(connection, delivery_id, DeliveryState.WAITING, sentence, attempts=attempts)
            job = _job(dict(row) | {"attempts": attempts}, missing, outputs, {})
            return replace(job, withdraws=withdrawn)

    def leaving(self, delivery_id: int, number: int, peer: str, address: str) -> bool:
        """Write down that the sCT may get to ``peer`` from now on; False when it must not.

        To be asked before the first byte of each association.
        """
        with self.engine.begin() as connection:
            row = _locked(connection, delivery_id)
            if row["tries"] != number or not _row_is_open(row):
                return False
            if not _withdrawn(connection, row["run_id"]):  # else it is the notice that leaves
                place = whereabouts.of_peer(peer, How.DELIVERY, address)
                whereabouts.note(connection, [row["run_id"]], place)
            return True

    def record(self, delivery_id: int, number: int, answers: Iterable[Answer]) -> bool:
        """Keep what the destination answered; False when try ``number`` is to send nothing more.

        Somebody has held or withdrawn the sCT, or had it sent again, since the try began.
        """
        i = t.delivery_instances
        rows = [
            {
                "delivery_id": delivery_id,
                "sop_instance_uid": answer.sop_instance_uid,
                "status": answer.status,
                "stored": answer.stored,
                "sentence": answer.sentence,
                "at": t.db_clock(),
            }
            for answer in {answer.sop_instance_uid: answer for answer in answers}.values()
        ]
        if not rows:
            return True
        uids = [row["sop_instance_uid"] for row in rows]
        here = (i.c.delivery_id == delivery_id) & i.c.sop_instance_uid.in_(uids)
        with self.engine.begin() as connection:
            delivery = _locked(connection, delivery_id)
            connection.execute(sa.delete(i).where(here))
            connection.execute(sa.insert(i).values(rows))
            return bool(delivery["tries"] == number and _row_is_open(delivery))

    def transferred(
        self, delivery_id: int, classes: Mapping[str, int], ae_title: str, host: str, *, whole: bool
    ) -> None:
        """Keep, for the audit messages, what one association brought to a peer."""
        s = t.series.c
        query = (
            sa.select(s.study_instance_uid, s.patient_id)
            .join(t.runs, t.runs.c.series_id == s.id)
            .join(t.deliveries, t.deliveries.c.run_id == t.runs.c.id)
            .where(t.deliveries.c.id == delivery_id)
        )
        with self.engine.begin() as connection:
            row = connection.execute(query).one()
            one = Transfer(
                received=False,
                ae_title=ae_title,
                address=host,
                study_instance_uid=row.study_instance_uid,
                patient_id=row.patient_id,
                classes=classes,
                whole=whole,
            )
            transfers.add(connection, [one], t.db_clock())

    def sent(self, delivery_id: int, number: int, sentence: str, *, proof: str = "") -> None:
        """Everything is stored there; ``proof`` is looked for next, where the peer asks for it."""
        if not proof or self._is_withdrawn(delivery_id):
            self._end(delivery_id, number, DeliveryState.SENT, sentence)
            return
        self._again(
            delivery_id, number, DeliveryState.SENT, sentence, 0.0, proof=proof, proof_tries=0
        )

    def _is_withdrawn(self, delivery_id: int) -> bool:
        d, r = t.deliveries.c, t.runs.c
        query = sa.select(r.withdrawn_at).join(t.deliveries, d.run_id == r.id)
        with t.reading(self.engine).begin() as connection:
            found = connection.execute(query.where(d.id == delivery_id)).scalar_one()
        return found is not None

    def confirmed(self, delivery_id: int, number: int, sentence: str) -> None:
        """The peer has given the proof it asks for."""
        self._end(delivery_id, number, DeliveryState.CONFIRMED, sentence)

    def unproved(self, delivery_id: int, number: int, sentence: str, delay_s: float) -> None:
        """There is no proof yet; it is looked for again in ``delay_s``."""
        more = t.deliveries.c.proof_tries + 1
        self._again(delivery_id, number, DeliveryState.SENT, sentence, delay_s, proof_tries=more)

    def missing(self, delivery_id: int, number: int, uids: Iterable[str], sentence: str) -> None:
        """The peer says it does not have these: they are sent again."""
        i = t.delivery_instances
        with self.engine.begin() as connection:
            for uid in uids:
                here = (i.c.delivery_id == delivery_id) & (i.c.sop_instance_uid == uid)
                connection.execute(sa.update(i).where(here).values(stored=False))
        self._again(delivery_id, number, DeliveryState.WAITING, sentence, 0.0, proof="")

    def divert(self, delivery_id: int, number: int, via: str, sentence: str) -> None:
        """Send everything to ``via`` in place of the destination."""
        i = t.delivery_instances
        with self.engine.begin() as connection:
            row = _locked(connection, delivery_id)
            there = len(_stored(connection, delivery_id))
            connection.execute(sa.delete(i).where(i.c.delivery_id == delivery_id))
            if there:
                objects = counted(there, "object")
                told = f"{objects} of it stored at {row['destination']} stay there."
                add_event(connection, _series_of(connection, row["run_id"]), "delivery sent", told)
        self._again(delivery_id, number, DeliveryState.WAITING, sentence, 0.0, via=via, attempts=0)

    def failed(self, delivery_id: int, number: int, sentence: str) -> None:
        """Trying again cannot help: a person must act."""
        self._end(delivery_id, number, DeliveryState.FAILED, sentence)

    def later(self, delivery_id: int, number: int, sentence: str, delay_s: float) -> None:
        """Ask for the next try in ``delay_s``."""
        self._again(delivery_id, number, DeliveryState.WAITING, sentence, delay_s)

    def _again(
        self,
        delivery_id: int,
        number: int,
        state: DeliveryState,
        sentence: str,
        delay_s: float,
        **more: object,
    ) -> None:
        with self.engine.begin() as connection:
            row = _locked(connection, delivery_id)
            if row["tries"] != number or not _row_is_open(row):
                return
            due = {"tries": number + 1, "enqueued_at": None, "next_try_at": t.db_clock() + delay_s}
            _change(connection, delivery_id, state, sentence, **due, **more)
            if row["state"] != state.value:
                _tell(connection, row["run_id"], state, sentence)

    def _end(self, delivery_id: int, number: int, state: DeliveryState, sentence: str) -> None:
        with self.engine.begin() as connection:
            row = _locked(connection, delivery_id)
            if row["tries"] != number or not _row_is_open(row):
                return
            _change(connection, delivery_id, state, sentence, proof="")
            if _withdrawn(connection, row["run_id"]):
                _tell_withdrawal(connection, row["run_id"], sentence)
                return
            series = _tell(connection, row["run_id"], state, sentence)
            if series is not None:
                _settle_series(connection, series, row["run_id"])


def _may_go_on(connection: sa.Connection, row: sa.RowMapping) -> bool:
    """Whether its sCT still is the newest and may leave; what is sent already may be proved."""
    try:
        run, _series = current_run(connection, row["run_id"])
    except Superseded:
        _close_replaced(connection, row)
        return False
    if run["released_at"] is None and row["state"] == _WAITING:
        sentence = "Not sent: the release of this sCT was taken back."
        _change(connection, row["id"], DeliveryState.FAILED, sentence)
        return False
    return True


def _withdrawn(connection: sa.Connection, run_id: int) -> bool:
    query = sa.select(t.runs.c.withdrawn_at).where(t.runs.c.id == run_id)
    return connection.execute(query).scalar_one() is not None


def _tell_withdrawal(connection: sa.Connection, run_id: int, sentence: str) -> None:
    add_event(connection, _series_of(connection, run_id), "withdrawal", sentence)


def _series_of(connection: sa.Connection, run_id: int) -> int:
    query = sa.select(t.runs.c.series_id).where(t.runs.c.id == run_id)
    return int(connection.execute(query).scalar_one())


def is_open() -> sa.ColumnElement[bool]:
    """Whether something of a delivery is still to be sent, or to be proved."""
    d = t.deliveries.c
    return (d.state == _WAITING) | ((d.state == _SENT) & (d.proof > ""))


def _row_is_open(row: Mapping[Any, Any]) -> bool:
    return bool(row["state"] == _WAITING or (row["state"] == _SENT and row["proof"]))


def _tell(
    connection: sa.Connection, run_id: int, state: DeliveryState, sentence: str
) -> sa.RowMapping | None:
    """A line in the timeline; the series, or None where the run was replaced meanwhile."""
    try:
        _run, series = current_run(connection, run_id)
    except Superseded:
        if state in (DeliveryState.SENT, DeliveryState.CONFIRMED):
            old = f"{sentence} This sCT has been replaced meanwhile."
            add_event(connection, _series_of(connection, run_id), f"delivery {state}", old)
        return None
    add_event(connection, series["id"], f"delivery {state}", sentence)
    return series


def _job(
    row: Mapping[Any, Any],
    files: Sequence[OutputFile],
    outputs: Sequence[OutputFile],
    studies: Mapping[str, str],
) -> DeliveryJob:
    return DeliveryJob(
        delivery_id=row["id"],
        destination=row["destination"],
        attempts=row["attempts"],
        files=tuple(files),
        total=len(outputs),
        via=row["via"],
        proof=row["proof"] if row["state"] == _SENT else "",
        proof_tries=row["proof_tries"],
        studies=studies,
    )


def _close_replaced(connection: sa.Connection, row: sa.RowMapping) -> None:
    if row["state"] == _SENT:
        sentence = "Sent; newer instances or a newer attempt replaced it before it was confirmed."
        _change(connection, row["id"], DeliveryState.SENT, sentence, proof="")
    else:
        sentence = "Not sent: newer instances or a newer attempt replaced this sCT."
        _change(connection, row["id"], DeliveryState.FAILED, sentence)


def _studies(connection: sa.Connection, run_id: int) -> dict[str, str]:
    c = t.catalogue.c
    query = sa.select(c.series_instance_uid, c.study_instance_uid).where(c.run_id == run_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def _settle_series(connection: sa.Connection, series: sa.RowMapping, run_id: int) -> None:
    """Move the series on once its last delivery has ended."""
    if State(series["state"]) is not State.DELIVERING:
        return
    d = t.deliveries.c
    query = sa.select(t.deliveries).where(d.run_id == run_id)
    rows = connection.execute(query.order_by(d.id)).all()
    if any(_row_is_open(row._mapping) for row in rows):
        return
    bad = [row for row in rows if row.state == DeliveryState.FAILED.value]
    if bad:
        sentence = " ".join(f"{row.destination}: {row.sentence}" for row in bad)
        move_series(connection, series, State.FAILED, sentence)
    else:
        names = ", ".join(_reached(row) for row in rows)
        move_series(connection, series, State.DELIVERED, f"Delivered to {names}.")


def _reached(row: sa.Row[Any]) -> str:
    return f"{row.via} in place of {row.destination}" if row.via else str(row.destination)


def _locked(connection: sa.Connection, delivery_id: int) -> sa.RowMapping:
    d = t.deliveries
    # The series is locked before the delivery everywhere, so that no two transactions wait for
    # each other.
    query = (
        sa.select(t.series.c.id)
        .join(t.runs, t.runs.c.series_id == t.series.c.id)
        .join(d, d.c.run_id == t.runs.c.id)
        .where(d.c.id == delivery_id)
        .with_for_update(of=t.series)
    )
    connection.execute(query).one()
    row = sa.select(d).where(d.c.id == delivery_id).with_for_update()
    return connection.execute(row).mappings().one()


def _change(
    connection: sa.Connection,
    delivery_id: int,
    state: DeliveryState,
    sentence: str,
    **more: object,
) -> None:
    values = {"state": state.value, "sentence": sentence, "updated_at": t.db_clock(), **more}
    change = sa.update(t.deliveries).where(t.deliveries.c.id == delivery_id)
    connection.execute(change.values(values))


def _outputs(connection: sa.Connection, run_id: int) -> list[OutputFile]:
    o = t.outputs.c
    query = sa.select(t.outputs).where(o.run_id == run_id).order_by(o.stack, o.kind, o.number)
    return [output_value(row) for row in connection.execute(query).mappings()]


def _stored(connection: sa.Connection, delivery_id: int) -> set[str]:
    i = t.delivery_instances.c
    query = sa.select(i.sop_instance_uid).where(i.delivery_id == delivery_id, i.stored.is_(True))
    return set(connection.execute(query).scalars())
