"""What tests look at in a node from outside: its database, its folder, what it says."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from tests.peers.waiting import wait_until


class Watched:
    """A node, or several that share their work."""

    @property
    def data(self) -> Path:
        """The data folder."""
        raise NotImplementedError

    @property
    def log(self) -> Path:
        """What the processes say."""
        raise NotImplementedError

    def engine(self) -> sa.Engine:
        """Open its database."""
        raise NotImplementedError

    def queries(self) -> Queries:
        """What its database says."""
        return Queries(self.engine())

    def series(self) -> list[dict[str, Any]]:
        """The series it knows; none before its tables are there, or while they do not answer."""
        engine = self.engine()
        try:
            return Queries(engine).series_items(limit=100_000)
        except (sa.exc.OperationalError, sa.exc.ProgrammingError):
            return []
        finally:
            engine.dispose()

    def wait_state(self, *states: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until its only series is in one of ``states``; return the item."""
        return self.wait_states(1, *states, timeout_s=timeout_s)[0]

    def wait_states(
        self, count: int, *states: str, timeout_s: float = 60.0
    ) -> list[dict[str, Any]]:
        """Wait until ``count`` series, all it knows, are in one of ``states``."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = self.series()
            return len(found) == count and all(i["state"] in states for i in found)

        try:
            wait_until(look, f"state {states}", timeout_s=timeout_s, every_s=0.1)
        except AssertionError:
            items = [(i["id"], i["state"], i["revision"], i["sentence"]) for i in found]
            raise AssertionError(f"{items}\n{self.said()}") from None
        return found

    def said(self) -> str:
        """The end of what its processes said, for a failing test."""
        return self.log.read_text(errors="replace")[-6000:]

    def instance_rows(self) -> list[tuple[str, str]]:
        """(SOP Instance UID, path) of everything it has acknowledged."""
        engine = self.engine()
        with t.reading(engine).begin() as connection:
            i = t.instances.c
            rows = connection.execute(sa.select(i.sop_instance_uid, i.path)).all()
        engine.dispose()
        return [(row.sop_instance_uid, row.path) for row in rows]
