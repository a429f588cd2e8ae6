"""The steps on a stored series: what they read and write, without engine and network."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.archive import tables
from node.archive.arrival import ReceiveContext
from node.archive.files import Folder
from node.archive.index import Index
from node.archive.receive import Receiver
from node.archive.runs import Runs
from node.domain.errors import Defect
from node.domain.reading import Reader
from node.domain.site import read_site
from node.flow.bench import Bench, Rules
from node.flow.series import SeriesWork
from node.flow.steps import STEPS
from node.infer.generator import Generator
from node.infer.registry import Registry
from tests.interop.receiving import data_set_of
from tests.phantoms.mr import mr_series
from tests.phantoms.tiny_onnx import write_affine_model

SITE = {
    "peers": [
        {"name": "pacs", "ae_title": "PACS", "host": "h", "port": 1, "may": ["send"]},
        {"name": "tps", "ae_title": "TPS", "host": "h", "port": 2},
    ],
    "routes": [
        {"name": "head", "when": {}, "model": "tiny", "deliver_to": ["tps"], "release": "auto"}
    ],
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A worker's tools over an archive that has received a phantom."""
    write_affine_model(tmp_path / "models", slope=0.2, intercept=-200.0, spacing_mm=4.0)
    model = Registry.scan(tmp_path / "models").find("tiny")
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.db"))
    tables.metadata.create_all(engine)
    folder = Folder(tmp_path / "var")
    receiver = Receiver(folder, Index(engine), now=lambda: datetime.now(UTC))
    for path in mr_series((24, 20, 18), (4.0, 4.0, 4.0)).write(tmp_path / "mr"):
        context = ReceiveContext(
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae="PACS",
            called_ae="PCTNODE",
            peer="pacs",
        )
        receiver.receive(data_set_of(path), context)
    return Bench(
        folder=folder,
        runs=Runs(engine),
        site=lambda: read_site(Reader(SITE)),
        model_named=lambda _name: model.ref,
        generator=lambda _ref: Generator(model, providers=("cpu",), memory_budget_bytes=0),
        rules=Rules(software_version="1", label="TEST", mark_synthetic=True),
    )


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
