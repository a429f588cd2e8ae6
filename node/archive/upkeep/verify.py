"""Whether folder and database say the same: every file against its row, and files without one."""

import hashlib
import struct
import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from node.archive.files import CONFLICTS, INSTANCES, Folder
from node.archive.ingest.journal import JOURNAL
from node.archive.schema import tables as t

OUTPUTS = "outputs"
# A younger file may be one whose row is being written.
ORPHAN_AGE_S = 3600.0
_ROWS_AT_A_TIME = 1000
# Preamble, prefix, then the group length element (0002,0000) UL (PS3.10 7.1).
_META_LENGTH_END = 128 + 4 + 12


@dataclass(slots=True, kw_only=True)
class Audit:
    """What was found; paths are relative to the data folder."""

    files: int = 0
    """Rows whose file was looked at."""
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """Files whose size or digest is not the row's."""
    orphans: list[str] = field(default_factory=list)
    """Files that no row knows."""

    @property
    def ok(self) -> bool:
        """Whether every row has its file, as it was written."""
        return not (self.missing or self.damaged)


def verify_files(
    engine: sa.Engine,
    folder: Folder,
    *,
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> Audit:
    """Read every file a row knows and compare size and digest; then look for orphans."""
    audit = Audit()
    total = _count(engine)
    # Instances are hashed as they came, without the header the node put before them.
    for table, digest in ((t.instances, _of_data_set), (t.conflicts, _of_data_set)):
        _verify(engine, folder, table, digest, audit, lambda done: report(done, total))
    _verify(engine, folder, t.outputs, _of_file, audit, lambda done: report(done, total))
    audit.orphans.extend(orphans(engine, folder))
    return audit


def orphans(
    engine: sa.Engine, folder: Folder, *, older_than_s: float = ORPHAN_AGE_S
) -> Iterator[str]:
    """Files of the archive that no row knows, one folder after the other."""
    limit = time.time() - older_than_s
    # What a correction has replaced lies aside where it lay; what it has brought, where images lie.
    for name, known in ((INSTANCES, _held), (CONFLICTS, _held), (OUTPUTS, _made)):
        for series in _subfolders(folder.root / name):
            # Listed before the rows are read: a file that appears in between is not looked at.
            found = [p for p in series.iterdir() if p.stat().st_mtime < limit]
            rows = known(engine, series.name) if found else frozenset()
            for path in sorted(found):
                relative = str(path.relative_to(folder.root))
                if relative not in rows:
                    yield relative


def _count(engine: sa.Engine) -> int:
    with t.reading(engine).begin() as connection:
        counts = (
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (t.instances, t.conflicts, t.outputs)
        )
        return sum(counts)


def _verify(
    engine: sa.Engine,
    folder: Folder,
    table: sa.Table,
    digest: Callable[[bytes], str],
    audit: Audit,
    report: Callable[[int], None],
) -> None:
    key = table.c.path
    last = ""
    while True:
        query = (
            sa.select(key, table.c.size, table.c.sha256)
            # A record that a journal has lost has no file of its own.
            .where(key > last, table.c.sha256 != "", ~key.startswith(f"{JOURNAL}/"))
            .order_by(key)
            .limit(_ROWS_AT_A_TIME)
        )
        with t.reading(engine).begin() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            _compare(folder.path(PurePosixPath(row.path)), row, digest, audit)
            audit.files += 1
            report(audit.files)
        if len(rows) < _ROWS_AT_A_TIME:
            return
        last = rows[-1].path


def _compare(path: Path, row: Any, digest: Callable[[bytes], str], audit: Audit) -> None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if not row.path.startswith(f"{CONFLICTS}/"):  # those are for a person, who may remove them
            audit.missing.append(row.path)
        return
    except OSError:  # an unreadable sector is damage
        data = b""
    if len(data) != row.size or digest(data) != row.sha256:
        audit.damaged.append(row.path)


def _of_file(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _of_data_set(data: bytes) -> str:
    if len(data) < _META_LENGTH_END:
        return ""
    (length,) = struct.unpack_from("<I", data, _META_LENGTH_END - 4)
    return hashlib.sha256(memoryview(data)[_META_LENGTH_END + length :]).hexdigest()


def _subfolders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(p for p in folder.iterdir() if p.is_dir())


def _held(engine: sa.Engine, series_instance_uid: str) -> Set[str]:
    return _received(engine, series_instance_uid) | _aside(engine, series_instance_uid)


def _received(engine: sa.Engine, series_instance_uid: str) -> Set[str]:
    i, s = t.instances.c, t.series.c
    query = (
        sa.select(i.path)
        .join(t.series, s.id == i.series_id)
        .where(s.series_instance_uid == series_instance_uid)
    )
    return _paths(engine, query)


def _aside(engine: sa.Engine, series_instance_uid: str) -> Set[str]:
    c = t.conflicts.c
    query = sa.select(c.path).where(c.series_instance_uid == series_instance_uid)
    return _paths(engine, query)


def _made(engine: sa.Engine, series_instance_uid: str) -> Set[str]:
    o = t.outputs.c
    query = sa.select(o.path).where(o.series_instance_uid == series_instance_uid)
    return _paths(engine, query)


def _paths(engine: sa.Engine, query: sa.Select[tuple[str]]) -> Set[str]:
    removed = sa.select(t.removals.c.path)
    with t.reading(engine).begin() as connection:
        listed = connection.execute(removed).scalars().all()
        return {*connection.execute(query).scalars(), *listed}
