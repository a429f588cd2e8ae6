"""The last contact with each peer: our last C-ECHO to it, and its last call."""

from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import moment
from node.archive.schema import tables as t


class Echoes:
    """The last echo to each peer; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def remember(self, peer: str, *, ok: bool, sentence: str, who: str = "") -> None:
        """Keep what came of an echo, instead of the one before."""
        e = t.peer_echoes
        with self.engine.begin() as connection:
            connection.execute(sa.delete(e).where(e.c.peer == peer))
            values = {"peer": peer, "ok": ok, "sentence": sentence, "who": who, "at": t.db_clock()}
            connection.execute(sa.insert(e).values(values))

    def all(self) -> dict[str, dict[str, Any]]:
        """By the peer's name."""
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(sa.select(t.peer_echoes)).mappings().all()
        return {row["peer"]: dict(row) | {"at": moment(row["at"])} for row in rows}

    def contacts(self) -> dict[str, str]:
        """When each peer last opened an association that was let in, ISO 8601."""
        a = t.associations.c
        query = sa.select(a.peer, sa.func.max(a.opened_at)).where(a.accepted.is_(True))
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query.where(a.peer.is_not(None)).group_by(a.peer)).all()
        return {peer: moment(at).isoformat() for peer, at in rows}
