"""What the worker writes about runs: one attempt at one revision of a series.

A run that newer instances or a newer attempt has replaced raises `Superseded` and changes nothing;
so does an illegal move of the series' state, as `Defect`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import ARRIVAL, CODES, findings_of, refreshed, with_finding
from node.archive.evidence.corrections import is_waiting
from node.archive.evidence.expectations import is_moving, is_whole
from node.archive.evidence.ledger import read_evidence
from node.archive.evidence.senders import by_sender, name_sender
from node.archive.evidence.study_patients import tell_both
from node.archive.headers.indexed_header import image_header, series_header
from node.archive.rows.run_rows import (
    current_run,
    finish_run,
    output_value,
    queue_run,
    release_run,
    run_value,
)
from node.archive.rows.series_rows import (
    add_to_catalogue,
    insert_missing,
    lock_series,
    move_series,
    stored_instance,
)
from node.archive.rows.sign_offs import REVOKED, may_leave
from node.archive.schema import tables as t
from node.archive.schema.records import OpenRun, OutputFile, Run, StoredInstance
from node.domain.door import Evidence, Patience, must_wait
from node.domain.errors import Defect
from node.domain.findings import Finding
from node.domain.routing import Share
from node.domain.states import State

# A time so far ahead of the clock was written before the clock was set back.
_CLOCK_STEP_S = 60.0
CORRECTED = "Held: a correction of this series waits. Adopt it or dismiss it."
TWO_PATIENTS = "Held: its study holds a series of another patient, too."
QUEUED_SENTENCE = "Waiting for a free worker."


class Finished(Exception):
    """The run has ended already; a repeated step has nothing to do."""


class Runs:
    """The database as the line sees it; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def settle_quiet(
        self,
        quiet_s: float,
        urgent: Collection[str] = (),
        waiting: Callable[[], Collection[str]] = tuple,
        patience: Patience | None = None,
    ) -> int:
        """Queue every series without a new instance for ``quiet_s``; return how many there were.

        Those of the peers in ``urgent`` come before all others. Series in ``waiting`` (their UIDs)
        have instances that were acknowledged and may have no row yet: not now. Nor is a series
        taken up that may still come, by what happened at the door, as long as ``patience`` lasts;
        but one that an archive has sent whole at our request is.
        """
        patience = patience or Patience()
        last, now = t.series.c.last_received_at, t.db_clock()
        # A time to come: the clock was set back. Nobody waits for it to get there again.
        silent = (last <= now - quiet_s) | (last > now + _CLOCK_STEP_S)
        quiet = (t.series.c.state == State.RECEIVING.value) & (is_whole() | (silent & ~is_moving()))
        with t.reading(self.engine).begin() as connection:
            query = sa.select(t.series.c.id, t.series.c.series_instance_uid).where(quiet)
            found = [
                row
                for row in connection.execute(query).all()
                if not _may_come(connection, row.id, row.series_instance_uid, patience)
            ]
        # Asked after the rows: what has got its row since is seen when the series is locked.
        held = waiting() if found else ()
        return sum(
            self._settle(row.id, quiet, urgent, patience) for row in found if row[1] not in held
        )

    def _settle(
        self,
        series_id: int,
        quiet: sa.ColumnElement[bool],
        urgent: Collection[str],
        patience: Patience,
    ) -> bool:
        with self.engine.begin() as connection:
            row = lock_series(connection, series_id)
            # Compare and set: another worker may have been faster, or an instance have come.
            still = sa.select(t.series.c.id).where(t.series.c.id == series_id, quiet)
            if connection.execute(still).first() is None:
                return False
            if _may_come(connection, series_id, row["series_instance_uid"], patience):
                return False
            senders = by_sender(connection, series_id)
            row = name_sender(connection, row, senders)
            queue_run(
                connection,
                row,
                attempt=row["attempt"],
                sentence=QUEUED_SENTENCE,
                urgent=bool({row["peer"], *(s.sender.peer for s in senders)} & {*urgent}),
            )
            return True

    def is_near(self, quiet_s: float, lead_s: float) -> bool:
        """Whether work is waited for, or will be in ``lead_s``: then each look matters."""
        s, now = t.series.c, t.db_clock()
        at_work = s.state.in_([State.QUEUED.value, State.RUNNING.value])
        # One that has been quiet for longer waits for its sender, which may take minutes.
        settling = (s.state == State.RECEIVING.value) & s.last_received_at.between(
            now - quiet_s - lead_s, now - quiet_s + lead_s
        )
        released = (s.state == State.DELIVERING.value) & (s.state_at > now - lead_s)
        query = sa.union_all(*(sa.select(s.id).where(w) for w in (at_work, settling, released)))
        with t.reading(self.engine).begin() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def unqueued(self) -> Sequence[OpenRun]:
        """Runs that no workflow was asked for yet."""
        return self._open(t.runs.c.enqueued_at.is_(None))

    def mark_enqueued(self, run_id: int) -> None:
        """Remember that the engine has the workflow."""
        self._update(run_id, enqueued_at=t.db_clock())

    def unfinished(self) -> Sequence[OpenRun]:
        """Runs the engine has and that have neither ended nor been replaced."""
        return self._open(t.runs.c.enqueued_at.is_not(None))

    def _open(self, which: sa.ColumnElement[bool]) -> Sequence[OpenRun]:
        r = t.runs.c
        query = (
            sa.select(r.id, r.workflow_id, r.turn)
            .where(which, r.finished_at.is_(None), r.superseded_at.is_(None))
            .order_by(r.id)
        )
        with t.reading(self.engine).begin() as connection:
            return [OpenRun(**row) for row in connection.execute(query).mappings()]

    def get(self, run_id: int) -> Run:
        """The run of that id."""
        with t.reading(self.engine).begin() as connection:
            return run_value(_joined(connection, run_id))

    def sources(self, run: Run) -> list[StoredInstance]:
        """The instances the run was taken up with: those of its revision and earlier ones."""
        i = t.instances
        query = (
            sa.select(i, t.series.c.series_instance_uid)
            .join(t.series, t.series.c.id == i.c.series_id)
            .where(i.c.series_id == run.series_id, i.c.revision <= run.revision)
            .order_by(i.c.sop_instance_uid)
        )
        with t.reading(self.engine).begin() as connection:
            return [stored_instance(row) for row in connection.execute(query).mappings()]

    def aside(self, run: Run) -> list[Finding]:
        """What is to be said of what was received for the series and lies aside."""
        query = sa.select(t.series).where(t.series.c.id == run.series_id)
        with t.reading(self.engine).begin() as connection:
            return findings_of(connection, connection.execute(query).mappings().one())

    def compare_patients(self, run: Run) -> None:
        """Tell the run's series, and the others of its study, of a patient that is another one."""
        with self.engine.begin() as connection:
            tell_both(connection, run.series_id)

    def evidence(self, run: Run) -> Evidence:
        """What happened at the door to the run's series."""
        with t.reading(self.engine).begin() as connection:
            return read_evidence(connection, run.series_id, run.series_instance_uid)

    def senders(self, run: Run) -> list[Share]:
        """Who sent how many of the run's instances, the most first."""
        with t.reading(self.engine).begin() as connection:
            return by_sender(connection, run.series_id, revision=run.revision)

    def begin_step(self, run_id: int, name: str, sentence: str) -> None:
        """Say that a step begins; raise `Superseded` or `Finished` when it must not."""
        with self.engine.begin() as connection:
            run, row = current_run(connection, run_id)
            if run["finished_at"] is not None:
                raise Finished
            move_series(connection, row, State.RUNNING, sentence)
            here = (t.steps.c.run_id == run_id) & (t.steps.c.name == name)
            connection.execute(sa.delete(t.steps).where(here))
            connection.execute(
                sa.insert(t.steps).values(run_id=run_id, name=name, started_at=t.db_clock())
            )

    def end_step(self, run_id: int, name: str, sentence: str) -> None:
        """Say how a step went."""
        here = (t.steps.c.run_id == run_id) & (t.steps.c.name == name)
        change = sa.update(t.steps).where(here)
        with self.engine.begin() as connection:
            connection.execute(change.values(finished_at=t.db_clock(), sentence=sentence))

    def say(self, run_id: int, sentence: str) -> None:
        """Change the sentence of a running series: progress inside a long step."""
        with self.engine.begin() as connection:
            _run, row = current_run(connection, run_id)
            move_series(connection, row, State(row["state"]), sentence)

    def record_check(
        self,
        run_id: int,
        findings: Iterable[Mapping[str, Any]],
        *,
        route: str | None,
        model: str | None,
    ) -> None:
        """Keep what the checks found and which route and model were chosen."""
        with self.engine.begin() as connection:
            _run, row = current_run(connection, run_id)
            found = list(findings)
            # What came since the check looked stays said.
            for late in row["findings"]:
                told = late.get("stage") == ARRIVAL and late["code"] not in CODES
                found = with_finding(found, late) if told else found
            found = refreshed(connection, row, found)
            values = {"findings": found, "route": route, "model": model}
            connection.execute(sa.update(t.series).where(t.series.c.id == row["id"]).values(values))

    def record_quality(self, run_id: int, findings: Iterable[Mapping[str, Any]]) -> None:
        """Add what the quality checks of the sCT found, replacing those of an earlier try."""
        with self.engine.begin() as connection:
            _run, row = current_run(connection, run_id)
            before = [f for f in row["findings"] if f.get("stage") != "quality"]
            values = {"findings": [*before, *findings]}
            connection.execute(sa.update(t.series).where(t.series.c.id == row["id"]).values(values))

    def findings(self, run_id: int) -> list[dict[str, Any]]:
        """What was found about the run's series so far, as JSON values."""
        query = (
            sa.select(t.series.c.findings)
            .join(t.runs, t.runs.c.series_id == t.series.c.id)
            .where(t.runs.c.id == run_id)
        )
        with t.reading(self.engine).begin() as connection:
            return list(connection.execute(query).scalar_one())

    def record_plan(self, run_id: int, plan: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep the plan unless one is there already; return the one that counts."""
        with self.engine.begin() as connection:
            run, _row = current_run(connection, run_id)
            if run["plan"] is not None:
                return dict(run["plan"])
            change = sa.update(t.runs).where(t.runs.c.id == run_id)
            connection.execute(change.values(plan=dict(plan)))
            return plan

    def record_outputs(self, run_id: int, files: Iterable[OutputFile]) -> None:
        """Index the objects made; raise `Defect` when one of that UID has other bytes."""
        files = list(files)
        with self.engine.begin() as connection:
            current_run(connection, run_id)
            for file in files:
                values = {
                    "run_id": run_id,
                    "sop_instance_uid": file.sop_instance_uid,
                    "sop_class_uid": file.sop_class_uid,
                    "transfer_syntax_uid": file.transfer_syntax_uid,
                    "series_instance_uid": file.series_instance_uid,
                    "number": file.number,
                    "kind": file.kind,
                    "stack": file.stack,
                    "path": file.path,
                    "size": file.size,
                    "sha256": file.sha256,
                    "header": image_header(file.values, file.transfer_syntax_uid),
                }
                if not insert_missing(connection, t.outputs, values).rowcount:
                    _same_output(connection, file)
            _catalogue_outputs(connection, run_id, files)

    def outputs(self, run_id: int) -> list[OutputFile]:
        """The objects of a run, by stack, kind and number."""
        o = t.outputs.c
        query = sa.select(t.outputs).where(o.run_id == run_id).order_by(o.stack, o.kind, o.number)
        with t.reading(self.engine).begin() as connection:
            return [output_value(row) for row in connection.execute(query).mappings()]

    def finish(self, run_id: int, target: State, sentence: str) -> None:
        """End the run with its series in ``target``: kept, refused, review or failed."""
        with self.engine.begin() as connection:
            run, row = current_run(connection, run_id)
            if run["finished_at"] is not None:
                return
            move_series(connection, row, target, sentence)
            finish_run(connection, run_id)

    def release(self, run_id: int, destinations: Iterable[str], sentence: str, *, who: str) -> None:
        """Let the run's objects leave and write down to whom; twice is the same as once.

        A series that a person holds goes to review instead, and an sCT whose sign-off was revoked.
        """
        with self.engine.begin() as connection:
            run, row = current_run(connection, run_id)
            if run["finished_at"] is not None:
                return
            if row["held_by"] is not None:
                move_series(connection, row, State.REVIEW, f"Held by {row['held_by']}.")
                finish_run(connection, run_id)
                return
            if tell_both(connection, row["id"]):
                move_series(connection, row, State.REVIEW, TWO_PATIENTS)
                finish_run(connection, run_id)
                return
            if is_waiting(connection, row["id"]):
                move_series(connection, row, State.REVIEW, CORRECTED)
                finish_run(connection, run_id)
                return
            if not may_leave(connection, run["plan"]):
                move_series(connection, row, State.REVIEW, f"{REVOKED} Run the series again.")
                finish_run(connection, run_id)
                return
            release_run(connection, row, run, destinations, sentence, who=who)

    def _update(self, run_id: int, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(t.runs).where(t.runs.c.id == run_id).values(values))


def _may_come(
    connection: sa.Connection, series_id: int, series_instance_uid: str, patience: Patience
) -> bool:
    """Whether more of a quiet series may come, by what happened at the door."""
    s = t.series.c
    whole = sa.select(s.id).select_from(t.series).where(s.id == series_id, is_whole())
    if connection.execute(whole).first() is not None:
        return False
    evidence = read_evidence(connection, series_id, series_instance_uid)
    now = connection.execute(sa.select(t.db_clock())).scalar_one()
    return must_wait(evidence, now, patience)


def _joined(connection: sa.Connection, run_id: int) -> sa.RowMapping:
    s = t.series.c
    query = (
        sa.select(t.runs, s.series_instance_uid, s.peer, s.called_ae)
        .join(t.series, s.id == t.runs.c.series_id)
        .where(t.runs.c.id == run_id)
    )
    return connection.execute(query).mappings().one()


def _catalogue_outputs(connection: sa.Connection, run_id: int, files: Iterable[OutputFile]) -> None:
    """Let each series made be found by queries, once it is released."""
    firsts = {file.series_instance_uid: file for file in reversed(list(files))}
    for uid, file in firsts.items():
        header = series_header(file.values, file.transfer_syntax_uid)
        own = {"run_id": run_id, "sop_class_uid": file.sop_class_uid}
        add_to_catalogue(connection, uid, header, **own)


def _same_output(connection: sa.Connection, file: OutputFile) -> None:
    o = t.outputs.c
    query = sa.select(o.sha256).where(o.sop_instance_uid == file.sop_instance_uid)
    if connection.execute(query).scalar_one() != file.sha256:
        raise Defect(
            f"Object {file.sop_instance_uid} was made again with other bytes.",
            remedy="Run the series again; keep the log for us.",
        )
