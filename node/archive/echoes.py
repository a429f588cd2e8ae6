"""What came of the last C-ECHO to each peer."""

from typing import Any

import sqlalchemy as sa

from node.archive import tables as t
from node.archive.index import moment


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
