"""What kind of file system a folder lies on, and whether locks and syncs mean there what they say.

The kernel tells in ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

_INFO = Path("/proc/self/mountinfo")
# File systems of one kernel: their locks reach whoever can reach their files.
_LOCAL = ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs",
          "xfs", "zfs")  # fmt: skip
_LOCKS_STAY_HERE = ("nolock", "local_lock=all", "local_lock=flock", "local_lock=posix")
# Named after what is known of them; any other FUSE is told of, since nobody can know.
_BAD_FUSE = re.compile(r"sshfs|s3fs|gcsfuse|rclone|goofys|mountpoint-s3|davfs|curlftpfs|blobfuse")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where a folder lies."""

    point: str
    kind: str
    """``ext4``, ``nfs4``, ``fuse.sshfs`` and so on."""
    source: str
    options: frozenset[str]

    @property
    def is_local(self) -> bool:
        """Whether no other machine can mount it as this one does."""
        return self.kind in _LOCAL

    def unsafe(self) -> str:
        """Why what is acknowledged there could be lost; empty where nothing is known against it."""
        for option in _LOCKS_STAY_HERE:
            if self.kind.startswith("nfs") and option in self.options:
                return (
                    f"{self.point} is mounted with {option}: locks do not hold between machines. "
                    "Mount it without that option, with NFS 4."
                )
        if self.kind.startswith("nfs") and "async" in self.options:
            return f"{self.point} is mounted async. Mount it without that option."
        if self.kind.startswith("fuse") and _BAD_FUSE.search(f"{self.kind} {self.source}"):
            return (
                f"{self.point} is {self.kind}, which has no locks between machines and keeps "
                "nothing on a sync. Use NFS 4 or a local disk."
            )
        return ""

    def doubtful(self) -> str:
        """What nobody but the site can know of it; empty for what is known."""
        if self.kind.startswith("fuse") and not self.unsafe():
            return f"{self.point} is {self.kind}: ask its maker whether sync and locks hold."
        return ""


def mount_of(folder: Path, text: str | None = None) -> Mount | None:
    """The mount that ``folder`` lies on; None where the kernel does not tell."""
    try:
        lines = (_INFO.read_text() if text is None else text).splitlines()
    except OSError:
        return None
    path = folder.resolve()
    found = [mount for line in lines if (mount := _read(line)) and _holds(mount, path)]
    # Of two on the same point the later one is on top.
    return max(reversed(found), key=lambda mount: len(mount.point), default=None)


def may_be_shared(folder: Path, database: sa.Engine) -> bool:
    """Whether other machines may work on ``folder``: each of them needs the same database."""
    if database.dialect.name == "postgresql":
        return True
    mount = mount_of(folder)
    return mount is not None and not mount.is_local


def _holds(mount: Mount, path: Path) -> bool:
    return path.is_relative_to(mount.point)


def _read(line: str) -> Mount | None:
    own, separator, rest = line.partition(" - ")
    fields, more = own.split(" "), rest.split(" ")
    if not separator or len(fields) < 6 or len(more) < 3:
        return None
    options = frozenset([*fields[5].split(","), *more[2].split(",")])
    point = _ESCAPED.sub(lambda m: chr(int(m[1], 8)), fields[4])
    return Mount(point=point, kind=more[0], source=more[1], options=options)
