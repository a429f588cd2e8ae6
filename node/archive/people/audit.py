"""Who saw and did what: an append-only table whose rows are chained by hash.

Each row holds the digest of the one before it, so that a changed, inserted or removed row breaks
the chain from there on. The tail can be cut without a trace inside the table: every digest also
goes to the log, which leaves the machine on sites that collect it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.log import get_logger

log = get_logger(__name__)

FIRST = "0" * 64
"""What the first row names as its predecessor."""
_LOCK_KEY = 0x70637461  # pg_advisory_xact_lock: "pcta"
_FIELDS = ("id", "at", "who", "role", "address", "action", "target", "details", "previous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something a person or program saw or did."""

    who: str
    """Log-in name; the operating system's for a command."""
    action: str
    """Stable word: ``sign``, ``see series``, ``log in``, ..."""
    target: str = ""
    """What it was done to."""
    role: str = ""
    address: str = ""
    """Where the request came from; empty for a command."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who does something, and from where."""

    who: str
    role: str = ""
    address: str = ""

    def act(self, action: str, target: str, **details: Any) -> Act:
        """The act of doing it."""
        return Act(
            who=self.who,
            role=self.role,
            address=self.address,
            action=action,
            target=target,
            details=details,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the chain holds."""

    rows: int
    head: str
    """Digest of the last row."""
    broken_at: int | None
    """Number of the first row that does not fit; None where all do."""


class Audit:
    """The audit trail; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def add(self, act: Act) -> int:
        """Append one act; return its number."""
        with self.engine.begin() as connection:
            return append(connection, act)

    def rows(
        self, *, limit: int = 100, before: int | None = None, target: str = "", who: str = ""
    ) -> list[dict[str, Any]]:
        """The newest acts first, those before number ``before`` where it is given."""
        a = t.audit.c
        query = sa.select(t.audit).order_by(a.id.desc()).limit(limit)
        if before is not None:
            query = query.where(a.id < before)
        if target:
            query = query.where(a.target == target)
        if who:
            query = query.where(a.who == who)
        with t.reading(self.engine).begin() as connection:
            found = connection.execute(query).mappings().all()
        return [dict(row) | {"details": json.loads(row["details"])} for row in found]

    def verify(self) -> Verdict:
        """Walk the whole chain."""
        previous, number = FIRST, 0
        query = sa.select(t.audit).order_by(t.audit.c.id)
        with t.reading(self.engine).begin() as connection:
            for row in connection.execute(query.execution_options(yield_per=1000)).mappings():
                fits = row["id"] == number + 1 and row["previous"] == previous
                if not fits or row["digest"] != _digest(row):
                    return Verdict(rows=number, head=previous, broken_at=number + 1)
                previous, number = row["digest"], number + 1
        return Verdict(rows=number, head=previous, broken_at=None)


def append(connection: sa.Connection, act: Act) -> int:
    """Append one act inside the caller's transaction, so that deed and record stand together."""
    if connection.dialect.name == "postgresql":  # SQLite's writers are one at a time anyway
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
    a = t.audit.c
    last = connection.execute(sa.select(a.id, a.digest).order_by(a.id.desc()).limit(1)).first()
    row: dict[str, Any] = {
        "id": 1 if last is None else last.id + 1,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "who": act.who,
        "role": act.role,
        "address": act.address,
        "action": act.action,
        "target": act.target,
        "details": json.dumps(dict(act.details), sort_keys=True, default=str),
        "previous": FIRST if last is None else last.digest,
    }
    row["digest"] = _digest(row)
    connection.execute(sa.insert(t.audit).values(row))
    log.info("audit", number=row["id"], action=act.action, digest=row["digest"])
    return int(row["id"])


def _digest(row: Mapping[Any, Any]) -> str:
    text = json.dumps([row[name] for name in _FIELDS], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
