"""Two patients under one Study Instance UID: whose study it is, no series can say by itself."""

from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import ARRIVAL, with_finding
from node.archive.evidence.corrections import stop
from node.archive.rows.series_rows import add_event
from node.archive.schema import tables as t
from node.domain.findings import Finding, finding, finding_json
from node.domain.names import person_name

_STOPPED = "Stopped: its study also holds series {other} of another patient."


def tell_both(connection: sa.Connection, series_id: int) -> bool:
    """Tell a series, and each of another patient in its study, of one another; stop those.

    Whether the series hears of it for the first time. One that was told before, and was released by
    somebody who had read it, is left alone.
    """
    if not _others(connection, series_id):
        return False
    rows = _locked(connection, series_id)
    row = rows.pop(series_id)
    new = False
    for other in rows.values():
        if not _is_another(row, other):
            continue
        new |= _tell(connection, row, other)
        row = _again(connection, series_id)
        if _tell(connection, other, row):
            stop(connection, _again(connection, other["id"]), _STOPPED.format(other=series_id))
    return new


def _others(connection: sa.Connection, series_id: int) -> list[sa.RowMapping]:
    s = t.series.c
    study = sa.select(s.study_instance_uid).where(s.id == series_id).scalar_subquery()
    query = sa.select(t.series).where(s.study_instance_uid == study)
    rows = list(connection.execute(query).mappings())
    own = next(row for row in rows if row["id"] == series_id)
    return [row for row in rows if row is not own and _is_another(own, row)]


def _locked(connection: sa.Connection, series_id: int) -> dict[int, sa.RowMapping]:
    """Every series of the study, locked in the order in which everybody locks them."""
    s = t.series.c
    study = sa.select(s.study_instance_uid).where(s.id == series_id).scalar_subquery()
    query = sa.select(t.series).where(s.study_instance_uid == study)
    query = query.order_by(s.series_instance_uid).with_for_update()
    return {row["id"]: row for row in connection.execute(query).mappings()}


def _again(connection: sa.Connection, series_id: int) -> sa.RowMapping:
    query = sa.select(t.series).where(t.series.c.id == series_id)
    return connection.execute(query).mappings().one()


def _is_another(one: sa.RowMapping, other: sa.RowMapping) -> bool:
    """Whether both name a patient, and not the same (PS3.5: ``X^Y^`` is ``X^Y``)."""
    if not (one["instances"] and other["instances"]):
        return False
    ids = {row["patient_id"].strip() for row in (one, other)} - {""}
    names = {person_name(row["patient_name"]) for row in (one, other)} - {""}
    return len(ids) > 1 or len(names) > 1


def _tell(connection: sa.Connection, row: sa.RowMapping, other: sa.RowMapping) -> bool:
    found = finding_json(_finding(row, other), stage=ARRIVAL)
    told: list[Any] = with_finding(row["findings"], found)
    if len(told) == len(row["findings"]):
        return False
    change = sa.update(t.series).where(t.series.c.id == row["id"])
    connection.execute(change.values(findings=told))
    add_event(connection, row["id"], "conflict", _STOPPED.format(other=other["id"]))
    return True


def _finding(row: sa.RowMapping, other: sa.RowMapping) -> Finding:
    return finding(
        "STUDY_TWO_PATIENTS",
        study=row["study_instance_uid"],
        series=other["id"],
        other=_patient(other),
        this=_patient(row),
        uids=[other["series_instance_uid"]],
    )


def _patient(row: sa.RowMapping) -> str:
    return f"{row['patient_id'] or '–'} {person_name(row['patient_name']) or '–'}"
