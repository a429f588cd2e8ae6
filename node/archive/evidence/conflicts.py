"""What was received and has no place among its series' images: kept aside, never mixed in.

Another version of a SOP instance that is stored already, and an instance whose row the database
refuses. Neither is lost, and neither may be silent: what its series is worth hangs on it. A version
that contradicts the one that is held stops its series (`node.archive.evidence.corrections`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO

import sqlalchemy as sa

from node.archive.evidence import corrections, earlier_patient
from node.archive.evidence.compare import contradictions, identity_in
from node.archive.files import CONFLICTS, Folder, fsync_folder, instance_name
from node.archive.headers.indexed_header import image_header
from node.archive.rows.index import Index
from node.archive.rows.series_rows import add_event, begin_revision, lock_series, seconds
from node.archive.schema import tables as t
from node.archive.schema.correction_tables import ADOPTED
from node.archive.schema.records import Conflict, ReceivedHeader, StoredInstance
from node.crashpoints import reach
from node.domain.difference import Difference
from node.domain.findings import Finding, Severity, finding, finding_json
from node.domain.states import State
from node.log import get_logger

log = get_logger(__name__)

ARRIVAL = "arrival"
"""Stage of the findings made here."""
CODES = frozenset(
    {
        "INSTANCE_CONFLICT", "INSTANCE_ELSEWHERE", "INSTANCE_UNFILED", "SERIES_CONTRADICTED",
        "IMAGE_CONTRADICTED", "JOURNAL_DAMAGED", earlier_patient.CODE,
    }
)  # fmt: skip
"""Of the findings that are made anew from the rows whenever something changes."""


class Standing(StrEnum):
    """What the index has of a SOP instance that lies aside."""

    HERE = "here"
    """Another object of it is among the images of its series."""
    ELSEWHERE = "elsewhere"
    """Another object of it is filed with another series: here it is missing."""
    UNFILED = "unfiled"
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One SOP instance of a series that lies aside."""

    sop_instance_uid: str
    path: str
    """Relative to the data folder."""
    standing: Standing

    def as_finding(self) -> Finding:
        """What a person has to know of it."""
        uid, uids = self.sop_instance_uid, [self.sop_instance_uid]
        if self.standing is Standing.HERE:
            # What was received first is used; that another version came is for a person to read.
            return finding("INSTANCE_CONFLICT", uid=uid, uids=uids, severity=Severity.WARNING)
        if self.standing is Standing.ELSEWHERE:
            return finding("INSTANCE_ELSEWHERE", uid=uid, uids=uids)
        if not uid:  # the journal lost it, and what it was
            return finding("JOURNAL_DAMAGED", path=self.path)
        return finding("INSTANCE_UNFILED", uid=uid, path=self.path, uids=uids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How an instance that came again differs, with what it needs to be filed one day."""

    differences: tuple[Difference, ...]
    identity: Mapping[str, str]
    header: ReceivedHeader


def version_of(
    held: StoredInstance, folder: Folder, arrived: BinaryIO, header: ReceivedHeader
) -> Version | None:
    """How what ``arrived`` contradicts what is ``held``; None where both say the same."""
    found = contradictions(folder.root / held.path, arrived, uid=held.sop_instance_uid)
    if not found:
        return None
    return Version(differences=found, identity=identity_in(arrived), header=header)


def move_aside(
    folder: Folder,
    index: Index,
    arrived: StoredInstance,
    header: ReceivedHeader,
    held: StoredInstance,
) -> str | None:
    """Take the file of ``arrived`` out of its series, and record it; return where it lies now.

    None where it says the same as the one that is ``held``: then its file is not needed.
    """
    path = folder.root / arrived.path
    with path.open("rb") as file:
        version = version_of(held, folder, file, header)
    if version is None:
        path.unlink()
        return None
    name = instance_name(
        arrived.series_instance_uid, arrived.sop_instance_uid, arrived.sha256, folder=CONFLICTS
    )
    aside = folder.path(name)
    folder.rename(path, aside)
    fsync_folder(aside.parent)
    reach("conflict.aside")
    size = aside.stat().st_size
    record(index, arrived, header.calling_ae, path=str(name), size=size, version=version)
    return str(name)


def record(
    index: Index,
    arrived: StoredInstance,
    calling_ae: str,
    *,
    path: str,
    size: int,
    version: Version | None = None,
) -> None:
    """Remember what lies aside at ``path``, and tell its series, in one transaction."""
    conflict = Conflict(
        sop_instance_uid=arrived.sop_instance_uid,
        series_instance_uid=arrived.series_instance_uid,
        path=path,
        size=size,
        sha256=arrived.sha256,
        calling_ae=calling_ae.replace("\0", ""),  # PostgreSQL takes none, and this must be kept
        received_at=arrived.received_at,
    )
    with index.engine.begin() as connection:
        held = corrections.lock_concerned(
            connection, conflict.sop_instance_uid, conflict.series_instance_uid
        )
        if _is_new(connection, conflict):
            values = _values(conflict) | _filing(arrived, version)
            added = sa.insert(t.conflicts).values(values).returning(t.conflicts.c.id)
            number = connection.execute(added).scalar_one()
            if version is not None and held is not None:
                corrections.begin(
                    connection,
                    number,
                    held,
                    corrections.Claim(
                        series_instance_uid=conflict.series_instance_uid,
                        identity=version.identity,
                        header=version.header,
                        attributes=tuple(d.attribute for d in version.differences),
                    ),
                )
                refresh(connection, held["id"])
            _tell(connection, conflict, contradicts=version is not None and held is not None)
    log.warning("instance_conflict", sop_instance=arrived.sop_instance_uid, aside=path)
    reach("conflict.told")


def of_series(connection: sa.Connection, series_instance_uid: str) -> list[Aside]:
    """What of a series lies aside and is settled by nobody, each SOP instance once."""
    c, k = t.conflicts.c, t.corrections.c
    open_ = c.replaced.is_(False) & sa.or_(k.state.is_(None), k.state != ADOPTED)
    rows = _joined(connection, (c.series_instance_uid == series_instance_uid) & open_)
    asides = {row.sop_instance_uid: (row, _aside(row)) for row in rows}.values()
    # What contradicts an image that is here is told of by its correction.
    return [a for row, a in asides if row.state is None or a.standing is not Standing.HERE]


def findings_of(connection: sa.Connection, row: sa.RowMapping) -> list[Finding]:
    """Everything that lies aside, and what was here before, has to say of a series."""
    told = [a.as_finding() for a in of_series(connection, row["series_instance_uid"])]
    again = corrections.findings_of(connection, row["id"])
    return [*told, *again, *earlier_patient.findings_of(connection, row)]


def refresh(connection: sa.Connection, series_id: int) -> None:
    """Say anew, among a series' findings, what lies aside."""
    row = lock_series(connection, series_id)
    found = refreshed(connection, row, row["findings"])
    change = sa.update(t.series).where(t.series.c.id == series_id)
    connection.execute(change.values(findings=found))


def refreshed(
    connection: sa.Connection, row: sa.RowMapping, findings: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """``findings`` with what lies aside now, and nothing of what lay aside before."""
    others = [f for f in findings if f["code"] not in CODES]
    return [*others, *(finding_json(f, stage=ARRIVAL) for f in findings_of(connection, row))]


def with_finding(
    known: Sequence[Mapping[str, Any]], found: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """``known`` with ``found``, unless it says that already; numbers of others stay."""
    key = (found["code"], found["uids"])
    return [*known] if key in [(f["code"], f["uids"]) for f in known] else [*known, found]


def receiving(index: Index) -> Sequence[str]:
    """Series Instance UIDs of what is being received."""
    s = t.series.c
    query = sa.select(s.series_instance_uid).where(s.state == State.RECEIVING.value)
    with t.reading(index.engine).begin() as connection:
        return connection.execute(query).scalars().all()


def unfiled(engine: sa.Engine) -> Sequence[str]:
    """Paths of instances that the index has nothing of, whether their series is known or not."""
    with t.reading(engine).begin() as connection:
        rows = _joined(
            connection, t.instances.c.series_id.is_(None) & t.conflicts.c.replaced.is_(False)
        )
        return sorted(row.path for row in rows)


def contradicted(connection: sa.Connection, sop_instance_uids: Sequence[str]) -> set[str]:
    """Those of which a version lies aside that contradicts the one that is held.

    A dismissed one counts as well: who sent it last has another object than the node.
    """
    c, k = t.conflicts.c, t.corrections.c
    query = (
        sa.select(c.sop_instance_uid)
        .join(t.corrections, k.id == c.correction_id)
        .where(c.sop_instance_uid.in_(sop_instance_uids), c.replaced.is_(False))
        .where(k.state != ADOPTED)
    )
    return set(connection.execute(query).scalars())


def _values(conflict: Conflict) -> dict[str, Any]:
    return {
        "sop_instance_uid": conflict.sop_instance_uid,
        "series_instance_uid": conflict.series_instance_uid,
        "path": conflict.path,
        "size": conflict.size,
        "sha256": conflict.sha256,
        "calling_ae": conflict.calling_ae,
        "received_at": seconds(conflict.received_at),
    }


def _filing(arrived: StoredInstance, version: Version | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sop_class_uid": arrived.sop_class_uid,
        "transfer_syntax_uid": arrived.transfer_syntax_uid,
    }
    if version is not None:
        values["differences"] = [d.as_json() for d in version.differences]
        values["header"] = image_header(version.header.values, arrived.transfer_syntax_uid)
    return values


def _is_new(connection: sa.Connection, conflict: Conflict) -> bool:
    """Whether these bytes lie aside for the first time; what was replaced may come back."""
    c = t.conflicts.c
    query = sa.select(c.id).where(
        c.sop_instance_uid == conflict.sop_instance_uid,
        c.sha256 == conflict.sha256,
        c.replaced.is_(False),
    )
    return connection.execute(query).first() is None


def _tell(connection: sa.Connection, conflict: Conflict, *, contradicts: bool) -> None:
    """Let the series know, wherever it stands; one without a row is told of by `unfiled`."""
    s = t.series.c
    uid = conflict.series_instance_uid
    query = sa.select(s.id).where(s.series_instance_uid == uid)
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        return
    row = lock_series(connection, number)
    named = (a for a in of_series(connection, uid) if a.path == conflict.path)
    aside = next((a for a in named if a.sop_instance_uid == conflict.sop_instance_uid), None)
    if aside is None or (contradicts and not row["instances"]):
        return  # a journal has lost what is filed; or the correction tells of it
    found = aside.as_finding()
    add_event(connection, number, "conflict", found.sentence)
    if State(row["state"]) is State.RECEIVING:
        return  # the check will find it
    if aside.standing is not Standing.HERE and row["instances"]:
        # It belongs to the series as any late instance does: what was made lacks it.
        begin_revision(connection, row)
        change: dict[str, Any] = {"last_received_at": t.db_clock()}
    else:
        change = {"findings": with_finding(row["findings"], finding_json(found, stage=ARRIVAL))}
    connection.execute(sa.update(t.series).where(s.id == number).values(change))


def _joined(
    connection: sa.Connection, which: sa.ColumnElement[bool]
) -> Sequence[sa.Row[tuple[Any, ...]]]:
    c, i, s, k = t.conflicts.c, t.instances.c, t.series.c, t.corrections.c
    query = (
        sa.select(
            c.sop_instance_uid,
            c.path,
            i.series_id,
            k.state,
            (s.series_instance_uid == c.series_instance_uid).label("same"),
        )
        .select_from(t.conflicts)
        .outerjoin(t.instances, i.sop_instance_uid == c.sop_instance_uid)
        .outerjoin(t.series, s.id == i.series_id)
        .outerjoin(t.corrections, k.id == c.correction_id)
        # What a journal has lost is not missed any more once it came again.
        .where(which, ~_found_again())
        .order_by(c.sop_instance_uid, c.id)
    )
    return connection.execute(query).all()


def _found_again() -> sa.ColumnElement[bool]:
    c, s = t.conflicts.c, t.series.c
    same = s.series_instance_uid == c.series_instance_uid
    return (c.sha256 == "") & sa.func.coalesce(same, sa.false())


def _aside(row: sa.Row[tuple[Any, ...]]) -> Aside:
    standing = Standing.UNFILED
    if row.series_id is not None:
        standing = Standing.HERE if row.same else Standing.ELSEWHERE
    return Aside(sop_instance_uid=row.sop_instance_uid, path=row.path, standing=standing)
