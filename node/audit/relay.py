"""What of the node's own records is a security event, told on as DICOM audit messages.

The records are durable and read in their order; how far they were told is kept beside them. A
collector that is away, or a crash, loses nothing: at worst a message is sent twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing, moment
from node.archive.schema import tables as t
from node.domain.audit_message import (
    APPLICATION,
    APPLICATION_ACTIVITY,
    APPLICATION_START,
    APPLICATION_STOP,
    DESTINATION,
    INSTANCES_ACCESSED,
    INSTANCES_TRANSFERRED,
    LOGIN,
    LOGOUT,
    MINOR_FAILURE,
    NETWORK_CONFIGURATION,
    NODE_AUTHENTICATION,
    QUERY,
    SECURITY_ALERT,
    SERIOUS_FAILURE,
    SOURCE,
    STUDY_DELETED,
    SUCCESS,
    USER_AUTHENTICATION,
    USER_SECURITY_CHANGED,
    AuditEvent,
    Code,
    Participant,
    StudyObject,
    audit_xml,
)

_AT_ONCE = 200
# The audit trail's rows are written one at a time; of the others one with a lower number may become
# visible after one with a higher: its transaction ended later.
_IN_ORDER = frozenset({"audit"})
# Refusals that are no sign of a stranger: limits, a name service that is away, a fault of ours.
_NO_ALERT = frozenset(
    {"", "associations of the peer", "associations of the node", "host of the peer not resolved",
     "fault of the node"}
)  # fmt: skip
_LOG_INS: Mapping[str, tuple[Code, str]] = {
    "log in": (LOGIN, SUCCESS),
    "log in refused": (LOGIN, MINOR_FAILURE),
    "log out": (LOGOUT, SUCCESS),
}


# PostgreSQL 13 and later: the oldest transaction that still writes, and the next to be numbered.
_TRANSACTIONS = (
    "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint "
    "FROM pg_current_snapshot() AS s"
)


@dataclass(frozen=True, slots=True)
class _Horizon:
    """A moment of a table."""

    number: int
    """Highest visible."""
    transaction: int
    """The first that had not begun."""


class AuditRelay:
    """Tells security events on; one for each node."""

    def __init__(
        self,
        engine: sa.Engine,
        send: Callable[[str], None],
        *,
        ae_title: str,
        patients: bool = False,
    ) -> None:
        """``patients``: whether messages that name one may be sent."""
        self._engine = engine
        self._send = send
        self._ae_title = ae_title
        self._horizons: dict[str, _Horizon] = {}
        self._sources = {
            name: table for name, table in _SOURCES.items() if patients or name not in _OF_PATIENTS
        }

    @staticmethod
    def forget(engine: sa.Engine) -> None:
        """Nobody is told any more: what was kept for that may go."""
        with engine.begin() as connection:
            connection.execute(sa.delete(t.audit_positions))

    def begin(self) -> None:
        """Say that the node starts. A collector's first message is followed by all there is."""
        for source in self._sources:
            self._know(source)
        self._tell(self._activity(APPLICATION_START))

    def end(self) -> None:
        """Say that the node stops."""
        self._tell(self._activity(APPLICATION_STOP))

    def round(self) -> int:
        """Tell what is new; how many records were looked at. Raises `OSError` when it cannot."""
        return sum(self._round(source, table) for source, table in self._sources.items())

    def _round(self, source: str, table: sa.Table) -> int:
        position = self._position(source)
        query = sa.select(table).where(table.c.id > position).order_by(table.c.id).limit(_AT_ONCE)
        with t.reading(self._engine).begin() as connection:
            if source not in _IN_ORDER:
                query = query.where(table.c.id <= self._complete_to(connection, source, table))
            rows = connection.execute(query).mappings().all()
        for row in rows:
            event = _EVENTS[source](row, self._ae_title)
            if event is not None:
                self._tell(event)
            self._keep(source, int(row["id"]))
        return len(rows)

    def _complete_to(self, connection: sa.Connection, source: str, table: sa.Table) -> int:
        """The number below which no row can appear any more.

        Numbers are given out before the commit. A row that is not visible yet, numbered below the
        highest visible one, belongs to a transaction that had begun; once every transaction of that
        moment has ended, nothing below can come. SQLite's writers are one at a time.
        """
        highest = int(connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0)
        if connection.dialect.name != "postgresql":
            return highest
        oldest, next_one = connection.execute(sa.text(_TRANSACTIONS)).one()
        seen = self._horizons.get(source) or _Horizon(number=highest, transaction=next_one)
        complete = seen.number if oldest >= seen.transaction else 0
        self._horizons[source] = _Horizon(highest, next_one) if complete else seen
        return complete

    def _position(self, source: str) -> int:
        c = t.audit_positions.c
        query = sa.select(c.position).where(c.source == source)
        with t.reading(self._engine).begin() as connection:
            return int(connection.execute(query).scalar() or 0)

    def _keep(self, source: str, position: int) -> None:
        c = t.audit_positions.c
        change = sa.update(t.audit_positions).where(c.source == source)
        with self._engine.begin() as connection:
            insert_missing(connection, t.audit_positions, {"source": source, "position": 0})
            connection.execute(change.values(position=position))

    def _know(self, source: str) -> None:
        with self._engine.begin() as connection:
            insert_missing(connection, t.audit_positions, {"source": source, "position": 0})

    def _activity(self, kind: Code) -> AuditEvent:
        return AuditEvent(
            at=datetime.now(UTC),
            event=APPLICATION_ACTIVITY,
            kind=kind,
            outcome=SUCCESS,
            participants=[Participant(user_id=self._ae_title, requestor=False, role=APPLICATION)],
        )

    def _tell(self, event: AuditEvent) -> None:
        self._send(audit_xml(event, source=self._ae_title))


def _association(row: sa.RowMapping, ae_title: str) -> AuditEvent | None:
    """A refused association is an alert (PS3.15 A.5.3.11), one that asked a query (A.5.3.10)."""
    if row["accepted"]:
        return _queried(row, ae_title) if "C-FIND" in (row["services"] or {}) else None
    if row["rule"] in _NO_ALERT:
        return None
    who = row["calling_ae"] or "unknown"
    return AuditEvent(
        at=moment(row["opened_at"]),
        event=SECURITY_ALERT,
        kind=NODE_AUTHENTICATION,
        outcome=SERIOUS_FAILURE,
        participants=[
            Participant(user_id=ae_title, requestor=True, role=APPLICATION),
            Participant(user_id=who, requestor=False, address=row["address"]),
        ],
        description=row["sentence"],
        subject=f"{who} at {row['address']}",
    )


def _queried(row: sa.RowMapping, ae_title: str) -> AuditEvent:
    return AuditEvent(
        at=moment(row["opened_at"]),
        event=QUERY,
        outcome=SUCCESS,
        participants=[
            Participant(
                user_id=row["calling_ae"], requestor=True, address=row["address"], role=SOURCE
            ),
            Participant(user_id=ae_title, requestor=False, role=DESTINATION),
        ],
        description=f"{row['services']['C-FIND']} C-FIND",
    )


def _deed(row: sa.RowMapping, ae_title: str) -> AuditEvent | None:
    """What somebody, or retention, did to a series: by its number, without its patient."""
    if row["kind"] not in _DEEDS:
        return None
    deleted = row["kind"] == "removed"
    return AuditEvent(
        at=moment(row["at"]),
        event=STUDY_DELETED if deleted else INSTANCES_ACCESSED,
        outcome=SUCCESS,
        action="D" if deleted else "U",
        participants=[
            Participant(user_id=row["who"] or ae_title, requestor=True),
            Participant(user_id=ae_title, requestor=False, role=APPLICATION),
        ],
        description=row["kind"],
        subject=f"series {row['series_id']}",
    )


def _site_change(row: sa.RowMapping, _ae_title: str) -> AuditEvent:
    """Who changed which peer or route."""
    return AuditEvent(
        at=moment(row["at"]),
        event=SECURITY_ALERT,
        kind=NETWORK_CONFIGURATION,
        outcome=SUCCESS,
        participants=[Participant(user_id=row["who"], requestor=True)],
        description=f"{row['action']} {row['kind']} {row['name']}",
        subject=f"{row['kind']} {row['name']}",
    )


def _act(row: sa.RowMapping, ae_title: str) -> AuditEvent | None:
    """Logging in and out (PS3.15 A.5.3.12), and changes of accounts; nothing of patients."""
    who = Participant(user_id=row["who"], requestor=True, address=row["address"])
    at = datetime.fromisoformat(row["at"])
    if row["action"] in _LOG_INS:
        kind, outcome = _LOG_INS[row["action"]]
        return AuditEvent(
            at=at, event=USER_AUTHENTICATION, kind=kind, outcome=outcome, participants=[who]
        )
    if row["action"] in _LOOKS:
        # The target may be a study; what it was is in the node's own trail.
        return AuditEvent(
            at=at,
            event=QUERY if row["action"] in _QUERIES else INSTANCES_ACCESSED,
            outcome=SUCCESS,
            action="E" if row["action"] in _QUERIES else "R",
            participants=[who, Participant(user_id=ae_title, requestor=False, role=APPLICATION)],
            description=row["action"],
            subject=f"audit trail {row['id']}",
        )
    if not str(row["target"]).startswith("account "):
        return None
    return AuditEvent(
        at=at,
        event=SECURITY_ALERT,
        kind=USER_SECURITY_CHANGED,
        outcome=SUCCESS,
        participants=[who, Participant(user_id=ae_title, requestor=False, role=APPLICATION)],
        description=f"{row['action']}: {row['target']}",
        subject=row["target"],
    )


def _transfer(row: sa.RowMapping, ae_title: str) -> AuditEvent:
    """What one association brought of one study (PS3.15 A.5.3.7), in either direction."""
    ours = Participant(
        user_id=ae_title, requestor=not row["received"], role=_ROLES[not row["received"]]
    )
    peer = Participant(
        user_id=row["ae_title"],
        requestor=row["received"],
        address=row["address"],
        role=_ROLES[row["received"]],
    )
    return AuditEvent(
        at=moment(row["at"]),
        event=INSTANCES_TRANSFERRED,
        outcome=SUCCESS if row["whole"] else MINOR_FAILURE,
        # What was here already was looked at and left.
        action="C" if row["new"] else "R",
        participants=[peer, ours] if row["received"] else [ours, peer],
        study=StudyObject(
            study_instance_uid=row["study_instance_uid"],
            patient_id=row["patient_id"],
            classes=row["classes"],
        ),
    )


_QUERIES = frozenset({"search archive", "see queue", "pull series"})
_LOOKS = _QUERIES | {"see series", "see study"}
_DEEDS = frozenset({"sign", "release", "reject", "withdraw", "hold", "resume", "run again",
                    "set aside", "send again", "send", "removed", "retry", "resend"})  # fmt: skip
_ROLES = {True: SOURCE, False: DESTINATION}
_OF_PATIENTS = frozenset({"transfers"})
_SOURCES: Mapping[str, sa.Table] = {
    "associations": t.associations,
    "site_changes": t.site_changes,
    "audit": t.audit,
    "transfers": t.transfers,
    "events": t.events,
}
_EVENTS: Mapping[str, Callable[[Any, str], AuditEvent | None]] = {
    "associations": _association,
    "site_changes": _site_change,
    "audit": _act,
    "transfers": _transfer,
    "events": _deed,
}
