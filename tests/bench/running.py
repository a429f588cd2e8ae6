"""A whole node: from the last slice to the delivered series, start-up, page, and doing nothing."""

import json
import os
import shutil
import statistics
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
import sqlalchemy as sa

from node.archive.schema import tables as t
from node.demo.phantom import make_head
from node.demo.series import write_series
from tests.bench.table import Row
from tests.crash.harness import REPOSITORY, Node, make_node
from tests.peers.dcmtk import run_storescu, start_storescp
from tests.peers.waiting import wait_until
from tests.phantoms import signals
from tests.phantoms.mr import mr_series, uid
from tests.phantoms.tiny_onnx import write_affine_model

HEAD = (200, 256, 256)
SHIPPED = "head-t1"
# The default is 20 s; from half of it on the engine looks often.
QUIET_S = 12.0
_STEPS = ("collect", "check", "plan", "synthesise", "encode", "release")
_IDLE_S = 30.0


def measure(folder: Path, *, rounds: int) -> list[Row]:
    """Rows for delivery split by step, start-up, page and idle."""
    with _running(folder / "arithmetic") as (node, started_s):
        rows = [_row("start-up", "port open and page healthy", started_s, 1)]
        for turned in ("axial", "sagittal"):
            rows += _delivered(node, folder, f"{turned} head", rounds, partial(_phantom, turned))
        rows += _page(node, rounds)
        rows.append(_idle(node))
    return rows


def measure_shipped(folder: Path, *, rounds: int) -> list[Row]:
    """Rows for delivery split by step with the shipped model."""
    with _running(folder / "shipped", SHIPPED) as (node, _):
        return _delivered(node, folder, SHIPPED, rounds, _anatomical)


@contextmanager
def _running(folder: Path, model: str = "tiny") -> Iterator[tuple[Node, float]]:
    """A node with that model between real peers, and the seconds until its page answered."""
    with ExitStack() as stack:
        tps = start_storescp(folder / "tps", options=["--max-pdu", "131072"])
        stack.callback(tps.stop)
        node = make_node(folder / "node", tps, quiet_s=QUIET_S, acceptors=2)
        models = node.folder / "models"
        if model == "tiny":
            write_affine_model(models, slope=0.2, intercept=-200.0, spacing_mm=1.0)
        else:
            shutil.copytree(REPOSITORY / "onnx" / model, models / model)
        text = node.config.read_text()
        node.config.write_text(text.replace('model = "tiny"', f'model = "{model}"'))
        begun = time.monotonic()
        node.start()
        stack.callback(node.stop)
        wait_until(node.healthy, "the page", timeout_s=120)
        yield node, time.monotonic() - begun


def _phantom(orientation: str, folder: Path) -> tuple[str, list[Path]]:
    made = mr_series(HEAD, (1.0, 1.0, 1.0), orientation, signal=signals.body, name=folder.name)
    return str(made.datasets[0].SeriesInstanceUID), made.write(folder)


def _anatomical(folder: Path) -> tuple[str, list[Path]]:
    """The demonstration's head as a scanner's 3D sagittal series, under UIDs of its own."""
    slices, rows, columns = HEAD
    paths = write_series(make_head((rows, columns, slices)), folder)
    series, study = uid(folder.name, "series"), uid(folder.name, "study")
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
        dataset.SOPInstanceUID = uid(folder.name, "instance", number)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path)
    return str(series), paths


def _delivered(
    node: Node,
    folder: Path,
    name: str,
    rounds: int,
    make: Callable[[Path], tuple[str, list[Path]]],
) -> list[Row]:
    splits: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        series, files = make(folder / f"{name} {number}")
        sent = run_storescu(node.dicom_port, files)
        assert sent.returncode == 0, sent.stderr[-2000:]
        wait_until(partial(_is_delivered, node, series), "delivery", timeout_s=900)
        split = split_of(node, series)
        sys.stderr.write(f"{name} {number}: {split['all but the network']:.2f} s\n")
        if number:  # the first one opens the session of the model
            for what, seconds in split.items():
                splits[what].append(seconds)
    return [
        _row("delivered", f"{name}: {step}", statistics.median(values), rounds)
        for step, values in splits.items()
    ]


def split_of(node: Node, series_instance_uid: str) -> dict[str, float]:
    """Seconds of each part from the last slice to the confirmed series, quiet time taken out."""
    s, r, d = t.series, t.runs, t.deliveries
    engine = node.engine()
    with t.reading(engine).begin() as connection:
        series = connection.execute(
            sa.select(s).where(s.c.series_instance_uid == series_instance_uid)
        ).one()
        run = connection.execute(sa.select(r).where(r.c.series_id == series.id)).one()
        steps = {
            row.name: row
            for row in connection.execute(sa.select(t.steps).where(t.steps.c.run_id == run.id))
        }
        delivery = connection.execute(sa.select(d).where(d.c.run_id == run.id)).one()
    engine.dispose()
    return _split(series, steps, delivery, _network_s(node))


def _split(
    series: Any, steps: Mapping[str, Any], delivery: Any, network_s: float
) -> dict[str, float]:
    begun = series.last_received_at + QUIET_S
    named = [name for name in _STEPS if name in steps]
    split = {"noticed and taken up": steps[named[0]].started_at - begun}
    busy = 0.0
    for name in named:
        took_s = steps[name].finished_at - steps[name].started_at
        busy += took_s
        split[name] = took_s - network_s if name == "synthesise" else took_s
    whole = steps[named[-1]].finished_at - steps[named[0]].started_at
    split["between the steps"] = whole - busy
    split["delivery"] = delivery.updated_at - steps[named[-1]].finished_at
    split["the network's own pass"] = network_s
    split["all but the network"] = delivery.updated_at - begun - network_s
    return split


def _network_s(node: Node) -> float:
    """How long the network itself took for the last sCT."""
    made = [line for line in node.log.read_text().splitlines() if '"sct_made"' in line]
    return float(json.loads(made[-1])["seconds"]["network"])


def _is_delivered(node: Node, uid: str) -> bool:
    items = {i["series_instance_uid"]: i["state"] for i in node.series()}
    state = items.get(uid)
    assert state not in {"refused", "failed", "kept", "review"}, (state, node.said())
    return state == "delivered"


def _page(node: Node, rounds: int) -> list[Row]:
    url = f"http://127.0.0.1:{node.web_port}/healthz"
    times = []
    for _ in range(rounds * 20):
        begun = time.perf_counter()
        with urllib.request.urlopen(url, timeout=30) as answer:
            answer.read()
        times.append((time.perf_counter() - begun) * 1e3)
    return [
        Row(
            part="page",
            what="/healthz, process and database",
            ours=statistics.median(times),
            unit="ms",
            rounds=len(times),
        )
    ]


def _idle(node: Node) -> Row:
    assert node.process is not None
    processes = [node.process.pid, *node.children().values()]
    begun, spent = time.monotonic(), _cpu_s(processes)
    wait_until(lambda: time.monotonic() - begun > _IDLE_S, "time to pass", timeout_s=2 * _IDLE_S)
    share = (_cpu_s(processes) - spent) / (time.monotonic() - begun)
    return Row(part="idle", what="all processes", ours=share * 100, unit="% of a core")


def _cpu_s(processes: list[int]) -> float:
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _row(part: str, what: str, seconds: float, rounds: int) -> Row:
    return Row(part=part, what=what, ours=seconds, unit="s", rounds=rounds)
