"""The processes of ``pctnode serve``: one supervisor, and children that meet in the database.

The supervisor opens the DICOM port and starts acceptors, worker and web; it holds no patient data
and does no work. A child that ends by itself is started again, later each time. SIGTERM drains.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from threading import Event

from node.config.settings import Settings
from node.log import get_logger
from node.run import app

log = get_logger(__name__)

ROLES = ("scp", "worker", "web")
_LISTENERS = "PCTNODE_LISTENERS"
# Tells a child that the other roles run on this host, too.
_BESIDE = "PCTNODE_BESIDE"
_LOOK_S = 0.5
# A child that ran this long was well; one that ends sooner again and again is started ever later.
_WELL_S = 30.0
_BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# While no acceptor runs every sender waits on an open port, and half a series falls quiet.
_LONGEST_BACK_OFF_S = {"scp": 2.0}
# Longer than any role's own draining.
_DRAIN_S = 45.0
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def serve(settings: Settings, *, role: str, slot: int = 0) -> int:
    """Run one role in this process, or all of them in children; return the exit status."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if _BESIDE not in os.environ:  # else the supervisor has proved it
        engine = app.database(settings)
        log.info("folder_proved", told=app.prove_folder(settings, engine))
        engine.dispose()
    if role == "all":
        return Supervisor(settings, stop).run()
    if role == "scp":
        app.run_scp(settings, _listeners(settings), stop, slot)
    elif role == "worker":
        app.run_worker(settings, stop, slot)
    else:
        app.run_web(settings, stop, alone=_BESIDE not in os.environ)
    return 0


@dataclass(slots=True, kw_only=True)
class Child:
    """One child process and how it fares."""

    role: str
    slot: int
    process: "subprocess.Popen[bytes] | None" = None
    """None before the first start, and while it waits for the next."""
    started_at: float = 0.0
    start_at: float = 0.0
    """When it may be started."""
    failures: int = 0
    """How often it ended soon after its start, in a row."""

    @property
    def name(self) -> str:
        """Role and slot, for the log."""
        return f"{self.role}-{self.slot}"


class Supervisor:
    """Keeps the children of all roles running."""

    def __init__(self, settings: Settings, stop: Event) -> None:
        self._settings = settings
        self._stop = stop
        acceptors = [Child(role="scp", slot=n) for n in range(settings.dicom.acceptors)]
        self._children = [*acceptors, Child(role="worker", slot=0), Child(role="web", slot=0)]

    def run(self) -> int:
        """Start the children, start again those that end, until told to stop; 0 when all went."""
        app.database(self._settings).dispose()
        with ExitStack() as ports:
            listeners = [ports.enter_context(listener) for listener in app.listen(self._settings)]
            log.info("node_starting", dicom=[str(port.getsockname()) for port in listeners])
            try:
                while not self._stop.wait(_LOOK_S if self._all_run() else 0.05):
                    for child in self._children:
                        self._look_after(child, listeners)
            finally:
                # The port closes first: no new association while the old ones end.
                ports.close()
                left = self._end()
        log.info("node_stopped", killed=left)
        return 0 if not left else 1

    def _all_run(self) -> bool:
        return all(child.process is not None for child in self._children)

    def _look_after(self, child: Child, listeners: Sequence[socket.socket]) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child, listeners)
        elif (status := child.process.poll()) is not None:
            soon = now - child.started_at < _WELL_S
            child.failures = child.failures + 1 if soon else 1
            delay_s = back_off_s(child.role, child.failures)
            child.process, child.start_at = None, now + delay_s
            log.error("child_ended", child=child.name, status=status, again_in_s=delay_s)

    def _start(self, child: Child, listeners: Sequence[socket.socket]) -> None:
        environment = {**os.environ, _BESIDE: ",".join(ROLES)}
        inherited: tuple[int, ...] = ()
        if child.role == "scp":
            inherited = tuple(listener.fileno() for listener in listeners)
            environment[_LISTENERS] = ",".join(map(str, inherited))
        child.process = subprocess.Popen(  # noqa: S603 - this very program
            _command(self._settings, child),
            env=environment,
            pass_fds=inherited,
            preexec_fn=partial(_die_with, os.getpid()),
        )
        child.started_at = time.monotonic()
        log.info("child_started", child=child.name, pid=child.process.pid)

    def _end(self) -> int:
        """Tell every child to end, wait, and kill what is left; return how many that were."""
        running = [c.process for c in self._children if c.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _DRAIN_S
        return sum(not _ended(process, deadline) for process in running)


def back_off_s(role: str, failures: int) -> float:
    """How long a child waits that ended soon after its start so often in a row."""
    delay_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1]
    return min(delay_s, _LONGEST_BACK_OFF_S.get(role, delay_s))


def _ended(process: "subprocess.Popen[bytes]", deadline: float) -> bool:
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def _command(settings: Settings, child: Child) -> Sequence[str]:
    command = [sys.executable, "-m", "node", "serve", "--role", child.role]
    command += ["--slot", str(child.slot)]
    if settings.file is not None:
        command += ["--config", str(settings.file)]
    return command


def _listeners(settings: Settings) -> list[socket.socket]:
    """Take the supervisor's sockets, or open the ports where the role runs alone."""
    inherited = os.environ.pop(_LISTENERS, None)
    if inherited is None:
        return app.listen(settings)
    return [socket.socket(fileno=int(number)) for number in inherited.split(",")]


def _die_with(supervisor: int) -> None:
    """Have the kernel kill this child when its supervisor is gone, however that ended.

    An orphan would hold the port and the worker's slot. Being killed is safe at any moment: nothing
    was acknowledged that is not durable. Called before the child's program begins, so that no time
    is left in which it could be orphaned.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it died before the line above
        os._exit(1)
