"""A worker that finds a row whose values are a program; run as a process, the engine is one each.

Arguments: the engine's URL, and a file that only the row's program would make. It prints the status
of the hostile workflow and that of an honest one behind it.
"""

import base64
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.flow import engine


class Program:
    """Unpickled, it makes a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._path}",)


def main(url: str, witness: Path) -> None:
    """Put a hostile and an honest row there, and work on both."""
    engine.create_schema(url)
    client = engine.open_client(url)
    for name in ("hostile", "honest"):
        engine.ask(client, engine.ECHO_WORKFLOW, engine.SERVICE_QUEUE, name, "TPS")
    program = base64.b64encode(pickle.dumps(Program(str(witness)))).decode()
    schema = "" if url.startswith("sqlite") else "dbos."
    hostile = {"it": program, "id": engine.versioned("hostile")}
    with engine.open_engine_database(url).begin() as connection:
        for change in (
            f"UPDATE {schema}workflow_status SET serialization = 'py_pickle', inputs = :it",  # noqa: S608
            f"UPDATE {schema}workflow_input SET inputs = :it",  # noqa: S608
        ):
            changed = connection.execute(sa.text(f"{change} WHERE workflow_uuid = :id"), hostile)
            assert changed.rowcount == 1
    engine.create(url, "test")
    engine.workflow(engine.ECHO_WORKFLOW, lambda peer: {"ok": True, "sentence": peer})
    engine.launch()
    ends = time.monotonic() + 30
    found: dict[str, str | None] = {}
    while time.monotonic() < ends:
        found = {name: engine.status_of(engine.versioned(name)) for name in ("hostile", "honest")}
        if found["honest"] == "SUCCESS" and found["hostile"] not in ("ENQUEUED", "PENDING"):
            break
        time.sleep(0.1)
    print(found["hostile"], found["honest"])  # noqa: T201
    engine.shut_down(drain_s=1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
