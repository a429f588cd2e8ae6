"""The only place that sets up DBOS: its database, its serializer, its version, its queues.

What must hold, and why, is in ``docs/decisions/0004-durable-work-and-processes.md``.
"""

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    EnqueueOptions,
    error,
)
from sqlalchemy import event

from node.archive.schema.database import open_server
from node.flow.portable import forbid_pickle

# Before anything of the engine reads a row, in every process that imports it.
forbid_pickle()

TriesUsedUp = error.DBOSMaxStepRetriesExceeded

APPLICATION = "pctnode"
# Raised when a workflow's steps, their names, order or records change so that one begun under the
# old code cannot go on under the new. The decision record says what to do then.
APPLICATION_VERSION = "1"
POLL_S = 1.0
# While work is near. Idle, so many looks would cost a tenth of a core.
HURRY_S = 0.1
# From one interval to the other takes the engine nine seconds, and a look before.
LEAD_S = 11.0
# Nothing here waits for notifications or schedules, so their threads need not wake a sleeping core;
# at the end the engine waits for the first of the two.
_NOTIFICATIONS_S = 3.0
_SCHEDULES_S = 60.0
# How often a person's request is looked at; only while one waits.
_RESULT_POLL_S = 0.1
# Two seconds, then half as long again each time, over half an hour: what a step waits for (disk,
# database, memory) every other series waits for as well.
_STEP_FIRST_S = 2.0
_STEP_BACK_OFF = 1.5
_STEP_TRIES = 16
# A workflow that has killed its worker so often is not started again; its series fails.
MAX_RECOVERIES = 8

_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

SERIES_QUEUE = "inference"
DELIVERY_QUEUE = "delivery"
SERVICE_QUEUE = "service"
SERIES_WORKFLOW = "series"
DELIVERY_WORKFLOW = "deliver"
ECHO_WORKFLOW = "echo"
REPORT_WORKFLOW = "commitment report"
PULL_WORKFLOW = "pull"
VERIFY_WORKFLOW = "verify model"


_MAY_REACH = (
    "SELECT coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = "
    "'dbos'), has_database_privilege(current_database(), 'CREATE'))"
)


def engine_url(database_url: str, data_dir: Path) -> str:
    """Where the engine's rows lie for a node with that database: PostgreSQL, or a file apart."""
    return database_url or f"sqlite:///{data_dir / 'engine.sqlite'}"


def open_engine_database(url: str) -> sa.Engine:
    """A connection pool for the engine; SQLite in write-ahead mode, every commit synchronised."""
    if not url.startswith("sqlite"):
        return open_server(url, pool_size=8)
    engine = sa.create_engine(url)
    event.listen(engine, "connect", _on_connect)
    return engine


def create_schema(url: str) -> None:
    """Make or upgrade the engine's tables, so that a client can come before any worker."""
    DBOS.migrate(url)


def create(url: str, executor_id: str) -> None:
    """Make this process's engine; workflows are registered next, then `launch`."""
    DBOS(config=_config(open_engine_database(url), executor_id=executor_id))


def workflow(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Register ``function`` as the workflow ``name``; names are in the database, so they stay."""

    def call(*args: Any) -> Any:  # the engine marks what it registers, and methods take no marks
        return function(*args)

    register = DBOS.workflow(name=name, max_recovery_attempts=MAX_RECOVERIES)
    return register(call)


def launch(*, inference_slots: int = 1) -> None:
    """Begin to run workflows, those of this executor's last life first."""
    DBOS.launch()
    # One slot for each worker process: a GPU serves one series at a time. An operator's change of
    # a limit in the database is kept over restarts ("never_update").
    DBOS.register_queue(
        SERIES_QUEUE,
        worker_concurrency=inference_slots,
        polling_interval_sec=POLL_S,
        on_conflict="never_update",
    )
    # One at a time to each destination, so that a sleeping one holds up nobody else.
    DBOS.register_queue(
        DELIVERY_QUEUE,
        partition_concurrency=1,
        polling_interval_sec=POLL_S,
        on_conflict="never_update",
    )
    DBOS.register_queue(
        SERVICE_QUEUE,
        worker_concurrency=4,
        polling_interval_sec=POLL_S,
        on_conflict="never_update",
    )


def look_every(seconds: float) -> None:
    """How often the workers that share these queues look for series and deliveries.

    Less often works at once; more often within `LEAD_S`, since the engine approaches a shorter
    interval by a tenth each time.
    """
    for name in (SERIES_QUEUE, DELIVERY_QUEUE):
        queue = DBOS.retrieve_queue(name)
        if queue is not None:
            queue.set_polling_interval_sec(seconds)


def shut_down(*, drain_s: int) -> None:
    """Take nothing new, give what runs ``drain_s`` to end; the rest goes on after a restart."""
    DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=drain_s)


def take_over(executor_id: str) -> int:
    """Make the pending workflows of a dead executor eligible for the living; return how many.

    The one private call of the engine that we use (``dbos>=3.4,<3.5``, with a kill test): the
    public pair cancel and resume would leave work cancelled if we died between the two. It is
    idempotent: once a living executor has a workflow, its row names that one.
    """
    return len(DBOS._recover_pending_workflows([executor_id]))


def retire_other_versions(living: Collection[str]) -> int:
    """Cancel what other versions of the code left behind, so that it is asked for under ours.

    What a living executor of another version is at is left to it. Returns how many there were.
    """
    pending = DBOS.list_workflows(
        status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
    )
    old = [
        w.workflow_id
        for w in pending
        if not w.workflow_id.endswith(f"@{APPLICATION_VERSION}")
        and not (w.status == "PENDING" and w.executor_id in living)
    ]
    if old:
        DBOS.cancel_workflows(old)
    return len(old)


def resume(workflow_id: str) -> None:
    """Go on with a workflow that a newer version, gone again, had cancelled."""
    DBOS.resume_workflow(workflow_id)


def forget_ended(*, before_s: float, limit: int) -> int:
    """Delete what ended before a time, in seconds since 1970; our own rows remember the work."""
    before = datetime.fromtimestamp(before_s, UTC).isoformat()
    ended = DBOS.list_workflows(
        status=list(_ENDED),
        completed_before=before,
        limit=limit,
        load_input=False,
        load_output=False,
    )
    if ended:
        DBOS.delete_workflows([w.workflow_id for w in ended])
    return len(ended)


def status_of(workflow_id: str) -> str | None:
    """The engine's word for a workflow: ENQUEUED, PENDING, SUCCESS, ...; None when unknown."""
    status = DBOS.get_workflow_status(workflow_id)
    return None if status is None else status.status


def step(name: str, function: Callable[..., Any], *args: Any, retry_on: type[Exception]) -> Any:
    """Run one recorded step of a workflow; ``retry_on`` is tried again with back-off."""
    return DBOS.run_step(
        {
            "name": name,
            "retries_allowed": True,
            "interval_seconds": _STEP_FIRST_S,
            "backoff_rate": _STEP_BACK_OFF,
            "max_attempts": _STEP_TRIES,
            "should_retry": lambda raised: isinstance(raised, retry_on),
        },
        function,
        *args,
    )


def result_of(client: DBOSClient, workflow_id: str, *, within_s: float) -> Any:
    """Give what a workflow returned; None when it has not ended in time or failed."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        ended, result = outcome_of(client, workflow_id)
        if ended:
            return result
        time.sleep(_RESULT_POLL_S)
    return None


def outcome_of(client: DBOSClient, workflow_id: str) -> tuple[bool, Any]:
    """Whether a workflow has ended, and what it returned; None when it failed."""
    handle: Any = client.retrieve_workflow(versioned(workflow_id))
    status = handle.get_status().status
    if status == "SUCCESS":
        return True, handle.get_result()
    return status not in ("ENQUEUED", "PENDING"), None


def may_reach(database: sa.Engine) -> bool:
    """Whether this process's database user may use the engine's tables, or make them."""
    if database.dialect.name != "postgresql":
        return True
    with database.connect() as connection:
        return bool(connection.execute(sa.text(_MAY_REACH)).scalar_one())


def open_client(url: str) -> DBOSClient:
    """For processes that only ask: it enqueues and looks, and never runs a workflow."""
    return DBOSClient(
        system_database_engine=open_engine_database(url),
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
    )


def ask(
    client: DBOSClient,
    workflow_name: str,
    queue: str,
    workflow_id: str,
    *args: Any,
    partition: str | None = None,
    turn: int = 0,
) -> None:
    """Ask for a workflow; the same id is the same workflow, however often it is asked for.

    ``turn`` orders what waits in a queue: the lower, the sooner.
    """
    options: EnqueueOptions = {
        "workflow_name": workflow_name,
        "queue_name": queue,
        "workflow_id": versioned(workflow_id),
        "app_version": APPLICATION_VERSION,
        "priority": turn + 1,  # the engine counts from 1
    }
    if partition is not None:
        options["queue_partition_key"] = partition
    client.enqueue(options, *args)


def versioned(workflow_id: str) -> str:
    """Give the engine's id of our ``workflow_id``: another version of the code is another one."""
    return f"{workflow_id}@{APPLICATION_VERSION}"


def _config(database: sa.Engine, *, executor_id: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_engine": database,
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "enable_otlp": False,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": _NOTIFICATIONS_S,
        "scheduler_polling_interval_sec": _SCHEDULES_S,
    }


def _on_connect(connection: Any, _record: object) -> None:
    # What the engine's own connections set, and what they leave at rollback mode and NORMAL.
    connection.isolation_level = "IMMEDIATE"
    for pragma in (
        "busy_timeout = 30000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
