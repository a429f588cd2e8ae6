"""Reads the archive through, slowly, and compares each file with its digest: rot is found early.

Each file is read once in so many days, never faster than so many bytes a second. What was read is
remembered, so that a restart goes on and a storage commitment need not read it again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.evidence.damage import Guard, Held, held
from node.archive.files import Folder
from node.archive.schema import tables as t
from node.log import get_logger

log = get_logger(__name__)

_PAGE = 100
_FIRST_LOOK_S, _ROUND_S = 10.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubRules:
    """How often each file is read, and how fast."""

    days: float = 30.0
    """0: never."""
    bytes_per_s: float = 4e6


class Scrub:
    """Goes through all instances and outputs, one after the other."""

    def __init__(
        self,
        engine: sa.Engine,
        folder: Folder,
        rules: ScrubRules,
        *,
        wait: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wait`` pauses for seconds and says whether to end."""
        self._engine = engine
        self._guard = Guard(engine, folder)
        self._rules = rules
        self._wait = wait
        self._clock = clock

    def run(self) -> None:
        """Read what is due, round after round, until ``wait`` says that it is the end."""
        pause = _FIRST_LOOK_S
        while self._rules.days and not self._wait(pause):
            try:
                self.once()
                pause = _ROUND_S
            except (sa.exc.DBAPIError, OSError) as error:  # a worker's edge: the next round goes on
                log.warning("scrub_interrupted", reason=type(error).__name__)
                pause = _FIRST_LOOK_S

    def once(self) -> int:
        """Read every file that is due; return how many are not what was stored."""
        found = self._look_again()
        for page in self._due():
            good: list[Held] = []
            for file in page:
                begun = self._clock()
                if self._guard.is_intact(file):
                    good.append(file)
                else:
                    found += 1
                due = file.digest.size / self._rules.bytes_per_s
                if self._wait(max(0.0, due - (self._clock() - begun))):
                    self._guard.remember(good)
                    return found
            self._guard.remember(good)
        return found

    def _look_again(self) -> int:
        """Look at what is known to be damaged: it may have been restored."""
        c, found = t.file_checks, 0
        for table in (t.instances, t.outputs):
            own = sa.select(table).join(c, c.c.sop_instance_uid == table.c.sop_instance_uid)
            for file in self._held(table, own.where(c.c.damaged_at.is_not(None))):
                if self._guard.is_intact(file):
                    self._guard.healed(file.digest.sop_instance_uid)
                else:
                    found += 1
        return found

    def _due(self) -> Iterator[list[Held]]:
        """Pages of files that were not read for long, in the order of their UIDs."""
        c = t.file_checks.c
        lately = t.db_clock() - self._rules.days * 86_400.0
        due = c.verified_at.is_(None) | (c.verified_at < lately)
        for table in (t.instances, t.outputs):
            uid, last = table.c.sop_instance_uid, ""
            while True:
                query = (
                    sa.select(*table.c, due.label("due"), c.damaged_at)
                    .outerjoin(t.file_checks, c.sop_instance_uid == uid)
                    .where(uid > last)
                    .order_by(uid)
                    .limit(_PAGE)
                )
                with t.reading(self._engine).begin() as connection:
                    rows = connection.execute(query).mappings().all()
                left = [r for r in rows if r["due"] and r["damaged_at"] is None]
                if left:
                    yield [held(row, of_file=table is t.outputs) for row in left]
                if len(rows) < _PAGE:
                    break
                last = rows[-1]["sop_instance_uid"]

    def _held(self, table: sa.Table, query: sa.Select[tuple[object, ...]]) -> list[Held]:
        with t.reading(self._engine).begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [held(row, of_file=table is t.outputs) for row in rows]
