"""Asks the engine for what our rows say is due: settled series, deliveries, what a crash left.

The rows are the truth and the engine's queue follows them: asking twice for one id is asking once.
"""

from collections.abc import Callable, Collection, Sequence

from dbos import DBOSClient

from node.archive.query.commitments import Commitments
from node.archive.rows.delivery_values import DueDelivery
from node.archive.rows.run_rows import Superseded
from node.archive.schema.records import OpenRun
from node.archive.work.deliveries import Deliveries
from node.archive.work.runs import Runs
from node.crashpoints import reach
from node.domain.door import Patience
from node.domain.states import State
from node.flow import engine
from node.log import get_logger

log = get_logger(__name__)

# How often lost work is looked for: rare, since only a defect or a restored backup makes it.
SWEEP_S = 60.0
_ALIVE = ("ENQUEUED", "PENDING", "DELAYED")
_LOST = "The engine stopped it ({status}). Run the series again; the log has the details."


class Outbox:
    """Asks for workflows; any process may do it."""

    def __init__(
        self,
        runs: Runs,
        deliveries: Deliveries,
        client: DBOSClient,
        lanes: Callable[[str], int] = lambda _destination: 1,
        commitments: Commitments | None = None,
    ) -> None:
        self._runs = runs
        self._deliveries = deliveries
        self._client = client
        self._lanes = lanes
        self._commitments = commitments

    def flush(self) -> None:
        """Ask for every run and delivery that is due and was not asked for yet."""
        self.flush_runs()
        for due in self._deliveries.due():
            self.ask_delivery(due)
            self._deliveries.mark_enqueued(due.delivery_id, due.number)
        self.flush_reports()

    def flush_reports(self) -> None:
        """Ask for every report on a commitment that is due."""
        if self._commitments is None:
            return
        for number, tries in self._commitments.due():
            workflow_id = f"commitment-{number}-{tries}"
            workflow, queue = engine.REPORT_WORKFLOW, engine.SERVICE_QUEUE
            engine.ask(self._client, workflow, queue, workflow_id, number, tries)
            self._commitments.mark_enqueued(number)

    def flush_runs(self) -> None:
        """Ask for every run that was not asked for yet."""
        for run in self._runs.unqueued():
            self.ask_run(run)
            self._runs.mark_enqueued(run.id)

    def ask_run(self, run: OpenRun) -> None:
        """Ask for the workflow of a run."""
        engine.ask(
            self._client,
            engine.SERIES_WORKFLOW,
            engine.SERIES_QUEUE,
            run.workflow_id,
            run.id,
            turn=run.turn,
        )

    def ask_delivery(self, due: DueDelivery) -> None:
        """Ask for one try of a delivery, in a lane of its destination."""
        engine.ask(
            self._client,
            engine.DELIVERY_WORKFLOW,
            engine.DELIVERY_QUEUE,
            due.workflow_id,
            due.delivery_id,
            due.number,
            partition=f"{due.destination}#{due.delivery_id % self._lanes(due.destination)}",
            turn=due.turn,
        )


class Intake:
    """Looks once a second, and more often while work is near; one thread of each worker."""

    def __init__(
        self,
        *,
        runs: Runs,
        deliveries: Deliveries,
        outbox: Outbox,
        quiet_s: float,
        urgent: Callable[[], Collection[str]] = tuple,
        recover: Callable[[], bool] = lambda: True,
        waiting: Callable[[], Collection[str]] = tuple,
        patience: Patience | None = None,
        mark_lost: Callable[[], int] = lambda: 0,
    ) -> None:
        self._runs = runs
        self._deliveries = deliveries
        self._outbox = outbox
        self._quiet_s = quiet_s
        self._urgent = urgent
        self._recover = recover
        self._waiting = waiting
        self._patience = patience or Patience()
        self._mark_lost = mark_lost

    def look(self) -> None:
        """Settle quiet series and ask for what is due."""
        # What an acceptor that died had acknowledged belongs to its series before that settles.
        whole = self._recover()
        settled = 0
        if whole:
            self._end_lost()
            settled = self._runs.settle_quiet(
                self._quiet_s, self._urgent(), self._waiting, self._patience
            )
        if settled:
            log.info("series_settled", count=settled)
            reach("intake.settled")
        self._outbox.flush()
        reach("intake.asked" if settled else "intake.idle")

    def _end_lost(self) -> None:
        lost = self._mark_lost()
        if lost:
            log.warning("associations_lost", series=lost)

    def pace_s(self) -> float:
        """How long to wait until the next look."""
        near = self._runs.is_near(self._quiet_s, engine.LEAD_S)
        return engine.HURRY_S if near else engine.POLL_S

    def sweep(self) -> None:
        """Ask again for, or give up, work whose workflow is gone or stopped."""
        for run in self._runs.unfinished():
            status = _status(run.workflow_id)
            if status is None:
                self._outbox.ask_run(run)
            elif status not in _ALIVE:
                self._give_up(run.id, status)
        self._sweep_deliveries(self._deliveries.enqueued())

    def _sweep_deliveries(self, asked: Sequence[DueDelivery]) -> None:
        for due in asked:
            status = _status(due.workflow_id)
            if status is None:
                self._outbox.ask_delivery(due)
            elif status not in _ALIVE:
                sentence = _LOST.format(status=status)
                self._deliveries.failed(due.delivery_id, due.number, sentence)

    def _give_up(self, run_id: int, status: str) -> None:
        log.error("run_lost", run=run_id, status=status)
        try:
            self._runs.finish(run_id, State.FAILED, _LOST.format(status=status))
        except Superseded:
            return


def _status(workflow_id: str) -> str | None:
    """What the engine says of a workflow; one that another version cancelled goes on again."""
    ours = engine.versioned(workflow_id)
    status = engine.status_of(ours)
    if status == "CANCELLED":
        engine.resume(ours)
        return "ENQUEUED"
    return status
