"""Keeping the disk in order: retention, leftovers of crashes, ended workflows, orphans reported.

Small bites, one a look, so that none delays an association or a step.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.rows.index import Index
from node.archive.upkeep.adopt_files import Adopter
from node.archive.upkeep.retention import Retention
from node.archive.upkeep.verify import orphans
from node.archive.work.runs import Runs
from node.flow import engine
from node.flow.workfiles import WORK
from node.log import get_logger

log = get_logger(__name__)

LOOK_S = 60.0
DAY_S = 86_400.0
_SERIES_A_LOOK = 20
_WORKFLOWS_A_LOOK = 500
# Time for one bite of the search for orphans.
_BITE_S = 0.2
# Deleting begins before receiving has to stop.
_EARLY = 1.1
_WORK_NAME = re.compile(r"(.+)-[0-9a-f]{16}\.npz")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    """What may be removed, of what every destination has confirmed."""

    days: int = 0
    """Age from which it is removed; 0: never for its age."""
    max_bytes: int = 0
    """What the archive may hold; 0: no limit."""
    min_free_bytes: int = 0
    """What must stay free on the disk."""


class Housekeeper:
    """One for each worker."""

    def __init__(
        self,
        database: sa.Engine,
        folder: Folder,
        rules: KeepRules,
        *,
        now: Callable[[], float] = time.time,
        peer_of: Callable[[str], str | None] = lambda _ae_title: None,
    ) -> None:
        """``peer_of`` names the peer of a calling AE title, for files that are taken up again."""
        self._database = database
        self._folder = folder
        self._rules = rules
        self._now = now
        self._retention = Retention(database, folder)
        self._adopter = Adopter(folder, Index(database), peer_of=peer_of)
        self._search: Iterator[str] | None = None
        self._found = 0
        self._search_at = 0.0

    def look(self) -> None:
        """One bite of everything."""
        self._retention.remove_files()
        self._remove_old()
        self._make_room()
        self._remove_work()
        self._look_for_orphans()
        engine.forget_ended(before_s=self._now() - DAY_S, limit=_WORKFLOWS_A_LOOK)

    def _remove_old(self) -> None:
        days = self._rules.days
        if days:
            why = f"Delivered, and removed here after {days} days, as the site has set."
            self._remove(days * DAY_S, why, until=lambda _freed: False)

    def _make_room(self) -> None:
        short = self._short_of()
        if short > 0:
            why = "Delivered, and removed here to make room."
            freed = self._remove(0.0, why, until=lambda freed: freed >= short)
            log.warning("room_made", wanted_bytes=short, freed_bytes=freed)
            self._retention.remove_files()

    def _remove(self, older_than_s: float, why: str, *, until: Callable[[int], bool]) -> int:
        freed = 0
        for series in self._retention.removable(older_than_s=older_than_s, limit=_SERIES_A_LOOK):
            freed += self._retention.remove(series, why)
            log.info("series_removed", series=series)
            if until(freed):
                break
        return freed

    def _short_of(self) -> int:
        """Bytes to be freed for the limits to hold."""
        rules = self._rules
        short = int(rules.min_free_bytes * _EARLY) - self._folder.free_bytes()
        if rules.max_bytes:
            short = max(short, self._retention.stored_bytes() - rules.max_bytes)
        return max(short, 0)

    def _remove_work(self) -> None:
        """Work files whose run has ended: their worker was killed before it could."""
        folder = self._folder.root / WORK
        old = self._now() - DAY_S / 24
        files = [p for p in folder.glob("*.npz") if p.stat().st_mtime < old]
        if not files:
            return
        runs = Runs(self._database)
        open_runs = {r.workflow_id.removeprefix("series-") for r in runs.unfinished()}
        open_runs |= {r.workflow_id.removeprefix("series-") for r in runs.unqueued()}
        for path in files:
            name = _WORK_NAME.fullmatch(path.name)
            if name is None or name[1] not in open_runs:
                path.unlink(missing_ok=True)

    def _look_for_orphans(self) -> None:
        """Go on with the search for files without a row, once a day and after a start.

        They are taken up: a database that was restored may be older than what was acknowledged.
        """
        if self._search is None:
            if self._now() < self._search_at:
                return
            self._search, self._found = orphans(self._database, self._folder), 0
        until = time.monotonic() + _BITE_S
        for path in self._search:
            self._found += 1
            self._adopter.adopt(path)
            if time.monotonic() > until:
                return
        self._search, self._search_at = None, self._now() + DAY_S
        if self._found:
            log.warning("orphans_found", files=self._found, remedy="Run pctnode check --deep.")
