"""The steps on a stored series: what they read and write, without engine and network."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import sqlalchemy as sa

from node.archive.evidence import conflicts
from node.archive.files import CONFLICTS, Folder, instance_name
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.archive.schema.records import StoredInstance
from node.archive.work.runs import Runs
from node.domain.errors import Defect, Retryable
from node.domain.plan import SctResult
from node.domain.reading import Reader
from node.domain.site import read_site
from node.flow.series import SeriesWork
from node.flow.step_context import Bench, Rules
from node.flow.steps import STEPS
from node.flow.workfiles import WorkFile, pack_result, read_work, unpack_result, write_work
from node.infer.generator import Generator
from node.infer.registry import Registry
from tests.phantoms.mr import mr_series
from tests.phantoms.small_mr import data_set_of
from tests.phantoms.tiny_onnx import write_affine_model

SITE: dict[str, Any] = {
    "peers": [
        {"name": "pacs", "ae_title": "PACS", "host": "h", "port": 1, "may": ["send"]},
        {"name": "tps", "ae_title": "TPS", "host": "h", "port": 2},
    ],
    "routes": [
        {"name": "head", "when": {}, "model": "tiny", "deliver_to": ["tps"], "release": "auto"}
    ],
}


def receive_phantom(folder: Folder, engine: sa.Engine, parts: Path, name: str) -> None:
    """Receive the images of a phantom, in small."""
    receiver = Receiver(folder, Index(engine), now=lambda: datetime.now(UTC))
    for path in mr_series((24, 20, 18), (4.0, 4.0, 4.0), name=name).write(parts):
        context = ReceiveContext(
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae="PACS",
            called_ae="PCTNODE",
            peer="pacs",
        )
        receiver.receive(data_set_of(path), context)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A worker's tools over an archive that has received a phantom."""
    write_affine_model(tmp_path / "models", slope=0.2, intercept=-200.0, spacing_mm=4.0)
    model = Registry.scan(tmp_path / "models").find("tiny")
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.db"))
    tables.metadata.create_all(engine)
    folder = Folder(tmp_path / "var")
    receive_phantom(folder, engine, tmp_path / "mr", "phantom")
    return Bench(
        folder=folder,
        runs=Runs(engine),
        site=lambda: read_site(Reader(SITE)),
        model_named=lambda _name: model.ref,
        generator=lambda _ref: Generator(model, providers=("cpu",), memory_budget_bytes=0),
        rules=Rules(software_version="1", label="TEST", mark_synthetic=True),
    )


@pytest.mark.long
def test_the_line_writes_every_object_it_indexes(bench: Bench) -> None:
    """Step after step: the rows name files that are there with their bytes, in order."""
    assert bench.runs.settle_quiet(0.0) == 1
    (open_run,) = bench.runs.unqueued()
    run_id = open_run.id
    work, file = SeriesWork(bench), None
    for name in STEPS:
        said = work.perform(run_id, name, file)
        file = said["file"] or file

    outputs = bench.runs.outputs(run_id)

    assert [o.number for o in outputs] == list(range(1, len(outputs) + 1))
    assert len(outputs) == 24
    for output in outputs:
        data = (bench.folder.root / output.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == output.sha256
    assert not list((bench.folder.root / "tmp").iterdir())


def test_a_changed_file_is_a_defect(bench: Bench) -> None:
    """What was received is compared byte for byte before it is used."""
    bench.runs.settle_quiet(0.0)
    (open_run,) = bench.runs.unqueued()
    run_id = open_run.id
    victim = sorted((bench.folder.root / "instances").rglob("*.dcm"))[7]
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(bytes(data))

    with pytest.raises(Defect, match="not what was received"):
        bench.load(bench.runs.get(run_id))


def line(bench: Bench) -> str:
    """Settle and run the whole line; the state the series ends in."""
    assert bench.runs.settle_quiet(-1.0) == 1
    (open_run,) = bench.runs.unqueued()
    work, file = SeriesWork(bench), None
    for name in STEPS:
        said = work.perform(open_run.id, name, file)
        file = said["file"] or file
        if said["word"] != "go":
            break
    return str(series(bench)["state"])


def series(bench: Bench) -> sa.RowMapping:
    """The row of the phantom's series."""
    with bench.runs.engine.connect() as connection:
        query = sa.select(tables.series).order_by(tables.series.c.id)
        return connection.execute(query).mappings().first()  # type: ignore[return-value]


def keep_aside(bench: Bench, sop_instance_uid: str) -> None:
    """Another object of that UID arrived for the series."""
    uid = series(bench)["series_instance_uid"]
    name = instance_name(uid, sop_instance_uid, "a" * 64, folder=CONFLICTS)
    stored = StoredInstance(
        sop_instance_uid=sop_instance_uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid=uid,
        path=str(name),
        size=1,
        sha256="a" * 64,
        received_at=datetime.now(UTC),
    )
    conflicts.record(Index(bench.runs.engine), stored, "PACS", path=str(name), size=1)


def image_of(bench: Bench, series_instance_uid: str) -> str:
    """SOP Instance UID of an image of that series."""
    with bench.runs.engine.connect() as connection:
        i, s = tables.instances.c, tables.series.c
        query = sa.select(i.sop_instance_uid).join(tables.series, s.id == i.series_id)
        query = query.where(s.series_instance_uid == series_instance_uid).limit(1)
        return str(connection.execute(query).scalar_one())


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("code", ["INSTANCE_UNFILED", "INSTANCE_ELSEWHERE"])
def test_a_series_that_lacks_what_was_received_waits_for_a_person(
    bench: Bench, tmp_path: Path, code: str, late: bool
) -> None:
    """Even where the route releases by itself, and even when everything had been sent."""
    uid = "1.2.3.4"
    if code == "INSTANCE_ELSEWHERE":
        receive_phantom(bench.folder, bench.runs.engine, tmp_path / "other", "other")
        with bench.runs.engine.connect() as connection:
            uids = connection.execute(sa.select(tables.series.c.series_instance_uid)).scalars()
            other = uids.all()[-1]
        uid = image_of(bench, other)
        with bench.runs.engine.begin() as connection:  # it is at rest
            done = sa.update(tables.series).where(tables.series.c.series_instance_uid == other)
            connection.execute(done.values(state="kept"))
    if late:
        assert line(bench) == "delivering"
    keep_aside(bench, uid)

    assert line(bench) == "review"

    row = series(bench)
    assert [f["code"] for f in row["findings"] if f["severity"] == "hold"] == [code]
    assert row["revision"] == (2 if late else 1)


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_another_version_of_an_image_is_told_wherever_the_series_stands(
    bench: Bench, late: bool
) -> None:
    """What came first is used; a person reads that there is another, also after delivery."""
    uid = image_of(bench, series(bench)["series_instance_uid"])
    if late:
        line(bench)
    for _ in range(2):
        keep_aside(bench, uid)
    if not late:
        line(bench)

    row = series(bench)

    assert (row["state"], row["revision"]) == ("delivering", 1)
    codes = [f["code"] for f in row["findings"] if f["severity"] == "warning"]
    assert codes.count("INSTANCE_CONFLICT") == 1


@pytest.mark.long
def test_what_comes_aside_while_the_check_writes_is_not_forgotten(bench: Bench) -> None:
    """The check read the table before, and writes its findings after."""
    bench.runs.settle_quiet(-1.0)
    (run,) = bench.runs.unqueued()
    bench.runs.begin_step(run.id, "check", "Checking.")
    keep_aside(bench, image_of(bench, series(bench)["series_instance_uid"]))

    bench.runs.record_check(run.id, [], route="head", model="tiny")

    assert [f["code"] for f in series(bench)["findings"]] == ["INSTANCE_CONFLICT"]


def grow_stricter(bench: Bench) -> None:
    """Hold thick slices on the route, and have a model that was made for thinner ones."""
    route = SITE["routes"][0] | {"findings": {"SLICES_THICK": "hold"}}
    site = read_site(Reader(SITE | {"routes": [route]}))
    model = bench.model_named("tiny")
    thinner = replace(model, limits=replace(model.limits, slice_limit_mm=3.0))
    bench.site = lambda: site
    bench.model_named = lambda _name: thinner


@pytest.mark.long
def test_a_thread_that_cannot_be_had_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too little memory shows as any of several errors; none of them fails the series."""
    bench.runs.settle_quiet(-1.0)
    (open_run,) = bench.runs.unqueued()

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")  # as CPython says it

    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", start)
        with pytest.raises(Retryable, match="can't start new thread"):
            SeriesWork(bench).perform(open_run.id, "collect", None)

    assert series(bench)["state"] != "failed"
    assert SeriesWork(bench).perform(open_run.id, "collect", None)["word"] == "go"


@pytest.mark.long
def test_what_the_plan_is_made_under_decides_about_release(bench: Bench) -> None:
    """A route that grows stricter between check and plan holds what the check let pass."""
    bench.runs.settle_quiet(-1.0)
    (open_run,) = bench.runs.unqueued()
    work, file = SeriesWork(bench), None
    for name in STEPS:
        said = work.perform(open_run.id, name, file)
        file = said["file"] or file
        if name == "check":
            grow_stricter(bench)

    assert series(bench)["state"] == "review"
    assert [f["code"] for f in series(bench)["findings"] if f["severity"] == "hold"] == [
        "SLICES_THICK"
    ]


@pytest.mark.long
def test_a_worker_that_comes_late_writes_over_nothing(bench: Bench, tmp_path: Path) -> None:
    """Its work was taken over; on its hardware the same network gave another last bit."""
    bench.runs.settle_quiet(-1.0)
    (open_run,) = bench.runs.unqueued()
    work, files = SeriesWork(bench), []
    for name in ("collect", "check", "plan", "synthesise"):
        said = work.perform(open_run.id, name, None)
    files.append(said["file"])
    write_affine_model(tmp_path / "other", slope=0.21, intercept=-200.0, spacing_mm=4.0)
    late = Bench(
        folder=bench.folder,
        runs=bench.runs,
        site=bench.site,
        model_named=bench.model_named,
        generator=lambda _ref: Generator(
            Registry.scan(tmp_path / "other").find("tiny"), providers=("cpu",)
        ),
        rules=bench.rules,
    )
    files.append(SeriesWork(late).perform(open_run.id, "synthesise", None)["file"])
    assert files[0]["sha256"] != files[1]["sha256"]

    work.perform(open_run.id, "encode", files[0])
    before = {p: p.read_bytes() for p in (bench.folder.root / "outputs").rglob("*.dcm")}
    said = SeriesWork(late).perform(open_run.id, "encode", files[0])

    assert said["word"] == "go"
    assert {p: p.read_bytes() for p in before} == before
    outputs = bench.runs.outputs(open_run.id)
    for output in outputs:
        data = (bench.folder.root / output.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == output.sha256


@pytest.mark.long
def test_the_recorded_file_is_encoded_whoever_made_it(bench: Bench) -> None:
    """What this worker made itself does not count once another's file is in the record."""
    made = _made(bench)
    other = replace(made, sct=replace(made.sct, values=made.sct.values + 1))
    file = write_work(bench.folder, "other", pack_result(other))
    bench.keep_result("0" * 64, made)
    (run,) = bench.runs.unfinished() or bench.runs.unqueued()

    SeriesWork(bench).perform(run.id, "encode", file.as_json())

    first = min((bench.folder.root / "outputs").rglob("*.dcm"))
    dataset = pydicom.dcmread(first)
    number = int(dataset.InstanceNumber) - 1
    hu = dataset.pixel_array.astype(int) - 1024
    np.testing.assert_array_equal(hu, other.sct.values[number])


def _made(bench: Bench) -> SctResult:
    """What the synthesis of the phantom's run gives."""
    bench.runs.settle_quiet(-1.0)
    (open_run,) = bench.runs.unqueued()
    work = SeriesWork(bench)
    for name in ("collect", "check", "plan", "synthesise"):
        said = work.perform(open_run.id, name, None)
    return unpack_result(read_work(bench.folder, WorkFile.from_json(said["file"])))


@pytest.fixture
def five_hours_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine far from Greenwich."""
    monkeypatch.setenv("TZ", "Etc/GMT-5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.long
@pytest.mark.usefixtures("five_hours_east")
def test_an_sct_is_made_by_the_clock_on_the_wall(bench: Bench) -> None:
    """The times of its MR are local; one in UTC would seem made before the MR was."""
    line(bench)
    (file, *_) = (bench.folder.root / "outputs").rglob("*.dcm")
    dataset = pydicom.dcmread(file)
    with bench.runs.engine.connect() as connection:
        planned = datetime.fromtimestamp(
            connection.execute(sa.select(tables.runs.c.created_at)).scalar_one(), UTC
        )

    there = planned + timedelta(hours=5)
    assert dataset.SeriesDate + dataset.SeriesTime == there.strftime("%Y%m%d%H%M%S")
    assert str(dataset.ContributingEquipmentSequence[0].ContributionDateTime).endswith("+0500")
