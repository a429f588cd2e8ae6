"""Adopting a correction or dismissing it: one transaction each, with its line of the audit trail.

Adopted, the corrected objects become the images of the series they name, in place of those that
were held; what was held lies aside then. Every sCT that had left is withdrawn, and the series is
worked on anew as a new revision, whose sCT names the old one as its predecessor. What takes files
is done before (`node.flow.corrections`); a kill in between leaves nothing but files to be found.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import refresh
from node.archive.evidence.corrections import changes, objects, waiting
from node.archive.files import Folder, instance_path
from node.archive.people.audit import By, append
from node.archive.rows.removals import listed_file
from node.archive.rows.series_rows import (
    add_event,
    add_to_catalogue,
    begin_revision,
    lock_series,
    move_series,
    supersede_runs,
)
from node.archive.rows.whereabouts import may_have_left
from node.archive.schema import tables as t
from node.archive.schema.correction_tables import ADOPTED, DISMISSED, WAITING
from node.archive.schema.records import OutputFile
from node.archive.work.decisions import because
from node.archive.work.withdrawing import (
    Withdrawable,
    to_tell,
    withdraw_run,
    withdrawable_run,
)
from node.crashpoints import reach
from node.domain.errors import Rejected
from node.domain.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One corrected image."""

    conflict_id: int
    sop_instance_uid: str
    aside: str
    """Where it lies, relative to the data folder."""
    path: str
    """Where it belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A correction as it was looked at: what changes before the adoption ends it."""

    correction_id: int
    series_id: int
    """Of the series that is corrected."""
    series_instance_uid: str
    """Of the series that the images name."""
    identity: Mapping[str, str]
    objects: tuple[Object, ...]
    others: tuple[str, ...]
    """Files of the images that stay beside the corrected ones, relative to the data folder."""
    left: tuple[Withdrawable, ...]
    """The sCTs that have left, or may have."""


class Adoption:
    """The database as a person's decision about a correction sees it."""

    def __init__(self, engine: sa.Engine, folder: Folder) -> None:
        self.engine = engine
        self._folder = folder

    def prepare(self, series_id: int, correction_id: int | None = None) -> Prepared:
        """What the newest correction of a series would change; `Rejected` where there is none.

        ``correction_id`` names the one that was looked at; another one is refused.
        """
        with t.reading(self.engine).begin() as connection:
            return _prepared(connection, series_id, correction_id)

    def adopt(
        self, prepared: Prepared, notices: Sequence[OutputFile], by: By, *, reason: str
    ) -> str:
        """File the corrected objects, withdraw what had left, and begin a new revision.

        ``notices`` are the withdrawals of ``prepared.left``, in its order.
        """
        with self.engine.begin() as connection:
            rows = _locked(connection, prepared)
            if _prepared(connection, prepared.series_id, prepared.correction_id) != prepared:
                raise _changed()
            held = rows[prepared.series_id]
            sentence = f"Correction adopted by {by.who}{because(reason)}."
            names = self._withdraw(connection, prepared, notices, by, sentence)
            target = _target(connection, rows, prepared)
            revision = max(held["revision"], target["revision"]) + 1
            said = changes(connection, prepared.correction_id)
            self._refile(connection, prepared, target, revision)
            supersede_runs(connection, held["id"])
            _settle(connection, prepared, by, reason)
            _begin_again(connection, held, target, prepared, sentence, revision)
            add_event(connection, held["id"], "adopt", sentence, who=by.who)
            append(
                connection,
                by.act(
                    "adopt correction",
                    f"series {held['id']}",
                    correction=prepared.correction_id,
                    series=prepared.series_instance_uid,
                    filed_as=target["id"],
                    instances=len(prepared.objects),
                    attributes=[change.attribute for change in said],
                    withdrawn=[run.run_id for run in prepared.left],
                    told=names,
                    reason=reason,
                ),
            )
            reach("adopt.written")
        reach("adopt.committed")
        return sentence

    def dismiss(
        self, series_id: int, by: By, *, reason: str, correction_id: int | None = None
    ) -> str:
        """Leave what is held as it is; the corrected objects stay aside.

        What had been released waits for a new release, and what had not waits for a person.
        """
        with self.engine.begin() as connection:
            prepared = _prepared(connection, series_id, correction_id)
            row = lock_series(connection, series_id)
            sentence = f"Correction dismissed by {by.who}{because(reason)}."
            _decide(connection, [prepared.correction_id], DISMISSED, by, reason)
            _hold(connection, row, by)
            if State(row["state"]) is State.REVIEW:
                move_series(connection, row, State.REVIEW, sentence)
            refresh(connection, series_id)
            _tell_own_row(connection, prepared, sentence)
            add_event(connection, series_id, "dismiss", sentence, who=by.who)
            append(
                connection,
                by.act(
                    "dismiss correction",
                    f"series {series_id}",
                    correction=prepared.correction_id,
                    series=prepared.series_instance_uid,
                    instances=len(prepared.objects),
                    reason=reason,
                ),
            )
        return sentence

    def ripe(self, quiet_s: float) -> list[tuple[int, int, str, float]]:
        """Corrections nothing came for since ``quiet_s``: series, id, peer, time of the last."""
        k = t.corrections.c
        query = (
            sa.select(k.series_id, k.id, k.peer, k.last_at)
            .where(k.state == WAITING, k.peer.is_not(None), k.last_at <= t.db_clock() - quiet_s)
            .order_by(k.id)
        )
        with t.reading(self.engine).begin() as connection:
            return [(r.series_id, r.id, r.peer, r.last_at) for r in connection.execute(query)]

    def _withdraw(
        self,
        connection: sa.Connection,
        prepared: Prepared,
        notices: Sequence[OutputFile],
        by: By,
        sentence: str,
    ) -> list[str]:
        told: list[str] = []
        for what, notice in zip(prepared.left, notices, strict=True):
            places = withdraw_run(connection, what, notice)
            told += [place.name for place in places]
            if places:
                line = sentence + to_tell(places)
                add_event(connection, what.series_id, "withdraw", line, who=by.who)
        return told

    def _refile(
        self, connection: sa.Connection, prepared: Prepared, target: sa.RowMapping, revision: int
    ) -> None:
        """Let each corrected object and the image it corrects change places."""
        aside = {row["id"]: row for row in objects(connection, prepared.correction_id)}
        c = t.conflicts
        for one in prepared.objects:
            new = aside[one.conflict_id]
            connection.execute(
                sa.insert(c).values(_replaced(connection, one.sop_instance_uid, new))
            )
            here = t.instances.c.sop_instance_uid == one.sop_instance_uid
            values = _instance(new, target["id"], one.path, revision)
            connection.execute(sa.update(t.instances).where(here).values(values))
            connection.execute(sa.delete(c).where(c.c.id == one.conflict_id))
            # What was said of the file that is replaced is not said of this one.
            checked = t.file_checks.c.sop_instance_uid == one.sop_instance_uid
            connection.execute(sa.delete(t.file_checks).where(checked))
            removed = listed_file(self._folder, one.aside)
            connection.execute(sa.insert(t.removals).values(removed))


def _prepared(connection: sa.Connection, series_id: int, correction_id: int | None) -> Prepared:
    open_ = waiting(connection, series_id)
    if not open_:
        raise Rejected(
            f"No correction of series {series_id} waits.",
            code="STATE",
            remedy="Somebody may have decided meanwhile; look at the series again.",
        )
    newest = open_[-1]
    if correction_id is not None and newest["id"] != correction_id:
        raise _changed()
    found = objects(connection, newest["id"])
    claimed = newest["series_instance_uid"]
    return Prepared(
        correction_id=newest["id"],
        series_id=series_id,
        series_instance_uid=claimed,
        identity=dict(newest["identity"]),
        objects=tuple(
            Object(
                conflict_id=row["id"],
                sop_instance_uid=row["sop_instance_uid"],
                aside=row["path"],
                path=instance_path(claimed, row["sop_instance_uid"], row["sha256"]),
            )
            for row in found
        ),
        others=_others(connection, series_id, claimed, {r["sop_instance_uid"] for r in found}),
        left=_left(connection, series_id),
    )


def _others(
    connection: sa.Connection, series_id: int, claimed: str, corrected: Collection[str]
) -> tuple[str, ...]:
    i, s = t.instances.c, t.series.c
    own = (i.series_id == series_id) | (s.series_instance_uid == claimed)
    query = sa.select(i.sop_instance_uid, i.path).join(t.series, s.id == i.series_id).where(own)
    rows = connection.execute(query.order_by(i.sop_instance_uid)).all()
    return tuple(row.path for row in rows if row.sop_instance_uid not in corrected)


def _left(connection: sa.Connection, series_id: int) -> tuple[Withdrawable, ...]:
    """Runs that were sent anywhere, or were about to be, and that nobody has withdrawn."""
    r, d = t.runs.c, t.deliveries.c
    query = (
        sa.select(r.id, r.attempt)
        .where(r.series_id == series_id, r.withdrawn_at.is_(None))
        .where(sa.exists().where(d.run_id == r.id) | may_have_left(r.id))
        .order_by(r.id)
    )
    runs = connection.execute(query).all()
    found = (withdrawable_run(connection, series_id, row.id, row.attempt) for row in runs)
    # What replaces it is not made yet.
    return tuple(replace(what, successor_series_uid=None) for what in found if what is not None)


def _locked(connection: sa.Connection, prepared: Prepared) -> dict[int, sa.RowMapping]:
    """Both series, locked in the order in which everybody locks them."""
    s = t.series.c
    which = (s.id == prepared.series_id) | (s.series_instance_uid == prepared.series_instance_uid)
    query = sa.select(t.series).where(which).order_by(s.series_instance_uid).with_for_update()
    return {row["id"]: row for row in connection.execute(query).mappings()}


def _target(
    connection: sa.Connection, rows: Mapping[int, sa.RowMapping], prepared: Prepared
) -> sa.RowMapping:
    """The series the images name, with what they say of it in its rows."""
    target = next(
        row for row in rows.values() if row["series_instance_uid"] == prepared.series_instance_uid
    )
    k = t.corrections
    told = connection.execute(
        sa.select(k.c.described).where(k.c.id == prepared.correction_id)
    ).scalar_one()
    change = sa.update(t.series).where(t.series.c.id == target["id"])
    connection.execute(change.values(told["row"]))
    connection.execute(sa.delete(t.catalogue).where(t.catalogue.c.series_id == target["id"]))
    classes = sa.select(t.conflicts.c.sop_class_uid).where(
        t.conflicts.c.id == prepared.objects[0].conflict_id
    )
    own = {
        "series_id": target["id"],
        "sop_class_uid": connection.execute(classes).scalar_one(),
    }
    add_to_catalogue(connection, prepared.series_instance_uid, told["header"], **own)
    return target


def _replaced(
    connection: sa.Connection, sop_instance_uid: str, new: sa.RowMapping
) -> dict[str, Any]:
    """The row of what is held now as what lies aside, with how it was corrected."""
    i, s = t.instances, t.series.c
    query = sa.select(i, s.series_instance_uid).join(t.series, s.id == i.c.series_id)
    old = connection.execute(query.where(i.c.sop_instance_uid == sop_instance_uid)).mappings().one()
    return {
        "sop_instance_uid": sop_instance_uid,
        "series_instance_uid": old["series_instance_uid"],
        "path": old["path"],
        "size": old["size"],
        "sha256": old["sha256"],
        "calling_ae": "",
        "received_at": old["received_at"],
        "correction_id": new["correction_id"],
        "replaced": True,
        "sop_class_uid": old["sop_class_uid"],
        "transfer_syntax_uid": old["transfer_syntax_uid"],
        "differences": new["differences"],
        "header": old["header"],
    }


def _instance(new: sa.RowMapping, series_id: int, path: str, revision: int) -> dict[str, Any]:
    return {
        "series_id": series_id,
        "sop_class_uid": new["sop_class_uid"],
        "transfer_syntax_uid": new["transfer_syntax_uid"],
        "path": path,
        "size": new["size"],
        "sha256": new["sha256"],
        "received_at": new["received_at"],
        "revision": revision,
        "header": new["header"] or {},
    }


def _settle(connection: sa.Connection, prepared: Prepared, by: By, reason: str) -> None:
    """Close the correction, and with it those it came after."""
    older = [
        row["id"]
        for row in waiting(connection, prepared.series_id)
        if row["id"] != prepared.correction_id
    ]
    _decide(connection, [prepared.correction_id], ADOPTED, by, reason)
    _decide(connection, older, DISMISSED, by, reason)


def _decide(connection: sa.Connection, ids: Sequence[int], state: str, by: By, reason: str) -> None:
    k = t.corrections
    change = sa.update(k).where(k.c.id.in_(ids))
    decided = {"state": state, "decided_at": t.db_clock(), "who": by.who, "reason": reason}
    connection.execute(change.values(decided))


def _begin_again(
    connection: sa.Connection,
    held: sa.RowMapping,
    target: sa.RowMapping,
    prepared: Prepared,
    sentence: str,
    revision: int,
) -> None:
    if target["id"] != held["id"]:
        _count(connection, held["id"])
        gone = f"{sentence} It goes on as series {target['id']}."
        _close(connection, held, gone)
        told = f"{sentence} It was series {held['id']}."
        add_event(connection, target["id"], "adopt", told)
    row = lock_series(connection, target["id"])
    again = f"{sentence} The synthetic CT is made anew."
    begin_revision(connection, row, again, revision=revision)
    _count(connection, target["id"])
    corrects = held["id"] if target["id"] != held["id"] else row["corrects"]
    change = sa.update(t.series).where(t.series.c.id == target["id"])
    connection.execute(change.values(corrects=corrects, model=None, route=None))


def _close(connection: sa.Connection, held: sa.RowMapping, sentence: str) -> None:
    """End a series whose images all belong to another one now."""
    row = lock_series(connection, held["id"])
    # Another revision: a run of it that is under way finds itself replaced.
    anew = {"revision": row["revision"] + 1, "attempt": 1, "findings": []}
    move_series(connection, row, State.REJECTED, sentence, **anew)
    connection.execute(sa.delete(t.catalogue).where(t.catalogue.c.series_id == held["id"]))


def _count(connection: sa.Connection, series_id: int) -> None:
    i = t.instances.c
    count = sa.select(sa.func.count()).select_from(t.instances).where(i.series_id == series_id)
    change = sa.update(t.series).where(t.series.c.id == series_id)
    connection.execute(change.values(instances=count.scalar_subquery()))


def _hold(connection: sa.Connection, row: sa.RowMapping, by: By) -> None:
    if State(row["state"]) in (State.RECEIVING, State.QUEUED, State.RUNNING):
        change = sa.update(t.series).where(t.series.c.id == row["id"])
        connection.execute(change.values(held_by=row["held_by"] or by.who))


def _tell_own_row(connection: sa.Connection, prepared: Prepared, sentence: str) -> None:
    """Say it in the row of the series that was to be the correction, where that is empty."""
    s = t.series.c
    query = sa.select(t.series).where(
        s.series_instance_uid == prepared.series_instance_uid, s.id != prepared.series_id
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return
    add_event(connection, row["id"], "dismiss", sentence)
    if not row["instances"]:
        move_series(connection, row, State(row["state"]), sentence)


def _changed() -> Rejected:
    return Rejected(
        "The correction is not what was looked at: something came or was decided meanwhile.",
        code="CORRECTION_CHANGED",
        remedy="Look at the series again and decide on what is there now.",
    )
