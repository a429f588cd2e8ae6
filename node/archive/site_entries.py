"""Peers and routes added at run time, and who changed them when."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from node.archive import tables as t
from node.archive.index import insert_missing, moment
from node.archive.records import SiteEntry
from node.domain.errors import Misconfigured

KINDS = ("peer", "route")


class SiteEntries:
    """The part of the site that lives in the database."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def all(self) -> list[SiteEntry]:
        """Every entry, in the order they were added."""
        e = t.site_entries
        query = sa.select(e).order_by(e.c.at, e.c.name)
        with t.reading(self.engine).begin() as connection:
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

    def mapping(self) -> dict[str, list[dict[str, Any]]]:
        """All entries as `node.domain.site.read_site` reads them."""
        entries = self.all()
        return {f"{k}s": [dict(e.mapping) for e in entries if e.kind == k] for k in KINDS}

    def add(self, kind: str, name: str, mapping: Mapping[str, Any], *, who: str) -> None:
        """Add a peer or route that was checked; `Misconfigured` when the name is taken."""
        values = {
            "kind": kind,
            "name": name,
            "mapping": dict(mapping),
            "who": who,
            "at": t.db_clock(),
        }
        with self.engine.begin() as connection:
            if not insert_missing(connection, t.site_entries, values).rowcount:
                raise Misconfigured(
                    f"There is a {kind} {name!r} already.", remedy="Remove it first."
                )
            _note(connection, "add", kind, name, mapping, who)

    def remove(self, kind: str, name: str, *, who: str) -> None:
        """Remove a peer or route that was added at run time."""
        e = t.site_entries
        here = (e.c.kind == kind) & (e.c.name == name)
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(e.c.mapping).where(here)).first()
            if row is None:
                raise Misconfigured(
                    f"No {kind} {name!r} was added at run time.",
                    remedy="One that stands in the settings file is removed there.",
                )
            connection.execute(sa.delete(e).where(here))
            _note(connection, "remove", kind, name, row.mapping, who)


def _note(
    connection: sa.Connection,
    action: str,
    kind: str,
    name: str,
    mapping: Mapping[str, Any],
    who: str,
) -> None:
    connection.execute(
        sa.insert(t.site_changes).values(
            at=t.db_clock(), who=who, action=action, kind=kind, name=name, mapping=dict(mapping)
        )
    )
