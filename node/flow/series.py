"""The workflow of one run of a series: the steps of the line, each recorded once."""

from typing import Any

from sqlalchemy.exc import DBAPIError

from node.archive.rows.run_rows import Superseded
from node.archive.schema.records import Run
from node.archive.work.runs import Finished, Runs
from node.crashpoints import reach
from node.domain.errors import Defect, NodeError, Rejected, Retryable
from node.domain.findings import finding_json
from node.domain.states import State
from node.flow import engine
from node.flow.step_context import Bench
from node.flow.steps import STEPS, tidy
from node.flow.workfiles import WorkFile
from node.log import get_logger
from node.pipeline import refusals

log = get_logger(__name__)

GO, ENDED, SUPERSEDED = "go", "ended", "superseded"
_DEFECT = (
    "A defect of the node stopped it while {doing}; the log has the details. "
    "Run the series again; if it stops again, send us the log."
)

# What Python says when the system has no memory, or no number, for one more thread.
_NO_THREAD = "can't start new thread"


class _NoThread(RuntimeError):
    """The system gives no thread: a shortage that passes, not a defect."""


class SeriesWork:
    """Runs the line on one stored series after the other."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def run(self, run_id: int) -> str:
        """The workflow: each step in order, until one ends the run. Returns the last word."""
        file: dict[str, Any] | None = None
        for name in STEPS:
            try:
                said = engine.step(name, self.perform, run_id, name, file, retry_on=Retryable)
            except engine.TriesUsedUp as error:
                why = str(error.errors[-1]) if error.errors else str(error)
                engine.step("give up", self.give_up, run_id, why, retry_on=Retryable)
                return ENDED
            if said["word"] != GO:
                return str(said["word"])
            file = said["file"] or file
        return ENDED

    def perform(self, run_id: int, name: str, file: dict[str, Any] | None) -> dict[str, Any]:
        """One step: what it did is in our tables and files, only a word goes into the record.

        Raises `Retryable` alone; every other end is written into the series' state.
        """
        try:
            return self._perform(run_id, name, file)
        except (OSError, MemoryError, DBAPIError, _NoThread) as error:
            raise _resource_short(run_id, name, error) from error

    def _perform(self, run_id: int, name: str, file: dict[str, Any] | None) -> dict[str, Any]:
        word, left = GO, None
        run = self._bench.runs.get(run_id)
        try:
            word, left = self._step(run, name, file)
        except Superseded:
            word = SUPERSEDED
            log.info("run_superseded", series=run.series_instance_uid, run=run_id, step=name)
        except Finished:
            word = ENDED
        except Retryable as error:
            log.warning("step_retried", run=run_id, step=name, reason=error.message)
            raise
        except NodeError as error:
            word = self._stop(run, name, error)
        except FileNotFoundError as error:
            lost = Defect(
                f"{error.filename} is not there.", remedy="Run pctnode check --deep; restore it."
            )
            word = self._stop(run, name, lost)
        except (OSError, MemoryError, DBAPIError):
            raise
        except Exception as error:  # a worker's edge: one series must not stop the others
            if str(error) == _NO_THREAD:
                raise _NoThread(_NO_THREAD) from error
            log.exception("step_defect", series=run.series_instance_uid, run=run_id, step=name)
            word = _end(self._bench.runs, run_id, State.FAILED, _DEFECT.format(doing=name))
        if word != GO:
            tidy(self._bench, run)
        return {"word": word, "file": left}

    def give_up(self, run_id: int, reason: str) -> str:
        """The retries of a step are used up: a person must act."""
        sentence = f"Given up after several tries: {reason}"
        try:
            return _end(self._bench.runs, run_id, State.FAILED, sentence)
        except DBAPIError as error:
            raise _resource_short(run_id, "give up", error) from error

    def _step(
        self, run: Run, name: str, file: dict[str, Any] | None
    ) -> tuple[str, dict[str, Any] | None]:
        meanwhile, function = STEPS[name]
        runs = self._bench.runs
        runs.begin_step(run.id, name, meanwhile)
        reach(f"{name}.begun")
        done = function(self._bench, run, WorkFile.from_json(file) if file else None)
        runs.end_step(run.id, name, done.sentence)
        log.info(
            "step_done",
            series=run.series_instance_uid,
            run=run.id,
            step=name,
            ended=done.ended,
        )
        reach(f"{name}.done")
        return ENDED if done.ended else GO, done.file.as_json() if done.file else None

    def _stop(self, run: Run, name: str, error: NodeError) -> str:
        log.warning(
            "step_stopped", run=run.id, step=name, kind=type(error).__name__, reason=error.message
        )
        if not isinstance(error, Rejected):
            return _end(self._bench.runs, run.id, State.FAILED, str(error))
        found = [finding_json(f, stage="quality") for f in refusals(error)]
        try:
            self._bench.runs.record_quality(run.id, found)
        except Superseded:
            return SUPERSEDED
        return _end(self._bench.runs, run.id, State.REFUSED, str(error))


def _resource_short(run_id: int, name: str, error: Exception) -> Retryable:
    """Disk, memory or database would not serve: that passes, and a repeated step does no harm."""
    # Of a database error the driver's own sentence; the whole would carry the row's values.
    reason = str(getattr(error, "orig", None) or error) or type(error).__name__
    log.warning("step_short_of_resources", run=run_id, step=name, reason=reason)
    return Retryable(
        f"{name}: {reason}.", remedy="Look at disk, memory and database; then run it again."
    )


def _end(runs: Runs, run_id: int, state: State, sentence: str) -> str:
    try:
        runs.finish(run_id, state, sentence)
    except Superseded:
        return SUPERSEDED
    return ENDED
