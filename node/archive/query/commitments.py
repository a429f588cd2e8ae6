"""Storage commitments (PS3.4 J): what we asked a peer to commit to, and what a peer asked of us."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.damage import Guard
from node.archive.files import Folder
from node.archive.query.catalogue import Catalogue
from node.archive.rows.series_rows import insert_missing
from node.archive.schema import tables as t
from node.dicom.commitment import CLASS_CONFLICT, NO_SUCH_INSTANCE

ASKED, OWED = "asked", "owed"
# How long what was read and compared counts as such while nobody touches the file.
_VOUCHED_S = 86_400.0
Pairs = Sequence[tuple[str, str]]
"""SOP Class and SOP Instance UID of each instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a commitment came to."""

    stored: tuple[tuple[str, str], ...]
    """SOP Class and SOP Instance UID of what is committed to."""
    failed: Mapping[str, int]
    """Failure Reason (PS3.3 C.14.1.1) by SOP Instance UID."""

    def as_json(self) -> dict[str, Any]:
        """Give JSON values."""
        return {"stored": [list(pair) for pair in self.stored], "failed": dict(self.failed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """One request for commitment."""

    id: int
    transaction_uid: str
    peer: str
    instances: tuple[tuple[str, str], ...]
    result: Result | None
    """None before there is an answer."""
    tries: int
    """Reports of ours that did not get through."""
    age_s: float


class Commitments:
    """The requests of both kinds; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def ask(self, transaction_uid: str, peer: str, delivery_id: int, instances: Pairs) -> None:
        """Remember a request of ours, before it leaves: the answer may come at once."""
        values = _values(ASKED, transaction_uid, peer, instances) | {"delivery_id": delivery_id}
        with self.engine.begin() as connection:
            insert_missing(connection, t.commitments, values)

    def asked(self, delivery_id: int) -> Commitment | None:
        """The last request made for a delivery."""
        c = t.commitments.c
        query = _select().where(c.delivery_id == delivery_id, c.kind == ASKED)
        with t.reading(self.engine).begin() as connection:
            row = connection.execute(query.order_by(c.id.desc()).limit(1)).mappings().first()
        return None if row is None else _commitment(row)

    def arrived(self, transaction_uid: str, peer: str, result: Result) -> bool:
        """Keep the answer to a request of ours and have its delivery looked at; False: unknown."""
        c, d = t.commitments.c, t.deliveries
        here = (c.kind == ASKED) & (c.transaction_uid == transaction_uid) & (c.peer == peer)
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(c.id, c.delivery_id).where(here)).first()
            if row is None:
                return False
            change = sa.update(t.commitments).where(c.id == row.id)
            connection.execute(change.values(result=result.as_json(), answered_at=t.db_clock()))
            look = sa.update(d).where(d.c.id == row.delivery_id, d.c.enqueued_at.is_(None))
            connection.execute(look.values(next_try_at=None))
            return True

    def forget(self, delivery_id: int) -> None:
        """Drop the requests of a delivery: what is sent anew is asked for anew."""
        c = t.commitments
        with self.engine.begin() as connection:
            connection.execute(sa.delete(c).where(c.c.delivery_id == delivery_id))

    def owe(self, transaction_uid: str, peer: str, instances: Pairs, *, report_in_s: float) -> int:
        """Keep a peer's request durably; its report is due in ``report_in_s`` unless it is made."""
        c = t.commitments.c
        values = _values(OWED, transaction_uid, peer, instances)
        values["next_try_at"] = t.db_clock() + report_in_s
        here = (c.kind == OWED) & (c.transaction_uid == transaction_uid) & (c.peer == peer)
        with self.engine.begin() as connection:
            insert_missing(connection, t.commitments, values)
            return int(connection.execute(sa.select(c.id).where(here)).scalar_one())

    def due(self) -> list[tuple[int, int]]:
        """Reports that a worker must make: id and number of the try."""
        c = t.commitments.c
        query = sa.select(c.id, c.tries).where(
            c.kind == OWED,
            c.answered_at.is_(None),
            c.enqueued_at.is_(None),
            c.next_try_at <= t.db_clock(),
        )
        with t.reading(self.engine).begin() as connection:
            return [(row.id, row.tries) for row in connection.execute(query)]

    def get(self, commitment_id: int) -> Commitment | None:
        """One request; None when it is gone or answered."""
        c = t.commitments.c
        query = _select().where(c.id == commitment_id, c.answered_at.is_(None))
        with t.reading(self.engine).begin() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _commitment(row)

    def mark_enqueued(self, commitment_id: int) -> None:
        """Remember that the engine has the report's workflow."""
        self._update(commitment_id, enqueued_at=t.db_clock())

    def reported(self, commitment_id: int, result: Result) -> None:
        """The peer has our report."""
        self._update(
            commitment_id,
            result=result.as_json(),
            answered_at=t.db_clock(),
            sentence=f"Reported: {len(result.stored)} committed, {len(result.failed)} not.",
        )

    def report_later(self, commitment_id: int, number: int, sentence: str, delay_s: float) -> None:
        """The report did not get through; the next try is due in ``delay_s``."""
        self._update(
            commitment_id,
            tries=number + 1,
            enqueued_at=None,
            next_try_at=t.db_clock() + delay_s,
            sentence=sentence,
        )

    def give_up(self, commitment_id: int, sentence: str) -> None:
        """The peer takes no report: it will ask again."""
        self._update(commitment_id, answered_at=t.db_clock(), sentence=sentence)

    def _update(self, commitment_id: int, **values: Any) -> None:
        change = sa.update(t.commitments).where(t.commitments.c.id == commitment_id)
        with self.engine.begin() as connection:
            connection.execute(change.values(values))


def judge(catalogue: Catalogue, folder: Folder, instances: Pairs) -> Result:
    """What we commit to: instances whose row is there, of the class they name, and their file.

    A file was compared with its digest, now or in the last day with nobody touching it since. Where
    the version that came last lies aside, what is filed is not what the peer would rely on.
    """
    held = catalogue.stored(uid for _, uid in instances)
    aside = catalogue.contradicted(uid for _, uid in instances)
    guard = Guard(catalogue.engine, folder)
    good = guard.vouched([one.held for one in held.values()], within_s=_VOUCHED_S)
    failed: dict[str, int] = {}
    for sop_class, uid in instances:
        if uid not in good or uid in aside:
            failed[uid] = NO_SUCH_INSTANCE
        elif held[uid].sop_class_uid != sop_class:
            failed[uid] = CLASS_CONFLICT
    stored = tuple((c, uid) for c, uid in instances if uid not in failed)
    return Result(stored=stored, failed=failed)


def _values(kind: str, transaction_uid: str, peer: str, instances: Pairs) -> dict[str, Any]:
    return {
        "kind": kind,
        "transaction_uid": transaction_uid,
        "peer": peer,
        "instances": [list(pair) for pair in instances],
        "created_at": t.db_clock(),
    }


def _select() -> sa.Select[Any]:
    age = (t.db_clock() - t.commitments.c.created_at).label("age_s")
    return sa.select(t.commitments, age)


def _commitment(row: sa.RowMapping) -> Commitment:
    found = row["result"]
    result = None
    if found is not None:
        stored = tuple((sop_class, uid) for sop_class, uid in found["stored"])
        result = Result(stored=stored, failed=found["failed"])
    return Commitment(
        id=row["id"],
        transaction_uid=row["transaction_uid"],
        peer=row["peer"],
        instances=tuple((sop_class, uid) for sop_class, uid in row["instances"]),
        result=result,
        tries=row["tries"],
        age_s=float(row["age_s"]),
    )
