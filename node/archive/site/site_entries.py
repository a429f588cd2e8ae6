"""Peers and routes added at run time, and who changed them when."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import moment
from node.archive.schema import tables as t
from node.archive.schema.records import SiteEntry
from node.domain.errors import Misconfigured

KINDS = ("peer", "route")
_LOCK_KEY = 0x70637465  # "pcte": names our advisory lock among others of the same server


class SiteEntries:
    """The part of the site that lives in the database."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def all(self) -> list[SiteEntry]:
        """Every entry, in the order they were added."""
        with t.reading(self.engine).begin() as connection:
            return _all(connection)

    def mapping(self) -> dict[str, list[dict[str, Any]]]:
        """All entries as `node.domain.site.read_site` reads them."""
        return _mapping(self.all())

    def newest_change(self) -> int:
        """Number of the last change; 0 when there was none."""
        query = sa.select(sa.func.max(t.site_changes.c.id))
        with t.reading(self.engine).begin() as connection:
            return int(connection.execute(query).scalar() or 0)

    @contextmanager
    def changing(self) -> Iterator["Change"]:
        """One change at a time, over all processes; kept when the block ends without an error."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's writers are alone anyhow
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
            yield Change(connection)


class Change:
    """What one transaction reads and writes."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def mapping(self) -> dict[str, list[dict[str, Any]]]:
        """All entries as `node.domain.site.read_site` reads them."""
        return _mapping(_all(self._connection))

    def of(self, kind: str, name: str) -> dict[str, Any]:
        """The keys of one entry; `Misconfigured` when there is none."""
        query = sa.select(t.site_entries.c.mapping).where(_here(kind, name))
        row = self._connection.execute(query).first()
        if row is None:
            raise Misconfigured(
                f"There is no {kind} {name!r}.", remedy=f"See pctnode {kind}s list."
            )
        return dict(row.mapping)

    def add(self, kind: str, name: str, mapping: Mapping[str, Any], *, who: str) -> None:
        """Add an entry that was checked."""
        self._insert(kind, name, mapping, who)
        self._note("add", kind, name, mapping, who)

    def put(self, kind: str, name: str, mapping: Mapping[str, Any], *, who: str) -> None:
        """Add an entry that was checked, or change the one of its name; it keeps its place."""
        values = {"mapping": dict(mapping), "who": who}
        changed = self._connection.execute(
            sa.update(t.site_entries).where(_here(kind, name)).values(values)
        ).rowcount
        if not changed:
            self._insert(kind, name, mapping, who)
        self._note("change" if changed else "add", kind, name, mapping, who)

    def remove(self, kind: str, name: str, *, who: str) -> None:
        """Remove an entry that is there."""
        mapping = self.of(kind, name)
        self._connection.execute(sa.delete(t.site_entries).where(_here(kind, name)))
        self._note("remove", kind, name, mapping, who)

    def _insert(self, kind: str, name: str, mapping: Mapping[str, Any], who: str) -> None:
        values = {"kind": kind, "name": name, "mapping": dict(mapping), "who": who}
        # Entries are read in the order of their times, and the order of routes decides; SQLite's
        # clock counts milliseconds, so each comes at least a microsecond after the last.
        newest = sa.select(sa.func.max(t.site_entries.c.at))
        after = float(self._connection.execute(newest).scalar() or 0.0) + 1e-6
        at = sa.case((t.db_clock() > after, t.db_clock()), else_=after)
        self._connection.execute(sa.insert(t.site_entries).values(**values, at=at))

    def _note(
        self, action: str, kind: str, name: str, mapping: Mapping[str, Any], who: str
    ) -> None:
        values = {"who": who, "action": action, "kind": kind, "name": name}
        self._connection.execute(
            sa.insert(t.site_changes).values(**values, mapping=dict(mapping), at=t.db_clock())
        )


def _here(kind: str, name: str) -> sa.ColumnElement[bool]:
    return (t.site_entries.c.kind == kind) & (t.site_entries.c.name == name)


def _all(connection: sa.Connection) -> list[SiteEntry]:
    e = t.site_entries
    query = sa.select(e).order_by(e.c.at, e.c.name)
    return [
        SiteEntry(
            kind=row["kind"],
            name=row["name"],
            mapping=row["mapping"],
            who=row["who"],
            at=moment(row["at"]),
        )
        for row in connection.execute(query).mappings()
    ]


def _mapping(entries: list[SiteEntry]) -> dict[str, list[dict[str, Any]]]:
    return {f"{k}s": [dict(e.mapping) for e in entries if e.kind == k] for k in KINDS}
