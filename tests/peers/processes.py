"""Child processes that end with the test, by their own id."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def start(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start ``command`` with its output in ``log``."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env
        )


def stop(process: "subprocess.Popen[bytes]", *, timeout_s: float = 10.0) -> int:
    """Ask the process to end, insist after ``timeout_s``, and return its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait(timeout_s)
