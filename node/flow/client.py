"""What others may ask of the flow: a decision about a series, an echo, a pull, a verification.

Requests are rows and enqueued workflows; whoever asks never runs one. A worker that can reach the
peers does the work.
"""

import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient

from node.archive.files import Folder
from node.archive.people.audit import By
from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.work.decisions import Decisions
from node.archive.work.deliveries import Deliveries
from node.archive.work.runs import Runs
from node.domain.errors import Defect, Retryable
from node.flow import engine
from node.flow.asks import Asking
from node.flow.corrections import Corrections
from node.flow.intake import Outbox
from node.flow.withdrawals import withdraw
from node.log import get_logger

log = get_logger(__name__)


class FlowClient:
    """One for each process that asks; safe to use from several threads."""

    def __init__(self, database: sa.Engine, engine_url: str, folder: Folder | None = None) -> None:
        self.decisions = Decisions(database, asked=self._ask)
        self._echoes = Echoes(database)
        self._folder = folder
        self._database = database
        self._engine_url = engine_url

    def reject(self, series_id: int, by: By, *, reason: str) -> str:
        """Refuse the sCT of a series in review; one that may have left is withdrawn."""
        if reason.strip() and self.decisions.may_have_left(series_id):
            return self.withdraw(series_id, by, reason=reason, concept="quality")
        return self.decisions.reject(series_id, by, reason=reason)

    def withdraw(
        self,
        series_id: int,
        by: By,
        *,
        reason: str,
        concept: str,
        attempt: int | None = None,
        revision: int | None = None,
    ) -> str:
        """Tell every destination of a delivered sCT that it must not be used."""
        if self._folder is None:
            raise Defect("This process has no archive folder.")
        sentence = withdraw(
            self.decisions,
            self._folder,
            series_id,
            by,
            reason=reason,
            concept=concept,
            attempt=attempt,
            revision=revision,
        )
        self._ask()
        return sentence

    def adopt(
        self, series_id: int, by: By, *, reason: str = "", correction: int | None = None
    ) -> str:
        """File the corrected images of a series in place of those it has, and work on it anew."""
        sentence = self._corrections.adopt(series_id, by, reason=reason, correction=correction)
        self._ask()
        return sentence

    def dismiss(self, series_id: int, by: By, *, reason: str, correction: int | None = None) -> str:
        """Leave the images of a series as they are, though they came again corrected."""
        return self._corrections.dismiss(series_id, by, reason=reason, correction=correction)

    def echo(self, peer: str, *, within_s: float = 30.0, who: str = "") -> tuple[bool, str]:
        """Have a worker send C-ECHO to ``peer``; whether it answered, and a sentence."""
        result = self._result(engine.ECHO_WORKFLOW, peer, within_s=within_s)
        if result is None:
            raise Retryable(
                f"No worker has tried {peer} within {within_s:.0f} s.",
                remedy="Check that a worker runs.",
            )
        ok, sentence = bool(result["ok"]), str(result["sentence"])
        self._echoes.remember(peer, ok=ok, sentence=sentence, who=who)
        return ok, sentence

    def verify(
        self, model: str, version: str, *, within_s: float = 300.0, who: str = ""
    ) -> dict[str, Any]:
        """Have a worker verify a model and keep what came of it."""
        row = self._result(engine.VERIFY_WORKFLOW, model, version, within_s=within_s)
        if row is None:
            raise Retryable(
                f"No worker has verified {model} {version} within {within_s:.0f} s.",
                remedy="Check that a worker runs.",
            )
        ModelBook(self._database).remember_check(row, who=who)
        return dict(row)

    def pull(
        self, peer: str, study: str, series: Sequence[str] = (), *, within_s: float = 600.0
    ) -> dict[str, Any]:
        """Have a worker pull series (all MR of ``study``, or those named) from ``peer``.

        ``ok``, a ``sentence``, and for each series what was ``expected`` and ``completed``.
        """
        said = self._result(engine.PULL_WORKFLOW, peer, study, list(series), within_s=within_s)
        if said is None:
            raise Retryable(
                f"The pull from {peer} has not ended within {within_s:.0f} s.",
                remedy="Check that a worker runs; what it pulls arrives all the same.",
            )
        return dict(said)

    def close(self) -> None:
        """Close the connections to the engine's database."""
        client = self.__dict__.get("_client")
        if client is not None:
            client.destroy()

    @cached_property
    def _corrections(self) -> Corrections:
        if self._folder is None:
            raise Defect("This process has no archive folder.")
        return Corrections(self._database, self._folder)

    @cached_property
    def _client(self) -> DBOSClient | None:
        """None where this process's database user has no rights on the engine's tables."""
        if not engine.may_reach(self._database):
            return None
        engine.create_schema(self._engine_url)  # this process may be the first to come
        return engine.open_client(self._engine_url)

    def _ask(self) -> None:
        """Spare the worker's next look: the rows are written, and asking twice is asking once."""
        if self._client is not None:
            Outbox(Runs(self._database), Deliveries(self._database), self._client).flush_runs()

    def _result(self, workflow: str, *arguments: Any, within_s: float) -> Any:
        client = self._client
        if client is None:
            return Asking(self._database).result_of(workflow, *arguments, within_s=within_s)
        workflow_id = f"{workflow}-{uuid.uuid4()}".replace(" ", "-")
        engine.ask(client, workflow, engine.SERVICE_QUEUE, workflow_id, *arguments)
        return engine.result_of(client, workflow_id, within_s=within_s)
