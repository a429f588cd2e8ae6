"""What the receiving side writes: instances and associations.

Each function is one transaction: after it returns, the database has it on disk.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from node.archive.headers.indexed_header import image_header, series_header
from node.archive.rows import transfers
from node.archive.rows.instance_lookup import KnownInstances
from node.archive.rows.offers import note_overlaps, note_received
from node.archive.rows.series_rows import (
    add_event,
    add_to_catalogue,
    begin_revision,
    insert_missing,
    insert_statement,
    seconds,
    stored_instance,
)
from node.archive.schema import tables as t
from node.archive.schema.records import AssociationRecord, ReceivedHeader, StoredInstance
from node.domain.states import State

# Enough to answer "why was I refused last week"; a port scanner must not fill the disk.
KEPT_ASSOCIATIONS = 20_000


class Index:
    """The database as those who receive see it; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._known = KnownInstances(engine)

    def find_instance(self, sop_instance_uid: str) -> StoredInstance | None:
        """The stored instance of that UID, or None."""
        if not self._known.may_have(sop_instance_uid):
            return None
        with t.reading(self.engine).begin() as connection:
            return _find(connection, sop_instance_uid)

    def add_instance(self, stored: StoredInstance, header: ReceivedHeader) -> None:
        """Index one durable instance; see `add_instances`."""
        self.add_instances([(stored, header)])

    def add_instances(
        self, received: Sequence[tuple[StoredInstance, ReceivedHeader]]
    ) -> list[StoredInstance]:
        """Index instances in one transaction; return the row that stands for each, in order.

        A series that was already taken up goes back to receiving with its revision raised, so that
        late instances make a new sCT and never a mixture. A UID that is there already is left.
        """
        # One order for every process, or two of them could wait for each other's locks.
        ordered = sorted(received, key=lambda r: (r[0].series_instance_uid, r[0].sop_instance_uid))
        standing: dict[str, StoredInstance] = {}
        with self.engine.begin() as connection:
            for _, group in groupby(ordered, key=lambda r: r[0].series_instance_uid):
                _add_to_series(connection, list(group), standing)
        return [standing[stored.sop_instance_uid] for stored, _ in received]

    def add_association(self, record: AssociationRecord) -> None:
        """Remember how an association went; the oldest beyond `KEPT_ASSOCIATIONS` are forgotten."""
        a = t.associations
        values = {
            "opened_at": seconds(record.opened_at),
            "closed_at": seconds(record.closed_at),
            "calling_ae": record.calling_ae,
            "called_ae": record.called_ae,
            "address": record.address,
            "peer": record.peer,
            "accepted": record.accepted,
            "sentence": record.sentence,
            "rule": record.rule,
            "remedy": record.remedy,
            "contexts": [dict(context) for context in record.contexts],
            "implementation": record.implementation,
            "tls": record.tls,
            "services": dict(record.services),
            "received_bytes": record.received_bytes,
            "receiving_s": record.receiving_s,
            "stored": record.stored,
            "duplicates": record.duplicates,
            "conflicts": record.conflicts,
            "failures": record.failures,
        }
        with self.engine.begin() as connection:
            number = connection.execute(sa.insert(a).values(values).returning(a.c.id)).scalar_one()
            transfers.forget_beyond(connection, a, number - KEPT_ASSOCIATIONS)
            transfers.add(connection, record.transfers, seconds(record.closed_at))


# Built once: composing a statement costs more than running it.
_INSTANCE = (
    sa.select(t.instances, t.series.c.series_instance_uid)
    .join(t.series, t.series.c.id == t.instances.c.series_id)
    .where(t.instances.c.sop_instance_uid == sa.bindparam("uid"))
)
_SERIES = (
    sa.select(t.series)
    .where(t.series.c.series_instance_uid == sa.bindparam("uid"))
    .with_for_update()
)
_COUNT = (
    sa.update(t.series)
    .where(t.series.c.id == sa.bindparam("series"))
    .values(instances=t.series.c.instances + sa.bindparam("more"), last_received_at=t.db_clock())
)


def _find(connection: sa.Connection, sop_instance_uid: str) -> StoredInstance | None:
    row = connection.execute(_INSTANCE, {"uid": sop_instance_uid}).mappings().one_or_none()
    return None if row is None else stored_instance(row)


def _add_to_series(
    connection: sa.Connection,
    received: Sequence[tuple[StoredInstance, ReceivedHeader]],
    standing: dict[str, StoredInstance],
) -> None:
    """Index instances of one series and put the row that stands for each into ``standing``."""
    series = _series_for(connection, *received[0])
    rows = {stored.sop_instance_uid: (stored, header) for stored, header in reversed(received)}
    # As parameters, so that the statement is the same object each time.
    statement = insert_statement(connection.dialect.name, t.instances)
    values = [_instance_values(series, stored, header) for stored, header in rows.values()]
    added = connection.execute(statement, values).rowcount
    note_received(connection, series["series_instance_uid"], received)
    if added < len(rows):
        note_overlaps(connection, series["series_instance_uid"], rows.values())
    for uid, (stored, _) in rows.items():
        # Where each was new there is nothing to look up.
        found = None if added == len(rows) else _find(connection, uid)
        standing[uid] = found if found is not None else stored
    if added:
        if State(series["state"]) is not State.RECEIVING:
            begin_revision(connection, series)
        connection.execute(_COUNT, {"series": series["id"], "more": added})


def _series_for(
    connection: sa.Connection, stored: StoredInstance, header: ReceivedHeader
) -> sa.RowMapping:
    """The row of the series, locked until the transaction ends (SQLite locks the whole file)."""
    uid = {"uid": stored.series_instance_uid}
    row = connection.execute(_SERIES, uid).mappings().one_or_none()
    if row is not None:
        if not row["instances"]:  # its files were removed after delivery, and it comes again
            _renew(connection, row["id"], header)
            _add_received(connection, row["id"], stored, header)
        return row
    values: dict[str, Any] = {
        **_said_of_series(header),
        "series_instance_uid": stored.series_instance_uid,
        "calling_ae": header.calling_ae,
        "called_ae": header.called_ae,
        "peer": header.peer,
        "state": State.RECEIVING.value,
        "sentence": "Instances are arriving.",
        "findings": [],
        "created_at": t.db_clock(),
        "last_received_at": t.db_clock(),
        "state_at": t.db_clock(),
    }
    inserted = insert_missing(connection, t.series, values)
    row = connection.execute(_SERIES, uid).mappings().one()
    if inserted.rowcount:
        add_event(connection, row["id"], State.RECEIVING.value, "The first instance arrived.")
        _add_received(connection, row["id"], stored, header)
    return row


def _said_of_series(header: ReceivedHeader) -> dict[str, Any]:
    return {
        "study_instance_uid": header.study_instance_uid,
        "patient_id": header.patient_id,
        "patient_name": header.patient_name,
        "accession_number": header.accession_number,
        "description": header.series_description,
        "body_part": header.body_part,
        "modality": header.modality,
    }


def _renew(connection: sa.Connection, series_id: int, header: ReceivedHeader) -> None:
    """A series without images says what comes now: the archive may have corrected it meanwhile."""
    change = sa.update(t.series).where(t.series.c.id == series_id)
    connection.execute(change.values(_said_of_series(header)))


def _add_received(
    connection: sa.Connection,
    series_id: int,
    stored: StoredInstance,
    header: ReceivedHeader,
) -> None:
    described = series_header(header.values, header.transfer_syntax_uid)
    described.setdefault("StudyInstanceUID", header.study_instance_uid)
    own = {"series_id": series_id, "sop_class_uid": stored.sop_class_uid}
    add_to_catalogue(connection, stored.series_instance_uid, described, **own)


def _instance_values(
    series: sa.RowMapping, stored: StoredInstance, header: ReceivedHeader
) -> dict[str, Any]:
    again = State(series["state"]) is not State.RECEIVING
    return {
        "sop_instance_uid": stored.sop_instance_uid,
        "series_id": series["id"],
        "sop_class_uid": stored.sop_class_uid,
        "transfer_syntax_uid": stored.transfer_syntax_uid,
        "path": stored.path,
        "size": stored.size,
        "sha256": stored.sha256,
        "received_at": seconds(stored.received_at),
        "revision": series["revision"] + (1 if again else 0),
        "header": image_header(header.values, header.transfer_syntax_uid),
        "origin": header.origin.key if header.origin else "",
    }
