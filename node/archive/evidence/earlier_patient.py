"""A series that comes again after its files were removed, of another patient than it was.

What it was is known from what retention left of its sCT: that one may still be used somewhere.
"""

from typing import Any

import sqlalchemy as sa

from node.archive.rows.whereabouts import places_of
from node.archive.schema import tables as t
from node.domain.findings import Finding, finding
from node.domain.names import person_name

CODE = "EARLIER_OTHER_PATIENT"


def findings_of(connection: sa.Connection, row: sa.RowMapping) -> list[Finding]:
    """One for each sCT that may be elsewhere, is not withdrawn, and names another patient."""
    r, k = t.runs.c, t.tombstones.c
    query = (
        sa.select(r.id, r.attempt, r.revision, k.header, k.study_instance_uid)
        .join(t.runs, r.id == k.run_id)
        .where(r.series_id == row["id"], r.withdrawn_at.is_(None))
        .order_by(r.id)
    )
    now = _says(row["patient_id"], row["patient_name"])
    found = []
    for run in connection.execute(query):
        was = _says(run.header.get("PatientID", ""), run.header.get("PatientName", ""))
        if was != now or run.study_instance_uid != row["study_instance_uid"]:
            places = places_of(connection, run.id)
            found.append(_finding(row, run, ", ".join(place.name for place in places)))
    return found


def _says(patient_id: str, patient_name: str) -> tuple[str, str]:
    return patient_id.strip(), person_name(patient_name)


def _finding(row: sa.RowMapping, run: Any, places: str) -> Finding:
    header = run.header
    was = (header.get("PatientID"), header.get("PatientName"), run.study_instance_uid)
    now = (row["patient_id"], row["patient_name"], row["study_instance_uid"])
    return finding(
        CODE,
        attempt=run.attempt,
        revision=run.revision,
        was=_named(*was),
        now=_named(*now),
        places=places,
        uids=[row["series_instance_uid"]],
    )


def _named(patient_id: str | None, patient_name: str | None, study: str) -> str:
    return f"{patient_id or '–'} {person_name(patient_name or '') or '–'}, {study}"
