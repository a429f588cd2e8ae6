"""Removing what was delivered long enough ago, and nothing else.

Rows first, files after: the transaction that forgets a series' instances and objects writes down
which files were theirs. A crash leaves that list, and the next look goes on with it. The series,
its runs, deliveries and timeline stay: sent again it begins a new revision, with UIDs of its own.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import sqlalchemy as sa

from node.archive.evidence import ledger
from node.archive.files import TEMPORARY, Folder, fsync_folder
from node.archive.rows.removals import listed_file
from node.archive.rows.series_rows import add_event, lock_series
from node.archive.rows.tombstones import raise_tombstones
from node.archive.schema import tables as t
from node.archive.work.deliveries import is_open
from node.crashpoints import reach
from node.domain.states import DeliveryState, State

_CONFIRMED = (DeliveryState.SENT.value, DeliveryState.CONFIRMED.value)
_FILES_A_LOOK = 2000


class Retention:
    """Database and folder as housekeeping sees them; several workers may do it at once."""

    def __init__(self, engine: sa.Engine, folder: Folder) -> None:
        self.engine = engine
        self._folder = folder

    def removable(self, *, older_than_s: float, limit: int) -> Sequence[int]:
        """Series that every destination has, the longest delivered first."""
        s = t.series.c
        query = (
            sa.select(s.id)
            .where(s.state == State.DELIVERED.value, s.instances > 0)
            .where(s.state_at <= t.db_clock() - older_than_s)
            .where(_delivered_somewhere(), ~_delivered_not_everywhere(), ~_anything_open())
            .order_by(s.state_at, s.id)
            .limit(limit)
        )
        with t.reading(self.engine).begin() as connection:
            return connection.execute(query).scalars().all()

    def remove(self, series_id: int, why: str) -> int:
        """Forget the files of a series that is still removable; return their bytes."""
        with self.engine.begin() as connection:
            row = lock_series(connection, series_id)
            still = sa.select(t.series.c.id).where(
                t.series.c.id == series_id,
                t.series.c.state == State.DELIVERED.value,
                t.series.c.instances > 0,
                _delivered_somewhere(),
                ~_delivered_not_everywhere(),
                ~_anything_open(),
            )
            if connection.execute(still).first() is None:
                return 0
            raise_tombstones(connection, series_id)
            size = self._list_files(connection, row)
            _forget(connection, row)
            change = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(change.values(instances=0, sentence=why))
            add_event(connection, series_id, "removed", why)
            reach("retention.forgetting")
        reach("retention.forgotten")
        return size

    def remove_files(self, *, limit: int = _FILES_A_LOOK) -> int:
        """Remove files of forgotten series; return how many were on the list."""
        r = t.removals
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(sa.select(r).order_by(r.c.id).limit(limit)).mappings().all()
        for row in rows:
            self._remove_file(row)
            reach("retention.removed")
        if rows:
            done = [row["id"] for row in rows]
            with self.engine.begin() as connection:
                connection.execute(sa.delete(r).where(r.c.id.in_(done)))
        return len(rows)

    def stored_bytes(self) -> int:
        """Size of every file the database knows."""
        with t.reading(self.engine).begin() as connection:
            sums = (
                connection.execute(sa.select(sa.func.sum(table.c.size))).scalar_one()
                for table in (t.instances, t.outputs, t.conflicts)
            )
            return sum(int(size or 0) for size in sums)

    def _list_files(self, connection: sa.Connection, row: sa.RowMapping) -> int:
        runs = sa.select(t.runs.c.id).where(t.runs.c.series_id == row["id"])
        wanted = (
            (t.instances, t.instances.c.series_id == row["id"]),
            (t.outputs, t.outputs.c.run_id.in_(runs)),
            (t.conflicts, _aside_of(row)),
        )
        size = 0
        for table, which in wanted:
            found = connection.execute(sa.select(table.c.path, table.c.size).where(which)).all()
            size += sum(file.size for file in found)
            for path in {file.path for file in found}:
                connection.execute(sa.insert(t.removals).values(listed_file(self._folder, path)))
        return size

    def _remove_file(self, row: sa.RowMapping) -> None:
        """Remove exactly the file that was listed; a newer one of its name is put back.

        It is moved aside first, because only then can nobody replace it between look and removal;
        the name it is moved to comes from the list, so that a restart finds it.
        """
        path = self._folder.path(PurePosixPath(row["path"]))
        aside = self._folder.root / TEMPORARY / f"{row['id']}.removed"
        with suppress(FileNotFoundError):
            path.rename(aside)
        with suppress(FileNotFoundError):
            state = aside.stat()
            if (str(state.st_ino), state.st_mtime_ns) != (row["inode"], row["mtime_ns"]):
                _put_back(aside, path)
            aside.unlink()
        with suppress(OSError):  # not empty, or gone already
            path.parent.rmdir()


def _put_back(aside: Path, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        os.link(aside, path)
    fsync_folder(path.parent)


def _forget(connection: sa.Connection, row: sa.RowMapping) -> None:
    runs = sa.select(t.runs.c.id).where(t.runs.c.series_id == row["id"])
    deliveries = sa.select(t.deliveries.c.id).where(t.deliveries.c.run_id.in_(runs))
    for table, which in (
        (t.delivery_instances, t.delivery_instances.c.delivery_id.in_(deliveries)),
        (t.catalogue, t.catalogue.c.run_id.in_(runs)),
        (t.catalogue, t.catalogue.c.series_id == row["id"]),
        (t.outputs, t.outputs.c.run_id.in_(runs)),
        (t.conflicts, _aside_of(row)),
        (t.instances, t.instances.c.series_id == row["id"]),
    ):
        connection.execute(sa.delete(table).where(which))
    ledger.forget(connection, row["series_instance_uid"])


def _aside_of(row: sa.RowMapping) -> sa.ColumnElement[bool]:
    """What lies aside for a series, and what its images have replaced, of whatever series."""
    c, i = t.conflicts.c, t.instances.c
    images = sa.select(i.sop_instance_uid).where(i.series_id == row["id"])
    own = c.series_instance_uid == row["series_instance_uid"]
    return sa.or_(own, c.replaced.is_(True) & c.sop_instance_uid.in_(images))


def _of_current_run() -> sa.Select[tuple[int]]:
    r, s, d = t.runs.c, t.series.c, t.deliveries.c
    current = (r.series_id == s.id) & (r.revision == s.revision) & (r.attempt == s.attempt)
    return sa.select(d.id).join(t.runs, r.id == d.run_id).where(current).correlate(t.series)


def _delivered_somewhere() -> sa.ColumnElement[bool]:
    return _of_current_run().where(t.deliveries.c.state.in_(_CONFIRMED)).exists()


def _delivered_not_everywhere() -> sa.ColumnElement[bool]:
    return _of_current_run().where(t.deliveries.c.state.not_in(_CONFIRMED)).exists()


def _anything_open() -> sa.ColumnElement[bool]:
    """Whether any run still has something to send: an older one its withdrawal, above all."""
    r, s, d = t.runs.c, t.series.c, t.deliveries.c
    query = sa.select(d.id).join(t.runs, r.id == d.run_id).where(r.series_id == s.id, is_open())
    return query.correlate(t.series).exists()
