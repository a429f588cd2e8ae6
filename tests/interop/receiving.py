"""A node that receives, and small MR objects to send it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.processes import start, stop
from tests.peers.waiting import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A running SCP and what it has stored."""

    data_dir: Path
    port: int
    tls_port: int
    """0 without TLS."""
    process: "subprocess.Popen[bytes]"
    log: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with closing(sqlite3.connect(self.data_dir / "node.db")) as connection:
            return connection.execute(query).fetchall()

    def associations(self, count: int) -> list[tuple[Any, ...]]:
        """Accepted, sentence and counts of each, once there are ``count``."""
        columns = "accepted, sentence, stored, duplicates, conflicts, failures"
        query = f"select {columns} from associations order by id"  # noqa: S608 - our own words
        wait_until(lambda: len(self.rows(query)) >= count, f"{count} association records")
        return self.rows(query)

    def files(self, folder: str = "instances") -> list[Path]:
        """Files below a folder of the data folder."""
        return sorted(p for p in (self.data_dir / folder).rglob("*") if p.is_file())

    def threads(self) -> int:
        """Threads of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def stop(self) -> int:
        """End it in order and return its exit status."""
        return stop(self.process, timeout_s=30)


def start_node(data_dir: Path, *options: str) -> Node:
    """Start an SCP over ``data_dir`` and wait until it answers."""
    data_dir.mkdir(parents=True, exist_ok=True)
    said = data_dir / "port.json"
    said.unlink(missing_ok=True)
    log = data_dir.parent / f"{data_dir.name}.log"
    command = [sys.executable, "-m", "tests.interop.scp_process", str(data_dir), *options]
    process = start(command, log)
    wait_until(lambda: said.exists() or process.poll() is not None, "the SCP", timeout_s=60)
    assert process.poll() is None, log.read_text()
    ports = json.loads(said.read_text())
    return Node(
        data_dir=data_dir,
        port=ports["port"],
        tls_port=ports.get("tls_port", 0),
        process=process,
        log=log,
    )


def running_node(data_dir: Path, *options: str) -> Iterator[Node]:
    """A node for a fixture: started, given, ended."""
    node = start_node(data_dir, *options)
    yield node
    node.stop()
