"""What the promises stand on is tried: locks, syncs, mounts, and the server's settings."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.schema import tables
from node.archive.schema.database import refuse_unsafe
from node.archive.upkeep import folder_proof
from node.archive.upkeep.folder_proof import prove_folder, prove_machines
from node.archive.upkeep.mounts import mount_of
from node.archive.work.leases import Leases
from node.domain.errors import Misconfigured
from node.flow.leases import Slot
from node.scp.server import _sweep


def test_a_good_folder_is_proved_and_left_as_it_was(tmp_path: Path) -> None:
    """No probe stays behind."""
    assert "Locks hold" in prove_folder(tmp_path)
    assert list((tmp_path / "locks").iterdir()) == []


def test_locks_that_do_not_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a mount where each process locks for itself."""
    monkeypatch.setattr("node.archive.upkeep.folder_proof.fcntl.flock", lambda *_: None)
    monkeypatch.setattr("node.archive.upkeep.folder_proof.fcntl.lockf", lambda *_: None)
    with pytest.raises(Misconfigured, match="two processes got the same one"):
        prove_folder(tmp_path)


def test_locks_that_are_not_granted_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOLCK: a server without its lock manager."""

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("node.archive.upkeep.folder_proof.fcntl.flock", flock)
    with pytest.raises(Misconfigured, match="cannot be locked: No locks available"):
        prove_folder(tmp_path)


_MOUNT = "36 35 98:0 / {point} rw,noatime shared:1 - {kind} {source} rw,{options}"


@pytest.mark.parametrize(
    ("kind", "source", "options", "unsafe"),
    [
        ("ext4", "/dev/sda1", "errors=remount-ro", ""),
        ("nfs4", "nas:/pct", "vers=4.2,hard,local_lock=none", ""),
        ("nfs", "nas:/pct", "vers=3,nolock,local_lock=all", "nolock"),
        ("nfs", "nas:/pct", "vers=3,local_lock=flock", "local_lock=flock"),
        ("nfs4", "nas:/pct", "vers=4.2,async", "async"),
        ("fuse.sshfs", "user@nas:/pct", "user_id=0", "fuse.sshfs"),
        ("fuse", "s3fs", "user_id=0", "fuse"),
    ],
)
def test_a_mount_says_what_it_is_worth(
    tmp_path: Path, kind: str, source: str, options: str, unsafe: str
) -> None:
    """The deepest mount that holds the folder counts, and the last of those on one point."""
    folder = tmp_path / "a b" / "var"
    folder.mkdir(parents=True)
    point = str(tmp_path / "a b").replace(" ", r"\040")
    own = _MOUNT.format(point=point, kind=kind, source=source, options=options)
    root = _MOUNT.format(point="/", kind="nfs", source="x", options="nolock")
    mount = mount_of(folder, "\n".join([root, own]))

    assert mount is not None
    assert mount.point == str(tmp_path / "a b")
    assert unsafe in mount.unsafe()
    assert bool(mount.unsafe()) == bool(unsafe)
    assert mount.is_local == (kind == "ext4")


def test_an_unknown_fuse_is_told_and_not_refused() -> None:
    """Only its maker knows what a sync is worth there."""
    line = _MOUNT.format(point="/", kind="fuse.glusterfs", source="x", options="rw")
    mount = mount_of(Path("/srv"), line)
    assert mount is not None
    assert mount.unsafe() == ""
    assert "ask its maker" in mount.doubtful()


def test_an_unsafe_mount_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is received there."""
    line = _MOUNT.format(point="/", kind="nfs", source="x", options="nolock")
    monkeypatch.setattr(folder_proof, "mount_of", lambda folder: mount_of(folder, line))
    with pytest.raises(Misconfigured, match="nolock"):
        prove_folder(tmp_path)


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    """A worker of machine b gives signs of life."""
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.db"))
    tables.metadata.create_all(engine)
    found = Leases(engine)
    found.beat("b-worker-0", holder="1", version="1")
    return found


def test_the_lock_of_a_living_machine_holds(tmp_path: Path, leases: Leases) -> None:
    """It is there and cannot be had."""
    slot = Slot(tmp_path / "locks", "b", 0)
    assert "b-worker-0" in prove_machines(tmp_path, leases, "a")
    assert prove_machines(tmp_path, leases, "b") == "No other machine works."
    slot.close()


@pytest.mark.parametrize("there", [False, True])
def test_a_lock_of_a_living_machine_that_can_be_had_is_refused(
    tmp_path: Path, leases: Leases, *, there: bool
) -> None:
    """Locks that stay on one machine, and two folders where one is meant."""
    (tmp_path / "locks").mkdir()
    if there:
        (tmp_path / "locks" / "b-worker-0.lock").touch()

    def wait(_seconds: float) -> None:
        leases.beat("b-worker-0", holder="1", version="1")

    with pytest.raises(Misconfigured, match="one machine alone" if there else "another folder"):
        prove_machines(tmp_path, leases, "a", wait=wait)


def test_a_machine_that_has_just_died_is_no_fault(tmp_path: Path, leases: Leases) -> None:
    """Its lease still runs, its lock is gone: no other sign of life comes."""
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "b-worker-0.lock").touch()
    assert "b-worker-0" in prove_machines(tmp_path, leases, "a", wait=lambda _s: None)


def test_orphans_are_locked_as_nfs_4_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exclusive lock on a descriptor that cannot write is answered with EBADF there."""
    folder, real = Folder(tmp_path), fcntl.flock

    def flock(descriptor: Any, operation: int) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if operation & fcntl.LOCK_EX and fcntl.fcntl(number, fcntl.F_GETFL) & 3 == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        real(number, operation)

    monkeypatch.setattr("node.archive.files.fcntl.flock", flock)
    dead = tmp_path / "tmp" / "dead.part"
    dead.write_bytes(b"x")
    os.utime(dead, (0, 0))

    assert folder.remove_orphans() == 1


def test_a_sweep_that_fails_ends_no_acceptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One leftover that cannot be locked had every front-end crash in a loop."""
    folder, swept = Folder(tmp_path), []

    def remove(**_: object) -> int:
        swept.append(1)
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(folder, "remove_orphans", remove)
    _sweep(folder, None)
    assert swept


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["synchronous_commit"])
def test_a_server_that_does_not_sync_is_refused(database_url: str, name: str) -> None:
    """A commit that a crash may take back is no commit."""
    url = database_url.replace("://", "+psycopg://")
    options = {"options": f"-c {name}=off"}
    careless = sa.create_engine(url, poolclass=sa.NullPool, connect_args=options)
    with pytest.raises(Misconfigured, match=f"{name} = off"):
        refuse_unsafe(careless)
    refuse_unsafe(sa.create_engine(url, poolclass=sa.NullPool))
