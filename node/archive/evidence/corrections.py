"""Corrections: images that are held came again and say another patient, study, place or content.

An archive that corrects a patient, merges two or moves a study sends the same SOP instances anew
(PS3.4 gives no other word of it by C-STORE). The series that is held is stopped at once, in the
transaction that records the first of them: nothing of it leaves until somebody has adopted the
correction or dismissed it (`node.archive.work.adoption`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.headers.indexed_header import series_header
from node.archive.rows import whereabouts
from node.archive.rows.run_rows import latest_run, stop_deliveries
from node.archive.rows.series_rows import (
    add_event,
    insert_missing,
    lock_series,
    moment,
    move_series,
)
from node.archive.schema import tables as t
from node.archive.schema.correction_tables import WAITING
from node.archive.schema.records import ReceivedHeader
from node.domain.difference import Aspect
from node.domain.errors import Rejected
from node.domain.findings import Finding, finding
from node.domain.states import State

Item = dict[str, Any]
_MOST_UIDS = 200
_LEFT = (State.DELIVERING, State.DELIVERED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an image that came again says of itself."""

    series_instance_uid: str
    identity: Mapping[str, str]
    header: ReceivedHeader
    attributes: Sequence[str]
    """Names of what it says otherwise than the image that is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One attribute that the images of a correction say otherwise."""

    aspect: str
    attribute: str
    old: str
    new: str
    more: int
    """Further pairs of values, where the images do not all say the same."""
    uids: tuple[str, ...]


def lock_concerned(
    connection: sa.Connection, sop_instance_uid: str, series_instance_uid: str
) -> sa.RowMapping | None:
    """Lock the series that holds an instance and the one it claims; the first, if there is one.

    In one order for every process, or two of them could wait for each other.
    """
    held = _holder(connection, sop_instance_uid)
    s = t.series.c
    uids = sorted({series_instance_uid, *([held] if held else [])})
    query = sa.select(t.series).where(s.series_instance_uid.in_(uids))
    query = query.order_by(s.series_instance_uid).with_for_update()
    rows = {row["series_instance_uid"]: row for row in connection.execute(query).mappings()}
    now = _holder(connection, sop_instance_uid)  # an adoption may just have moved it
    if now is None:
        return None
    return rows.get(now) or lock_series(connection, _id_of(connection, now))


def begin(connection: sa.Connection, conflict_id: int, held: sa.RowMapping, claim: Claim) -> None:
    """Let the object that lies aside speak against ``held``, locked, and stop that series."""
    number = _same_claim(connection, held["id"], claim)
    if number is None:
        number = _new(connection, held, claim)
        add_event(connection, held["id"], "correction", _sentence(claim))
        if claim.series_instance_uid != held["series_instance_uid"]:
            _row_of_its_own(connection, held, claim)
    change = sa.update(t.conflicts).where(t.conflicts.c.id == conflict_id)
    connection.execute(change.values(correction_id=number))
    stop(connection, held, _sentence(claim))


def stop(connection: sa.Connection, row: sa.RowMapping, sentence: str) -> None:
    """Let nothing of a locked series leave any more; what is being made goes on, and waits."""
    run, state = latest_run(connection, row), State(row["state"])
    if run is not None and run["released_at"] is not None and state in _LEFT:
        stop_deliveries(connection, run["id"], sentence)
        change = sa.update(t.runs).where(t.runs.c.id == run["id"])
        connection.execute(change.values(released_at=None, released_by=None))
        places = whereabouts.places_of(connection, run["id"])
        move_series(connection, row, State.REVIEW, sentence + whereabouts.already(places))
    elif state is State.REVIEW:
        move_series(connection, row, State.REVIEW, sentence)


def is_waiting(connection: sa.Connection, series_id: int) -> bool:
    """Whether a correction of a series waits for a decision."""
    k = t.corrections.c
    query = sa.select(k.id).where(k.series_id == series_id, k.state == WAITING)
    return connection.execute(query).first() is not None


def must_be_settled(connection: sa.Connection, series_id: int) -> None:
    """Raise `Rejected` where a correction of a series waits: what it says may be wrong."""
    if is_waiting(connection, series_id):
        raise Rejected(
            f"A correction of series {series_id} waits for a decision.",
            code="CORRECTION",
            remedy="Adopt it or dismiss it first.",
        )


def findings_of(connection: sa.Connection, series_id: int) -> list[Finding]:
    """What the corrections that wait say against a series, one finding for each attribute."""
    return [
        _finding(change, row["calling_ae"])
        for row in waiting(connection, series_id)
        for change in changes(connection, row["id"])
    ]


def waiting(connection: sa.Connection, series_id: int) -> Sequence[sa.RowMapping]:
    """The corrections of a series that wait, oldest first."""
    k = t.corrections.c
    query = sa.select(t.corrections).where(k.series_id == series_id, k.state == WAITING)
    return connection.execute(query.order_by(k.id)).mappings().all()


def changes(connection: sa.Connection, correction_id: int) -> list[Change]:
    """What the images of a correction say otherwise, most grave first."""
    found: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for row in objects(connection, correction_id):
        for d in row["differences"] or ():
            key = d["aspect"], d["attribute"]
            found.setdefault(key, []).append((row["sop_instance_uid"], d["old"], d["new"]))
    order = [aspect.value for aspect in Aspect]
    return [
        _change(aspect, attribute, said)
        for (aspect, attribute), said in sorted(
            found.items(), key=lambda entry: (order.index(entry[0][0]), entry[0][1])
        )
    ]


def objects(connection: sa.Connection, correction_id: int) -> list[sa.RowMapping]:
    """What lies aside for a correction, of each SOP instance the version that came last.

    Once it was adopted: what it has replaced.
    """
    c = t.conflicts.c
    query = sa.select(t.conflicts).where(c.correction_id == correction_id).order_by(c.id)
    rows = connection.execute(query).mappings().all()
    chosen = [r for r in rows if r["replaced"]] or rows
    return list({row["sop_instance_uid"]: row for row in chosen}.values())


def items(connection: sa.Connection, row: sa.RowMapping) -> list[Item]:
    """The corrections of a series as JSON values, the newest first."""
    k = t.corrections.c
    query = sa.select(t.corrections).where(k.series_id == row["id"]).order_by(k.id.desc())
    return [_item(connection, row, found) for found in connection.execute(query).mappings()]


def open_corrections(engine: sa.Engine) -> list[tuple[int, int]]:
    """Series with a correction that waits, and how many images came again."""
    k, c = t.corrections.c, t.conflicts.c
    query = (
        sa.select(k.series_id, sa.func.count(c.sop_instance_uid.distinct()))
        .join(t.conflicts, c.correction_id == k.id)
        .where(k.state == WAITING)
        .group_by(k.series_id)
        .order_by(k.series_id)
    )
    with t.reading(engine).begin() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def _holder(connection: sa.Connection, sop_instance_uid: str) -> str | None:
    i, s = t.instances.c, t.series.c
    query = sa.select(s.series_instance_uid).join(t.instances, i.series_id == s.id)
    found = connection.execute(query.where(i.sop_instance_uid == sop_instance_uid))
    return found.scalar_one_or_none()


def _id_of(connection: sa.Connection, series_instance_uid: str) -> int:
    s = t.series.c
    query = sa.select(s.id).where(s.series_instance_uid == series_instance_uid)
    return int(connection.execute(query).scalar_one())


def _same_claim(connection: sa.Connection, series_id: int, claim: Claim) -> int | None:
    """The correction that waits and says the same; seen again just now."""
    for row in waiting(connection, series_id):
        same = row["series_instance_uid"] == claim.series_instance_uid
        if same and row["identity"] == dict(claim.identity):
            peer = row["peer"] if row["peer"] == claim.header.peer else None
            change = sa.update(t.corrections).where(t.corrections.c.id == row["id"])
            connection.execute(change.values(last_at=t.db_clock(), peer=peer))
            return int(row["id"])
    return None


def _new(connection: sa.Connection, held: sa.RowMapping, claim: Claim) -> int:
    values = {
        "series_id": held["id"],
        "series_instance_uid": claim.series_instance_uid,
        "identity": dict(claim.identity),
        "described": described(claim.header),
        "state": WAITING,
        "calling_ae": claim.header.calling_ae.replace("\0", ""),
        "peer": claim.header.peer,
        "created_at": t.db_clock(),
        "last_at": t.db_clock(),
    }
    added = sa.insert(t.corrections).values(values).returning(t.corrections.c.id)
    return int(connection.execute(added).scalar_one())


def described(header: ReceivedHeader) -> Item:
    """What the rows of a series are made of, as one image says it."""
    told = series_header(header.values, header.transfer_syntax_uid)
    told.setdefault("StudyInstanceUID", header.study_instance_uid)
    row = {
        "study_instance_uid": header.study_instance_uid,
        "patient_id": header.patient_id,
        "patient_name": header.patient_name,
        "accession_number": header.accession_number,
        "description": header.series_description,
        "body_part": header.body_part,
        "modality": header.modality,
    }
    sender = {
        "calling_ae": header.calling_ae.replace("\0", ""),
        "called_ae": header.called_ae.replace("\0", ""),
        "peer": header.peer,
    }
    return {"row": row, "sender": sender, "header": told}


def _row_of_its_own(connection: sa.Connection, held: sa.RowMapping, claim: Claim) -> None:
    """Show the series that corrects another one, though none of its images is filed yet."""
    told = described(claim.header)
    sentence = f"Corrects series {held['id']}: nothing is made of it until somebody decides there."
    values = {
        **told["row"],
        **told["sender"],
        "series_instance_uid": claim.series_instance_uid,
        "state": State.KEPT.value,
        "sentence": sentence,
        "findings": [],
        "corrects": held["id"],
        "created_at": t.db_clock(),
        "last_received_at": t.db_clock(),
        "state_at": t.db_clock(),
    }
    added = insert_missing(connection, t.series, values).rowcount
    row = lock_series(connection, _id_of(connection, claim.series_instance_uid))
    if added or not row["instances"]:
        change = sa.update(t.series).where(t.series.c.id == row["id"])
        connection.execute(change.values(corrects=held["id"], sentence=sentence))
    add_event(connection, row["id"], "correction", sentence)


def _sentence(claim: Claim) -> str:
    names = ", ".join(dict.fromkeys(claim.attributes))
    sender = claim.header.calling_ae.replace("\0", "") or "a sender without a name"
    return (
        f"Stopped: images came again from {sender} with another {names}. "
        "Adopt the correction or dismiss it."
    )


def _change(aspect: str, attribute: str, said: Sequence[tuple[str, str, str]]) -> Change:
    pairs = list(dict.fromkeys((old, new) for _, old, new in said))
    return Change(
        aspect=aspect,
        attribute=attribute,
        old=pairs[0][0],
        new=pairs[0][1],
        more=len(pairs) - 1,
        uids=tuple(uid for uid, _, _ in said),
    )


def _finding(change: Change, source: str) -> Finding:
    uids = change.uids[:_MOST_UIDS]
    if not (change.old or change.new):
        return finding("IMAGE_CONTRADICTED", count=len(change.uids), source=source, uids=uids)
    return finding(
        "SERIES_CONTRADICTED",
        count=len(change.uids),
        source=source,
        attribute=change.attribute,
        old=change.old or "–",
        new=change.new or "–",
        uids=uids,
    )


def _item(connection: sa.Connection, row: sa.RowMapping, found: sa.RowMapping) -> Item:
    s = t.series.c
    own = sa.select(s.id).where(s.series_instance_uid == found["series_instance_uid"])
    other = found["series_instance_uid"] != row["series_instance_uid"]
    return {
        "id": found["id"],
        "state": found["state"],
        "series_instance_uid": found["series_instance_uid"],
        "series": connection.execute(own).scalar_one_or_none() if other else None,
        "instances": len(objects(connection, found["id"])),
        "differences": list(_told(changes(connection, found["id"]))),
        "calling_ae": found["calling_ae"],
        "received_at": moment(found["last_at"]).isoformat(),
        "decided_at": moment(found["decided_at"]).isoformat() if found["decided_at"] else None,
        "who": found["who"],
        "reason": found["reason"],
    }


def _told(found: Sequence[Change]) -> Iterator[Item]:
    for change in found:
        yield {
            "aspect": change.aspect,
            "attribute": change.attribute,
            "old": change.old,
            "new": change.new,
            "more": change.more,
            "instances": len(change.uids),
        }
