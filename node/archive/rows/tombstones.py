"""What retention leaves of an sCT that may be elsewhere: enough to withdraw it years later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.rows.series_rows import insert_missing
from node.archive.rows.whereabouts import may_have_left
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile

_KEPT = ("kind", "stack", "number", "sop_class_uid", "sop_instance_uid", "series_instance_uid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """An sCT whose files are not here any more."""

    header: Mapping[str, Any]
    """Attributes of patient and study, by keyword."""
    files: tuple[OutputFile, ...]
    """Its objects, without a path."""


def raise_tombstones(connection: sa.Connection, series_id: int) -> None:
    """Keep what names the objects of a series' runs that may be elsewhere, before they go."""
    r, o, c = t.runs.c, t.outputs, t.catalogue.c
    runs = sa.select(r.id).where(r.series_id == series_id, may_have_left(r.id))
    for run_id in connection.scalars(runs).all():
        own = sa.select(o).where(o.c.run_id == run_id).order_by(o.c.stack, o.c.kind, o.c.number)
        rows = connection.execute(own).mappings().all()
        query = sa.select(c.study_instance_uid, c.header).where(c.run_id == run_id)
        of_study = connection.execute(query.order_by(c.series_instance_uid)).first()
        if rows and of_study is not None:
            values = {
                "run_id": run_id,
                "study_instance_uid": of_study.study_instance_uid,
                "header": of_study.header,
                "objects": [{name: row[name] for name in _KEPT} for row in rows],
            }
            insert_missing(connection, t.tombstones, values)


def tombstone_of(connection: sa.Connection, run_id: int) -> Tombstone | None:
    """What was kept of a run; None where nothing was."""
    query = sa.select(t.tombstones).where(t.tombstones.c.run_id == run_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Tombstone(
        header=row["header"] | {"StudyInstanceUID": row["study_instance_uid"]},
        files=tuple(
            OutputFile(**one, transfer_syntax_uid="", path="", size=0, sha256="")
            for one in row["objects"]
        ),
    )
