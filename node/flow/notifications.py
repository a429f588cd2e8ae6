"""Tells people by e-mail or webhook that a series needs them, or that the machine does (Apprise).

A message names the series by its number and links to its page: no patient's name, identifier or
description leaves the node by this way.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing
from node.archive.schema import tables as t
from node.log import get_logger

log = get_logger(__name__)

LOOK_S = 10.0
# A message whose sending failed, or whose sender was killed, is tried again after this; longer than
# any server is waited for.
_TRY_AGAIN_S = 60.0
_AT_ONCE = 0.0
_DAY_S = 86400.0
# What happened before this is not told: a node that was off for a week does not send a week's mail.
_FRESH_S = _DAY_S
_CERTIFICATE_DAYS = (1, 7, 30)
WORDS = {
    "failed": "has failed and needs a person",
    "refused": "was refused by a check",
    "review": "waits for review",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A certificate and when it ends."""

    name: str
    ends_at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """Whom to tell, and what."""

    urls: Sequence[str] = ()
    """Apprise addresses; nobody is told where there are none."""
    events: Sequence[str] = ()
    """Of failed, refused, review, certificate, disk."""
    page: str = ""
    """Address of the page, for links."""
    node: str = ""
    """AE title of the node."""
    min_free_bytes: int = 0
    certificates: Callable[[], Iterable[Expiry]] = field(default=lambda: ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    key: str
    """The same matter is told once."""
    title: str
    body: str


class Notifier:
    """Looks for what is to be told, writes it down, and sends what is written down.

    To look and to write is quick; to send waits for servers of others, and is done in a thread of
    its own. What is written down and not sent is sent by whichever worker comes next, so that a
    kill in between loses nothing; it may come twice.
    """

    def __init__(self, engine: sa.Engine, data: Path, notices: Notices) -> None:
        self._engine = engine
        self._data = data
        self._notices = notices

    def look(self) -> int:
        """Write down what is new; return how many matters. Waits for no server."""
        if not self._notices.urls:
            return 0
        matters = [*self._series(), *self._disk(), *self._certificates()]
        return sum(self._write_down(matter) for matter in matters)

    def send(self) -> int:
        """Send what is written down; return how many messages went out. Waits for servers."""
        sent = 0
        while self._notices.urls and (due := self._claim()) is not None:
            sent += self._sent(*due)
        return sent

    def _write_down(self, told: _Told) -> bool:
        values = {"key": told.key, "at": _AT_ONCE, "sent": False}
        values["sentence"] = f"{told.title}\n{told.body}"
        with t.reading(self._engine).begin() as connection:
            known = sa.select(t.notices.c.key).where(t.notices.c.key == told.key)
            if connection.execute(known).first():
                return False
        with self._engine.begin() as connection:
            return bool(insert_missing(connection, t.notices, values).rowcount)

    def _claim(self) -> tuple[str, str, str] | None:
        """One message that is due, for this process alone while it tries; None when none is."""
        n = t.notices.c
        due = sa.not_(n.sent) & (n.at < t.db_clock() - _TRY_AGAIN_S)
        query = sa.select(n.key, n.sentence, n.at).where(due).order_by(n.at, n.key).limit(1)
        with t.reading(self._engine).begin() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        mine = sa.update(t.notices).where(n.key == row.key, n.at == row.at)
        with self._engine.begin() as connection:
            claimed = connection.execute(mine.values(at=t.db_clock())).rowcount
        title, _, body = row.sentence.partition("\n")
        return (row.key, title, body) if claimed else self._claim()

    def _sent(self, key: str, title: str, body: str) -> bool:
        sent = _send(self._notices.urls, title, body or title)
        if sent:
            with self._engine.begin() as connection:
                here = t.notices.c.key == key
                connection.execute(sa.update(t.notices).where(here).values(sent=True))
        log.info("notice" if sent else "notice_not_sent", matter=key)
        return sent

    def _series(self) -> list[_Told]:
        s = t.series.c
        states = [state for state in WORDS if state in self._notices.events]
        query = (
            sa.select(s.id, s.state, s.state_at)
            .where(s.state.in_(states), s.state_at > t.db_clock() - _FRESH_S)
            .order_by(s.state_at)
        )
        with t.reading(self._engine).begin() as connection:
            rows = connection.execute(query).all()
        return [
            self._told(
                f"{row.state}:{row.id}:{row.state_at:.3f}",
                f"series {row.id} {WORDS[row.state]}",
                f"/series/{row.id}",
            )
            for row in rows
        ]

    def _disk(self) -> list[_Told]:
        free = shutil.disk_usage(self._data).free
        if "disk" not in self._notices.events or free >= self._notices.min_free_bytes:
            return []
        today = int(time.time() // _DAY_S)
        words = f"the disk is full: {free / 1e9:.1f} GB are free, and series are refused"
        return [self._told(f"disk:{today}", words, "/")]

    def _certificates(self) -> list[_Told]:
        if "certificate" not in self._notices.events:
            return []
        found = []
        for expiry in self._notices.certificates():
            days = (expiry.ends_at - time.time()) / _DAY_S
            step = next((n for n in _CERTIFICATE_DAYS if days <= n), None)
            if step is not None:
                words = f"certificate {expiry.name} ends in {max(0, int(days))} days"
                key = f"certificate:{expiry.name}:{expiry.ends_at:.0f}:{step}"[:200]
                found.append(self._told(key, words, "/network"))
        return found

    def _told(self, key: str, words: str, path: str) -> _Told:
        title = f"{self._notices.node}: {words}"
        link = f" {self._notices.page}{path}" if self._notices.page else ""
        return _Told(key=key, title=title, body=f"{words.capitalize()}.{link}")


def _send(urls: Sequence[str], title: str, body: str) -> bool:
    """Whether somebody was told; Apprise logs each fault and raises none."""
    import apprise

    teller = apprise.Apprise()
    for url in urls:
        teller.add(url)
    return bool(teller.notify(title=title, body=body))
