"""The processes of the demonstration: the node, and a DICOM client and server that are not ours.

Client and server are pynetdicom's own applications, each in its own process, so that what they
send and accept does not depend on the node's code.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from node.domain.errors import Retryable

_STOP_S = 40.0

_TIMES = 5
_PATIENCE_S = "120"
_TAKEN = "Received Store Response (Status: 0x0000"


def free_port() -> int:
    """Port of the loopback interface that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, arguments: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a Python module with ``arguments``; it has ended when the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
            sys.stderr.write(f"{name} did not end by itself; see {log}\n")


def listening(port: int) -> bool:
    """Whether somebody accepts connections at a port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_port(process: "subprocess.Popen[bytes]", port: int, name: str, log: Path) -> None:
    """Return when ``process`` listens; raise when it ends or takes longer than a minute."""
    deadline = time.monotonic() + 60
    while not listening(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Retryable(f"{name} did not start.", remedy=f"Read {log}: {last_line(log)}")
        time.sleep(0.1)


def send(folder: Path, port: int, *, calling: str, called: str, log: Path) -> None:
    """C-STORE every file of ``folder`` in one association; raise when it came to nothing.

    On a busy machine the client may not see an answer and break off. As a PACS does, it comes again
    with everything.
    """
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    for _ in range(_TIMES):
        done = _store(folder, port, calling=calling, called=called)
        log.write_text(done.stdout + done.stderr)
        if done.returncode == 0 and log.read_text().count(_TAKEN) >= files:
            return
    if done.returncode != 0 or _TAKEN not in log.read_text():
        raise Retryable("The MR series was not taken by the node.", remedy=f"Read {log}.")


def _store(
    folder: Path, port: int, *, calling: str, called: str
) -> "subprocess.CompletedProcess[str]":
    client = [
        "-m",
        "pynetdicom",
        "storescu",
        "127.0.0.1",
        str(port),
        str(folder),
        "-r",
        "-cx",
        "-v",
        *("-td", _PATIENCE_S, "-ta", _PATIENCE_S, "-tn", _PATIENCE_S),
    ]
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *client, "-aet", calling, "-aec", called],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def ask(port: int, path: str) -> Any:
    """GET JSON from the node's page; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return json.loads(reply.read())
    except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError):
        return None


def last_line(log: Path) -> str:
    """Last line that a process printed."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:300] if lines else "it is empty"
