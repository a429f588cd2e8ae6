"""Files that survive a power cut: temporary name, write, fsync, rename, fsync of the folder.

Everything the node writes goes through here. A reader sees a whole file or none; once a function
returns, the file and its name are on the disk.
"""

import ctypes
import fcntl
import hashlib
import json
import mmap
import os
import re
import secrets
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from node.crashpoints import reach
from node.dicom.ct_series import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from node.domain.errors import Defect
from node.domain.names import is_uid
from node.log import get_logger

log = get_logger(__name__)

INSTANCES, CONFLICTS, TEMPORARY = "instances", "conflicts", "tmp"
# Younger temporary files are never removed: their writer may not hold its lock yet.
ORPHAN_AGE_S = 60.0
# syncfs(2); it tells of failed writes since Linux 5.8.
_SYNCFS = (
    getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
)
_MANY_FILES, _SLOW_SYNC_S, _SYNC_EACH_S = 16, 0.25, 60.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Folder:
    """A folder tree whose files are written durably; safe to share by threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / TEMPORARY
        # Folders this process has made durable itself. Another process may have made a folder and
        # not synced its parent yet, so that finding it there proves nothing.
        self._durable: set[Path] = set()
        self._lock = threading.Lock()
        self._sync_each_until = 0.0
        self._ready(self._temporary)

    def write(self, name: PurePosixPath, *chunks: bytes | memoryview) -> Path:
        """Write ``chunks`` to ``name`` below the root, replacing what is there; return its path.

        A failure leaves nothing under ``name`` and no temporary file.
        """
        target = self.place(name, *chunks)
        fsync_folder(target.parent)
        return target

    def place(self, name: PurePosixPath, *chunks: bytes | memoryview) -> Path:
        """Do as `write` does, all but the last step: the caller syncs the folder of the path."""
        target = self.path(name)
        with self._new_file() as (descriptor, temporary):
            _write_all(descriptor, chunks)
            os.fsync(descriptor)
            reach("file.synced")
            self.rename(temporary, target)
        return target

    def place_unsynced(self, name: PurePosixPath, header: bytes, data_set: bytes) -> Path:
        """Write a file under its ``name``; nothing is synced.

        The name shows a whole file, which is on the disk once `sync_all` has returned.
        """
        target = self.path(name)
        with self._new_file() as (own, temporary):
            _write_all(own, [header, data_set])
            self.rename(temporary, target)
        return target

    def sync_all(self, paths: Sequence[Path]) -> None:
        """Bring ``paths``, files of this tree and their names, to the disk.

        For many files in one call for the whole file system, which costs a third of a sync of each;
        where others write much there, it costs more, and is left alone for a while.
        """
        if len(paths) >= _MANY_FILES and time.monotonic() >= self._sync_each_until:
            begun = time.monotonic()
            if _sync_file_system(self.root):
                ended = time.monotonic()
                if ended - begun > _SLOW_SYNC_S:
                    self._sync_each_until = ended + _SYNC_EACH_S
                return
        for path in paths:
            fsync_path(path)
        for folder in dict.fromkeys(path.parent for path in paths):
            fsync_folder(folder)

    def place_spool(self, name: PurePosixPath, spool: "Spool") -> Path:
        """Give a spooled file its ``name``; the caller syncs the folder of the path."""
        target = self.path(name)
        os.fsync(spool.descriptor)
        reach("file.synced")
        self.rename(spool.path, target)
        return target

    @contextmanager
    def spool(self, header: bytes) -> Iterator["Spool"]:
        """Begin a file with ``header``, to grow as its data set arrives.

        It is gone at the end unless `place_spool` has given it a name.
        """
        with self._new_file() as (descriptor, temporary):
            _write_all(descriptor, [header])
            spool = Spool(path=temporary, descriptor=descriptor, header=header)
            try:
                yield spool
            finally:
                spool.close()
                with suppress(FileNotFoundError):
                    temporary.unlink()

    def link(self, source: Path, name: PurePosixPath) -> Path:
        """Give a whole file a second ``name``; twice is once. The caller syncs the folder of it."""
        target = self.path(name)
        self._ready(target.parent)
        with suppress(FileExistsError):
            try:
                os.link(source, target)
            except PermissionError:  # a file system without links
                self.place(name, source.read_bytes())
        return target

    def write_text(self, name: PurePosixPath, text: str) -> Path:
        """Write ``text`` as UTF-8."""
        return self.write(name, text.encode())

    def write_json(self, name: PurePosixPath, value: Any) -> Path:
        """Write ``value`` as JSON that is the same for equal values."""
        return self.write_text(name, json.dumps(value, indent=1, sort_keys=True) + "\n")

    def path(self, name: PurePosixPath) -> Path:
        """The path of ``name`` below the root; raise `Defect` when it would leave the root."""
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise Defect(f"{str(name)!r} is not a name inside the archive.")
        return self.root / name

    def free_bytes(self) -> int:
        """What an unprivileged process may still write."""
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def remove_orphans(self, *, older_than_s: float = ORPHAN_AGE_S) -> int:
        """Remove temporary files whose writer is gone; return how many there were.

        Safe while others write: a writer holds a lock on its file.
        """
        limit = time.time() - older_than_s
        removed = sum(_remove_orphan(path, limit) for path in self._temporary.glob("*.part"))
        if removed:
            log.info("orphans_removed", files=removed)
        return removed

    @contextmanager
    def _new_file(self) -> Iterator[tuple[int, Path]]:
        temporary = self._temporary / f"{os.getpid()}-{secrets.token_hex(8)}.part"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        with ExitStack() as failed:
            failed.callback(temporary.unlink, missing_ok=True)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor, temporary
                failed.pop_all()
            finally:
                os.close(descriptor)

    def rename(self, temporary: Path, target: Path) -> None:
        """Rename, making the folder of ``target``; the caller syncs that folder."""
        self._ready(target.parent)
        try:
            temporary.rename(target)
        except FileNotFoundError:  # the folder was emptied and removed since
            with self._lock:
                self._durable.discard(target.parent)
            self._ready(target.parent)
            temporary.rename(target)

    def _ready(self, folder: Path) -> None:
        """Make ``folder`` and its parents up to the root, each entry synced once a process."""
        if folder in self._durable:
            return
        if folder != self.root:
            self._ready(folder.parent)
            folder.mkdir(exist_ok=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        fsync_folder(folder.parent)
        with self._lock:
            self._durable.add(folder)


@dataclass(slots=True, kw_only=True)
class Spool:
    """A Part 10 file whose data set is too long for memory."""

    path: Path
    """Of the temporary file."""
    descriptor: int
    header: bytes
    """Preamble, prefix and File Meta Information; the data set follows them."""
    size: int = 0
    """Bytes of the data set so far."""
    _digest: Any = field(default_factory=hashlib.sha256)
    _mapped: mmap.mmap | None = None

    def append(self, chunk: memoryview) -> None:
        """Write what has arrived."""
        _write_all(self.descriptor, [chunk])
        self._digest.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Of the data set."""
        digest: str = self._digest.hexdigest()
        return digest

    def mapped(self) -> mmap.mmap:
        """The whole file, not read into memory."""
        if self._mapped is None:
            self._mapped = mmap.mmap(self.descriptor, 0, prot=mmap.PROT_READ)
        return self._mapped

    def beginning(self, count: int) -> bytes:
        """The first ``count`` bytes of the data set, or as many as have arrived."""
        return os.pread(self.descriptor, min(count, self.size), len(self.header))

    def close(self) -> None:
        """Let go of the mapping."""
        if self._mapped is not None:
            with suppress(BufferError):  # an error on its way still shows a part; it goes with it
                self._mapped.close()


def fsync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on the disk."""
    fsync_path(folder, os.O_DIRECTORY)


def _sync_file_system(folder: Path) -> bool:
    """Put all that is written to the file system of ``folder`` on the disk; False if not told."""
    if _SYNCFS is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return bool(_SYNCFS(descriptor) == 0)
    finally:
        os.close(descriptor)


def fsync_path(path: Path, flags: int = 0) -> None:
    """Put a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def instance_name(
    series_instance_uid: str, sop_instance_uid: str, sha256: str, *, folder: str = INSTANCES
) -> PurePosixPath:
    """Where an instance lies: its checked UIDs and a digest of its data set, nothing else.

    The digest keeps two objects of one SOP Instance UID apart even when they arrive at once.
    Raises `Defect` for anything that is no UID or digest; the caller has checked what arrived.
    """
    return PurePosixPath(
        instance_path(series_instance_uid, sop_instance_uid, sha256, folder=folder)
    )


def instance_path(
    series_instance_uid: str, sop_instance_uid: str, sha256: str, *, folder: str = INSTANCES
) -> str:
    """The same as text."""
    if not (is_uid(series_instance_uid) and is_uid(sop_instance_uid) and _DIGEST.fullmatch(sha256)):
        raise Defect("A file name is made of checked UIDs and a digest only.")
    return f"{folder}/{series_instance_uid}/{sop_instance_uid}.{sha256[:16]}.dcm"


def part10_header(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae: str
) -> bytes:
    """Preamble, prefix and File Meta Information (PS3.10 7.1), to go before a raw data set."""
    version = (0x0001, b"OB", b"\x00\x01")
    elements = [
        version,
        (0x0002, b"UI", _even(sop_class_uid, b"\0")),
        (0x0003, b"UI", _even(sop_instance_uid, b"\0")),
        (0x0010, b"UI", _even(transfer_syntax_uid, b"\0")),
        (0x0012, b"UI", _even(IMPLEMENTATION_CLASS_UID, b"\0")),
        (0x0013, b"SH", _even(IMPLEMENTATION_VERSION, b" ")),
    ]
    if source_ae:
        elements.append((0x0016, b"AE", _even(source_ae, b" ")))
    body = b"".join(_meta_element(*element) for element in elements)
    return b"\0" * 128 + b"DICM" + _meta_element(0x0000, b"UL", struct.pack("<I", len(body))) + body


def _meta_element(element: int, vr: bytes, value: bytes) -> bytes:
    # PS3.10 7.1: the meta information is always Explicit VR Little Endian.
    if vr == b"OB":
        return struct.pack("<HH2sHI", 2, element, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _even(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw


def _write_all(descriptor: int, chunks: Sequence[bytes | memoryview]) -> None:
    total = sum(len(chunk) for chunk in chunks)
    written = os.writev(descriptor, chunks)
    if written == total:
        return
    rest = memoryview(b"".join(chunks))[written:]  # a short write, rare: a signal, a full quota
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _remove_orphan(path: Path, older_than: float) -> bool:
    try:
        # To write: NFS 4 gives an exclusive lock to nobody else (flock(2)).
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(descriptor).st_mtime > older_than:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
