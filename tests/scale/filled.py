"""An archive of any number of delivered series, written straight into the tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.archive.schema.migrate import upgrade

_BATCH = 1000
_BEGAN = 1_700_000_000.0


def filled(folder: Path, series: int, *, instances: int = 1) -> sa.Engine:
    """A database with ``series`` series that were received, made and delivered long ago."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = t.open_engine(t.sqlite_url(folder / "node.sqlite"))
    upgrade(engine, lock_file=folder / "migrate.lock")
    for first in range(1, series + 1, _BATCH):
        numbers = range(first, min(first + _BATCH, series + 1))
        with engine.begin() as connection:
            for table, rows in _tables(numbers, instances):
                connection.execute(sa.insert(table), rows)
    return engine


def _tables(numbers: range, instances: int) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
    yield t.series, [_series(n, instances) for n in numbers]
    yield t.instances, [_instance(n, i) for n in numbers for i in range(instances)]
    yield t.catalogue, [_catalogue(n) for n in numbers]
    yield t.runs, [_run(n) for n in numbers]
    yield t.outputs, [_output(n, i) for n in numbers for i in range(instances)]
    yield t.deliveries, [_delivery(n) for n in numbers]
    yield t.steps, [_step(n, name) for n in numbers for name in ("collect", "synthesise")]
    yield t.events, [_event(n, kind) for n in numbers for kind in ("receiving", "delivered")]


def _series(n: int, instances: int) -> dict[str, Any]:
    return {
        "id": n,
        "series_instance_uid": f"1.2.{n}",
        "study_instance_uid": f"1.3.{n // 3}",
        "patient_id": f"P{n // 5}",
        "patient_name": f"NAME^{n // 5}",
        "accession_number": f"A{n // 3}",
        "description": "T1",
        "modality": "MR",
        "calling_ae": "PACS",
        "peer": "pacs",
        "instances": instances,
        "created_at": _BEGAN + n,
        "last_received_at": _BEGAN + n,
        "state": "delivered",
        "state_at": _BEGAN + n + 60,
        "sentence": "Delivered to tps.",
        "findings": [],
    }


def _instance(n: int, number: int) -> dict[str, Any]:
    return {
        "sop_instance_uid": f"1.2.{n}.{number}",
        "series_id": n,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "path": f"instances/1.2.{n}/1.2.{n}.{number}.dcm",
        "size": 1,
        "sha256": "0",
        "received_at": _BEGAN + n,
        "header": {},
    }


def _catalogue(n: int) -> dict[str, Any]:
    return {
        "series_instance_uid": f"1.2.{n}",
        "study_instance_uid": f"1.3.{n // 3}",
        "patient_id": f"P{n // 5}",
        "folded_name": f"name^{n // 5}",
        "study_date": f"2026{n % 12 + 1:02d}{n % 28 + 1:02d}",
        "accession_number": f"A{n // 3}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "header": {
            "Modality": "MR",
            "StudyInstanceUID": f"1.3.{n // 3}",
            "PatientID": f"P{n // 5}",
            "StudyDate": f"2026{n % 12 + 1:02d}{n % 28 + 1:02d}",
        },
        "series_id": n,
    }


def _run(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "series_id": n,
        "workflow_id": f"series-1.2.{n}-1-1",
        "created_at": _BEGAN + n,
        "enqueued_at": _BEGAN + n,
        "finished_at": _BEGAN + n + 50,
        "released_at": _BEGAN + n + 50,
        "plan": {"destinations": ["tps"]},
    }


def _output(n: int, number: int) -> dict[str, Any]:
    return {
        "sop_instance_uid": f"1.4.{n}.{number}",
        "run_id": n,
        "kind": "ct",
        "series_instance_uid": f"1.4.{n}",
        "number": number,
        "path": f"outputs/1.4.{n}/{number}.dcm",
        "size": 1,
        "sha256": "0",
    }


def _delivery(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "run_id": n,
        "destination": "tps",
        "state": "sent",
        "enqueued_at": _BEGAN + n,
        "updated_at": _BEGAN + n + 60,
    }


def _step(n: int, name: str) -> dict[str, Any]:
    at = _BEGAN + n
    return {"run_id": n, "name": name, "started_at": at, "finished_at": at + 2}


def _event(n: int, kind: str) -> dict[str, Any]:
    return {"series_id": n, "at": _BEGAN + n, "kind": kind, "sentence": kind}
