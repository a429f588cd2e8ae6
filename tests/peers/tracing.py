"""System calls of a running process, by strace."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.processes import start, stop
from tests.peers.tools import need_tool
from tests.peers.waiting import wait_until

# "1234  write(7</tmp/x.part>, ...) = 4096"; an interrupted call is written in two halves, of which
# the second names the end, and the end is what an order of durability is about.
_CALL = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(\w+)(?:\(| resumed>)(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call that has returned."""

    thread: int
    name: str
    text: str
    """Arguments and result as strace writes them, file descriptors with their paths."""
    began: int
    """Line of the trace where it was entered; calls of several threads overlap."""
    ended: int
    """Line of the trace where it returned."""


class Tracer:
    """strace attached to a process and everything it starts."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path, log: Path) -> None:
        self._process = process
        self._output = output
        self._log = log

    def calls(self) -> list[Call]:
        """Calls written so far, in the order in which they returned."""
        return parse_calls(self._output.read_text(errors="replace"))

    def stop(self) -> list[Call]:
        """Detach, leave the traced process running, and return every call."""
        stop(self._process)
        return self.calls()


def attach_strace(pids: Sequence[int], names: Sequence[str], folder: Path) -> Tracer:
    """Trace the system calls ``names`` of ``pids`` and wait until strace is attached."""
    program = need_tool("strace")
    output, log = folder / "strace.txt", folder / "strace.log"
    command = [program, "-f", "-yy", "-s", "64", "-e", "trace=" + ",".join(names)]
    for pid in pids:
        command += ["-p", str(pid)]
    process = start([*command, "-o", str(output)], log)

    def attached() -> bool:
        said = log.read_text(errors="replace")
        if process.poll() is not None:
            raise AssertionError(f"strace ended at once: {said}")
        return all(f"Process {pid} attached" in said for pid in pids)

    wait_until(attached, "strace to attach")
    return Tracer(process, output, log)


def parse_calls(text: str) -> list[Call]:
    """Calls in a strace file; a call in two halves counts where it returned."""
    calls = []
    started: dict[tuple[int, str], tuple[int, str]] = {}
    for number, line in enumerate(text.splitlines()):
        found = _CALL.match(line)
        if found is None:
            continue
        thread, name, rest = int(found[1]), found[2], found[3]
        if rest.endswith("<unfinished ...>"):
            started[thread, name] = number, rest.removesuffix("<unfinished ...>").strip()
            continue
        began, before = started.pop((thread, name), (number, ""))
        whole = (before + rest).strip()
        calls.append(Call(thread=thread, name=name, text=whole, began=began, ended=number))
    return calls
