"""A filled archive: real MR files, real sCT files of known voxels, rows in any state."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from fastapi import FastAPI
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from node.archive.headers.indexed_header import part10_values
from node.archive.people.audit import By
from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.rows.run_rows import queue_run
from node.archive.rows.series_rows import lock_series
from node.archive.rows.whereabouts import How, note, of_peer
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile, ReceivedHeader, StoredInstance
from node.archive.work.decisions import Decisions
from node.archive.work.runs import Runs
from node.dicom.headers import read_instance
from node.dicom.pixels import mr_volume
from node.domain.findings import Finding, finding_json
from node.domain.geometry import Grid
from node.domain.plan import ModelRef, ReleasePolicy, SctResult
from node.domain.site import Route, When
from node.domain.states import State
from node.domain.volume import Unit, Volume
from node.flow.plans import plan_json
from node.flow.workfiles import pack_result
from node.pipeline import collect, encode, make_plan
from node.web.app import create_app
from tests.phantoms.mr import part10

MODEL = ModelRef(
    name="head-t1", version="1.3.0", sha256="5a" * 32, body_part="HEAD", spacing_mm=1.0
)
Hu = Callable[[Volume, Grid], NDArray[np.int16]]
Doubt = Callable[[Grid], NDArray[np.float32]]


@dataclass(kw_only=True)
class Shelf:
    """An archive folder and its database."""

    root: Path
    engine: sa.Engine = field(init=False)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.engine = t.open_engine(t.sqlite_url(self.root / "node.sqlite"))
        t.metadata.create_all(self.engine)
        self.index, self.runs = Index(self.engine), Runs(self.engine)
        self.queries = Queries(self.engine)

    def receive(self, datasets: Sequence[FileDataset], **header: str) -> int:
        """Archive the instances of one MR series as C-STORE would; gives its id."""
        first = datasets[0]
        told = ReceivedHeader(
            study_instance_uid=str(first.StudyInstanceUID),
            patient_id=header.get("patient_id", str(first.PatientID)),
            patient_name=header.get("patient_name", str(first.PatientName)),
            accession_number=header.get("accession_number", ""),
            series_description=header.get("description", str(first.get("SeriesDescription", ""))),
            body_part=header.get("body_part", "HEAD"),
            modality="MR",
            calling_ae=header.get("calling_ae", "MR_SIM1"),
            called_ae="PCTNODE",
            peer="pacs",
        )
        self.index.add_instances([(self._store(d), told) for d in datasets])
        found = self.queries.series_id(str(first.SeriesInstanceUID))
        assert found is not None
        return found

    def _store(self, dataset: FileDataset) -> StoredInstance:
        data = part10(dataset)
        path = f"instances/{dataset.SOPInstanceUID}.dcm"
        (self.root / "instances").mkdir(exist_ok=True)
        (self.root / path).write_bytes(data)
        length = int.from_bytes(data[140:144], "little")  # PS3.10 7.1: of the meta information
        return StoredInstance(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_instance_uid=str(dataset.SeriesInstanceUID),
            path=path,
            size=len(data),
            sha256=sha256(data[144 + length :]).hexdigest(),
            received_at=datetime.now(UTC),
        )

    def queue(self, series_id: int, *, attempt: int = 1) -> int:
        """Queue a run of the series; gives the run's id."""
        with self.engine.begin() as connection:
            row = lock_series(connection, series_id)
            queue_run(connection, row, attempt=attempt, sentence="Waiting for a free worker.")
            run = t.runs.c
            query = sa.select(run.id).where(run.series_id == series_id).order_by(run.id.desc())
            return int(connection.execute(query.limit(1)).scalar_one())

    def synthesise(
        self,
        series_id: int,
        datasets: Sequence[FileDataset],
        hu: Hu,
        *,
        findings: Sequence[Finding] = (),
        uncertainty: Doubt | None = None,
        release: ReleasePolicy = ReleasePolicy.SIGNATURE,
        destinations: tuple[str, ...] = ("ECLIPSE_RT",),
        spacing_mm: float = 1.0,
        attempt: int = 1,
        model: ModelRef = MODEL,
    ) -> int:
        """Make the sCT of a received series as the worker would, up to review; gives the run."""
        run_id = self.queue(series_id, attempt=attempt)
        model = replace(model, spacing_mm=spacing_mm)
        sources = {str(d.SOPInstanceUID): d for d in datasets}
        stack = collect(read_instance(d) for d in datasets)[0]
        run = self.runs.get(run_id)
        plan = make_plan(
            stack,
            model=model,
            route=route(destinations, release),
            attempt=attempt,
            software_version="0.1.0",
            created_at=run.created_at,
            predecessor_series_uid=run.predecessor_series_uid,
        )
        self.step(run_id, "collect", f"{len(sources)} instance(s), 1 stack(s).")
        self.step(run_id, "check", f"Route brain; {len(findings)} finding(s).")
        self.runs.record_check(run_id, [], route="brain", model=model.name)
        self.runs.record_plan(run_id, plan_json(plan, stack=0))
        slices, rows, columns = plan.grid.shape
        self.step(
            run_id,
            "plan",
            f"{model.name} {model.version}, {slices} slices of {rows} x {columns} at 1 mm.",
        )
        mr = mr_volume(stack, sources)
        result = _result(mr, plan.grid, hu, findings, uncertainty)
        self.step(run_id, "synthesise", result.runtime)
        self.runs.record_quality(run_id, [finding_json(f, stage="quality") for f in findings])
        self._keep(run, pack_result(result))
        encoded = encode(result, plan, stack, sources[stack.header.sop_instance_uid])
        self.runs.record_outputs(run_id, [self._output(e) for e in encoded])
        self.step(run_id, "encode", f"{len(encoded)} CT images, 12.0 MB, read back and compared.")
        self.step(run_id, "release", "The route asks for a signature.")
        self.runs.finish(run_id, State.REVIEW, "The route asks for a signature.")
        return run_id

    def step(self, run_id: int, name: str, sentence: str) -> None:
        """Begin and end a step."""
        self.runs.begin_step(run_id, name, "Under way.")
        self.runs.end_step(run_id, name, sentence)

    def _keep(self, run: Any, data: bytes) -> None:
        name = f"{run.series_instance_uid}-{run.revision}-{run.attempt}.npz"
        (self.root / "view").mkdir(exist_ok=True)
        (self.root / "view" / name).write_bytes(data)

    def _output(self, encoded: Any) -> OutputFile:
        path = f"outputs/{encoded.sop_instance_uid}.dcm"
        (self.root / "outputs").mkdir(exist_ok=True)
        (self.root / path).write_bytes(encoded.data)
        return OutputFile(
            sop_instance_uid=encoded.sop_instance_uid,
            sop_class_uid=encoded.sop_class_uid,
            transfer_syntax_uid=encoded.transfer_syntax_uid,
            series_instance_uid=encoded.series_instance_uid,
            number=encoded.instance_number,
            kind="ct",
            stack=0,
            path=path,
            size=len(encoded.data),
            sha256=sha256(encoded.data).hexdigest(),
            values=part10_values(encoded.data, encoded.transfer_syntax_uid),
        )

    def set(self, series_id: int, **values: Any) -> None:
        """Write columns of a series, past the table of states."""
        with self.engine.begin() as connection:
            row = sa.update(t.series).where(t.series.c.id == series_id)
            connection.execute(row.values(**values))

    def row(self, number: int, **values: Any) -> int:
        """One series without files, for the queue alone."""
        now = datetime.now(UTC).timestamp()
        columns: dict[str, Any] = {
            "series_instance_uid": f"1.2.3.{number}",
            "study_instance_uid": f"1.2.4.{number}",
            "findings": [],
            "created_at": now,
            "last_received_at": now,
            "state": "receiving",
            "state_at": now,
            "calling_ae": "MR_SIM1",
            "body_part": "HEAD",
        } | values
        with self.engine.begin() as connection:
            insert = sa.insert(t.series).values(**columns).returning(t.series.c.id)
            return int(connection.execute(insert).scalar_one())

    def run_row(self, series_id: int, *, outputs: bool = False, **values: Any) -> int:
        """The present run of a series without files."""
        now = datetime.now(UTC).timestamp()
        columns: dict[str, Any] = {
            "series_id": series_id,
            "workflow_id": f"w-{series_id}",
            "created_at": now,
        } | values
        with self.engine.begin() as connection:
            insert = sa.insert(t.runs).values(**columns).returning(t.runs.c.id)
            return int(connection.execute(insert).scalar_one())

    def step_row(self, run_id: int, name: str, **values: Any) -> None:
        """A step that runs, of a run without files."""
        columns = {"started_at": datetime.now(UTC).timestamp()} | values
        with self.engine.begin() as connection:
            connection.execute(sa.insert(t.steps).values(run_id=run_id, name=name, **columns))

    def delivery_row(self, run_id: int, destination: str, state: str, sentence: str) -> None:
        """One delivery of a run without files."""
        now = datetime.now(UTC).timestamp()
        values: Mapping[str, Any] = {
            "run_id": run_id,
            "destination": destination,
            "state": state,
            "sentence": sentence,
            "attempts": 3,
            "updated_at": now,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(t.deliveries).values(values))
            if state in ("sent", "confirmed"):
                note(connection, [run_id], of_peer(destination, How.DELIVERY))


@dataclass(frozen=True, slots=True)
class Deciding:
    """A flow of which nothing has left: rejecting is nothing more than that."""

    decisions: Decisions

    def reject(self, series_id: int, by: By, *, reason: str) -> str:
        """Refuse the sCT."""
        return self.decisions.reject(series_id, by, reason=reason)


def page_of(shelf: Shelf) -> FastAPI:
    """The web application on a shelf; what a person decides is written there and stays there."""
    return create_app(
        queries=shelf.queries,
        flow=Deciding(Decisions(shelf.engine)),
        archive_root=shelf.root,
        ae_title="PCTNODE",
        dicom_port=11112,
    )


def route(destinations: Sequence[str], release: ReleasePolicy) -> Route:
    """A route to ``destinations``."""
    return Route(
        name="brain",
        when=When(senders=(), patterns={}),
        model=MODEL.name,
        deliver_to=tuple(destinations),
        release=release,
    )


def _result(
    mr: Volume,
    grid: Grid,
    hu: Hu,
    findings: Sequence[Finding],
    uncertainty: Doubt | None,
) -> SctResult:
    values = hu(mr, grid)
    frame = mr.frame_of_reference_uid

    def volume(array: NDArray[Any]) -> Volume:
        return Volume(values=array, affine=grid.affine, frame_of_reference_uid=frame, unit=Unit.HU)

    return SctResult(
        sct=volume(values),
        uncertainty=None if uncertainty is None else volume(uncertainty(grid)),
        body=values > -500,
        findings=tuple(findings),
        runtime="ONNX Runtime 1.31.0, CPU, whole volume",
    )
