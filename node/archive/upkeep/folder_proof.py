"""Whether the data folder keeps what the node's promises stand on: locks and syncs, tried out."""

import fcntl
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from node.archive.files import fsync_folder
from node.archive.upkeep.mounts import mount_of
from node.archive.work.leases import Leases
from node.domain.errors import Misconfigured
from node.log import get_logger

log = get_logger(__name__)

LOCKS = "locks"
_REMEDY = "Put the data folder on a local disk, or on NFS 4 with its locks."
# Another process tries each kind of lock that we hold: 0 when both hold.
_TRY = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    for lock in (fcntl.flock, fcntl.lockf):
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        sys.exit(1)
"""
_TRY_S = 30.0
# Signs of life come every 5 s; a machine that has given none for this long may be dead.
_LIVES_S, _WAIT_S = 15.0, 20.0


def prove_folder(folder: Path) -> str:
    """Lock, sync and rename in ``folder``; what was proved. Raises `Misconfigured` or `OSError`."""
    mount = mount_of(folder)
    if mount is not None and mount.unsafe():
        raise Misconfigured(mount.unsafe(), remedy=_REMEDY)
    (folder / LOCKS).mkdir(exist_ok=True)
    probe = folder / LOCKS / f"probe-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        _prove_locks(probe)
        _prove_sync(probe)
    finally:
        for path in (probe, probe.with_suffix(".renamed")):
            with suppress(FileNotFoundError):
                path.unlink()
    doubt = f" {mount.doubtful()}" if mount is not None and mount.doubtful() else ""
    return f"Locks hold between processes of this machine, and syncs are answered.{doubt}"


def prove_machines(
    folder: Path, leases: Leases, machine: str, *, wait: Callable[[float], None] = time.sleep
) -> str:
    """Try the locks of the living workers of other machines: they must be here, and hold.

    Raises `Misconfigured` where a worker lives by the database, and its lock is missing from this
    folder, or can be had.
    """
    others = [
        lease
        for lease in leases.told()
        if lease["silent_s"] is not None
        and lease["silent_s"] < _LIVES_S
        and lease["executor_id"].rpartition("-worker-")[0] != machine
    ]
    for lease in others:
        _prove_other(folder / LOCKS / f"{lease['executor_id']}.lock", lease, leases, wait)
    names = ", ".join(sorted(lease["executor_id"] for lease in others))
    return f"Locks hold between this machine and {names}." if names else "No other machine works."


def _prove_locks(probe: Path) -> None:
    with probe.open("w+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            told = f"Files in {probe.parent} cannot be locked: {error.strerror or error}."
            raise Misconfigured(told, remedy=_REMEDY) from None
        command = [sys.executable, "-I", "-c", _TRY, str(probe)]
        done = subprocess.run(command, timeout=_TRY_S, check=False)  # noqa: S603 - our own words
    if done.returncode:
        told = f"Locks in {probe.parent} do not hold: two processes got the same one."
        raise Misconfigured(told, remedy=_REMEDY)


def _prove_sync(probe: Path) -> None:
    with probe.open("r+b") as file:
        file.write(b"probe")
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
    renamed = probe.with_suffix(".renamed")
    probe.rename(renamed)
    fsync_folder(renamed.parent)
    if renamed.read_bytes() != b"probe":
        told = f"What was written and synced in {probe.parent} reads as something else."
        raise Misconfigured(told, remedy=_REMEDY)


def _prove_other(
    lock: Path, lease: dict[str, object], leases: Leases, wait: Callable[[float], None]
) -> None:
    executor = str(lease["executor_id"])
    fault = _fault(lock, executor)
    if fault and _gives_signs(executor, leases, wait):  # else it has just died, and nothing is odd
        fault = _fault(lock, executor)
        if fault:
            raise Misconfigured(fault, remedy=_REMEDY)


def _fault(lock: Path, executor: str) -> str:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"{executor} lives and has no lock in {lock.parent}: it works on another folder."
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ""
    except OSError as error:
        return f"The lock of {executor} cannot be tried: {error.strerror or error}."
    finally:
        os.close(descriptor)
    return f"The lock of {executor}, which lives, can be had here: locks hold on one machine alone."


def _gives_signs(executor: str, leases: Leases, wait: Callable[[float], None]) -> bool:
    """Whether a worker gives another sign of life while we wait."""
    before, waited = _beat(executor, leases), 0.0
    while waited < _WAIT_S:
        wait(1.0)
        waited += 1.0
        if _beat(executor, leases) > before:
            return True
    return False


def _beat(executor: str, leases: Leases) -> float:
    return max((b.beat_at for b in leases.beats() if b.executor_id == executor), default=0.0)
