"""Asks the engine for what our rows say is due: settled series, deliveries, what a crash left.

The rows are the truth and the engine's queue follows them: asking twice for one id is asking once.
"""

from collections.abc import Sequence

from dbos import DBOSClient

from node.archive.deliveries import Deliveries, DueDelivery
from node.archive.runs import Runs, Superseded
from node.crashpoints import reach
from node.domain.states import State
from node.flow import engine
from node.log import get_logger

log = get_logger(__name__)

POLL_S = 1.0
# How often lost work is looked for: rare, since only a defect or a restored backup makes it.
SWEEP_S = 60.0
_ALIVE = ("ENQUEUED", "PENDING", "DELAYED")
_LOST = "The engine stopped it ({status}). Run the series again; the log has the details."


class Outbox:
    """Asks for workflows; any process may do it."""

    def __init__(self, runs: Runs, deliveries: Deliveries, client: DBOSClient) -> None:
        self._runs = runs
        self._deliveries = deliveries
        self._client = client

    def flush(self) -> None:
        """Ask for every run and delivery that is due and was not asked for yet."""
        for run_id, workflow_id in self._runs.unqueued():
            self.ask_run(run_id, workflow_id)
            self._runs.mark_enqueued(run_id)
        for due in self._deliveries.due():
            self.ask_delivery(due)
            self._deliveries.mark_enqueued(due.delivery_id, due.number)

    def ask_run(self, run_id: int, workflow_id: str) -> None:
        """Ask for the workflow of a run."""
        engine.ask(self._client, engine.SERIES_WORKFLOW, engine.SERIES_QUEUE, workflow_id, run_id)

    def ask_delivery(self, due: DueDelivery) -> None:
        """Ask for one try of a delivery, in the line of its destination."""
        engine.ask(
            self._client,
            engine.DELIVERY_WORKFLOW,
            engine.DELIVERY_QUEUE,
            due.workflow_id,
            due.delivery_id,
            due.number,
            partition=due.destination,
        )


class Intake:
    """Looks once a second; one thread of each worker."""

    def __init__(
        self, *, runs: Runs, deliveries: Deliveries, outbox: Outbox, quiet_s: float
    ) -> None:
        self._runs = runs
        self._deliveries = deliveries
        self._outbox = outbox
        self._quiet_s = quiet_s

    def look(self) -> None:
        """Settle quiet series and ask for what is due."""
        settled = self._runs.settle_quiet(self._quiet_s)
        if settled:
            log.info("series_settled", count=settled)
            reach("intake.settled")
        self._outbox.flush()
        reach("intake.asked" if settled else "intake.idle")

    def sweep(self) -> None:
        """Ask again for, or give up, work whose workflow is gone or stopped."""
        for run_id, workflow_id in self._runs.unfinished():
            status = engine.status_of(engine.versioned(workflow_id))
            if status is None:
                self._outbox.ask_run(run_id, workflow_id)
            elif status not in _ALIVE:
                self._give_up(run_id, status)
        self._sweep_deliveries(self._deliveries.enqueued())

    def _sweep_deliveries(self, asked: Sequence[DueDelivery]) -> None:
        for due in asked:
            status = engine.status_of(engine.versioned(due.workflow_id))
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
