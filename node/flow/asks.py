"""Requests of a process without rights on the engine's tables: rows of our own, a worker's turn.

A page that could write the engine's rows could have workers run any workflow with anything. So on
PostgreSQL the page may have a database user without rights there (``docs/operations/roles.sql``):
it writes what it wants into a ticket, a worker asks the engine for it, and writes the answer back.
"""

import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient

from node.archive.people.credentials import Credentials
from node.archive.schema import tables as t
from node.flow import engine
from node.log import get_logger

log = get_logger(__name__)

_ASKED, _TAKEN, _ANSWERED = "ask", "ask taken", "ask answered"
_HOURS = 1.0
_LOOK_S = 0.2
# What may be asked for in this way; a row that says something else is dropped.
_MAY_ASK = frozenset({engine.ECHO_WORKFLOW, engine.VERIFY_WORKFLOW, engine.PULL_WORKFLOW})


class Asking:
    """The side that asks."""

    def __init__(self, database: sa.Engine) -> None:
        self._tickets = Credentials(database)

    def result_of(self, workflow: str, *arguments: Any, within_s: float) -> Any:
        """What the workflow returned; None when it has not ended in time or failed."""
        content = {"workflow": workflow, "arguments": list(arguments)}
        secret = self._tickets.issue(_ASKED, content, hours=_HOURS)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            answer = self._tickets.look(_ANSWERED, secret)
            if answer is not None:
                self._tickets.take(_ANSWERED, secret)
                return answer["result"]
            time.sleep(_LOOK_S)
        return None


class Answering:
    """The worker's side; of several workers one takes each request."""

    def __init__(self, database: sa.Engine, client: DBOSClient) -> None:
        self._database = database
        self._client = client

    def look(self) -> None:
        """Take what is asked, and answer what has ended."""
        for row in self._rows(_ASKED):
            self._take(row["secret_sha256"], row["content"])
        for row in self._rows(_TAKEN):
            self._answer(row["secret_sha256"])

    def _take(self, key: str, content: Mapping[str, Any]) -> None:
        workflow, arguments = content.get("workflow"), content.get("arguments")
        if workflow not in _MAY_ASK or not isinstance(arguments, list):
            log.warning("ask_not_understood", workflow=str(workflow)[:40])
            self._move(key, _ASKED, _ANSWERED, {"result": None})
            return
        # The same id is the same workflow: a worker that dies here has it asked for once more.
        queue = engine.SERVICE_QUEUE
        engine.ask(self._client, workflow, queue, _workflow_id(key), *arguments)
        self._move(key, _ASKED, _TAKEN, content)

    def _answer(self, key: str) -> None:
        ended, result = engine.outcome_of(self._client, _workflow_id(key))
        if ended:
            self._move(key, _TAKEN, _ANSWERED, {"result": result})

    def _rows(self, kind: str) -> list[Mapping[str, Any]]:
        k = t.tickets.c
        query = sa.select(k.secret_sha256, k.content)
        query = query.where(k.kind == kind, k.expires_at > t.db_clock())
        with t.reading(self._database).begin() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _move(self, key: str, old: str, new: str, content: Mapping[str, Any]) -> None:
        k = t.tickets.c
        change = sa.update(t.tickets).where(k.secret_sha256 == key, k.kind == old)
        with self._database.begin() as connection:
            connection.execute(change.values(kind=new, content=dict(content)))


def _workflow_id(key: str) -> str:
    return f"ask-{key[:32]}"
