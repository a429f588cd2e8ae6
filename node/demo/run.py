"""What ``pctnode demo`` does: the main job once, over real DICOM associations on loopback.

phantom -> MR files -> C-STORE client -> node -> C-STORE server -> CT files -> picture.
"""

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset

import node
from node.demo import partners, picture
from node.demo.phantom import make_head
from node.demo.series import write_series
from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import mr_volume
from node.domain.errors import Misconfigured, NodeError, Rejected, Retryable
from node.domain.geometry import Grid, affine_from_dicom
from node.domain.stack import Stack
from node.domain.volume import Unit, Volume
from node.pipeline import collect

_ENDS = {"delivered", "refused", "review", "rejected", "failed", "kept"}
_PATIENCE_S = 3600.0
_MARK = "pctnode-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the demonstration's files lie."""

    out: Path

    @property
    def mr(self) -> Path:
        """MR files that are pushed, when generated."""
        return self.out / "mr"

    @property
    def sct(self) -> Path:
        """Synthetic CT as the server received it."""
        return self.out / "sct"

    @property
    def data(self) -> Path:
        """The node's own archive and database."""
        return self.out / "node"

    @property
    def config(self) -> Path:
        """The node's settings file."""
        return self.out / "node.toml"

    @property
    def picture(self) -> Path:
        """What there is to see."""
        return self.out / "demo.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ports:
    """Ports of the loopback interface that were free when the demonstration began."""

    dicom: int
    """Where the node listens."""
    web: int
    """The node's page."""
    server: int
    """The C-STORE server the sCT goes to."""


def run_demo(*, series: Path | None, out: Path) -> int:
    """Run the demonstration and return the exit status; ``series`` is a folder of one's own MR."""
    # A shell that ends us must not leave node and server behind: leave by the context managers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    place = _Place(out=out.resolve())
    source = series.resolve() if series is not None else place.mr
    if series is not None and not source.is_dir():
        raise Misconfigured(f"{series} is not a folder.", remedy="Name a folder of DICOM files.")
    if series is not None and source.is_relative_to(place.out):
        raise Misconfigured(
            f"{series} lies in {out}, which is emptied first.",
            remedy="Copy the series elsewhere or name another folder with --out.",
        )
    _clear(place)
    if series is None:
        _say("making a head phantom")
        write_series(make_head(), source)
    stack, datasets = _read_mr(source)
    _say(f"MR series: {len(datasets)} instances, {stack.header.series_description or 'unnamed'}")
    ports = _Ports(
        dicom=partners.free_port(), web=partners.free_port(), server=partners.free_port()
    )
    place.config.write_text(_settings(place, ports))
    item = _exchange(place, ports, source, stack)
    sct = _received(place.sct, stack)
    picture.draw(mr_volume(stack, datasets), sct, place.picture)
    _summary(place, ports, item, sct, time.monotonic() - begun)
    return 0


def _clear(place: _Place) -> None:
    """Empty the output folder of an earlier demonstration; touch no folder that is not one."""
    mark = place.out / _MARK
    if place.out.exists() and any(place.out.iterdir()) and not mark.exists():
        raise Misconfigured(
            f"{place.out} exists and was not made by a demonstration.",
            remedy="Name another folder with --out.",
        )
    if place.out.exists():
        shutil.rmtree(place.out)
    place.sct.mkdir(parents=True)
    mark.write_text("This folder is made anew by each `pctnode demo`.\n")


def _read_mr(folder: Path) -> tuple[Stack, dict[str, FileDataset]]:
    """Largest MR stack of a folder, and its data sets by SOP Instance UID."""
    datasets: dict[str, FileDataset] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            dataset = read_file(path.read_bytes(), name=path.name)
        except Rejected:
            continue
        if dataset.get("Modality") == "MR":
            datasets[str(dataset.get("SOPInstanceUID", ""))] = dataset
    stacks = collect(read_instance(dataset) for dataset in datasets.values())
    if not stacks:
        raise Misconfigured(f"{folder} holds no MR image.", remedy="Name a folder of an MR series.")
    wanted = stacks[0].sop_instance_uids
    return stacks[0], {uid: datasets[uid] for uid in wanted}


def _exchange(place: _Place, ports: _Ports, source: Path, stack: Stack) -> dict[str, Any]:
    """Start everybody, push the MR and wait until the sCT is delivered; nobody is left running."""
    server = ["pynetdicom", "storescp", str(ports.server), "-aet", "TPS", "-ba", "127.0.0.1", "-v"]
    logs = {name: place.out / f"{name}.log" for name in ("server", "client", "node")}
    with (
        partners.running("storescp", [*server, "-od", str(place.sct)], logs["server"]) as receiver,
        partners.running(
            "the node", ["node", "serve", "--config", str(place.config)], logs["node"]
        ) as ours,
    ):
        partners.wait_for_port(receiver, ports.server, "The C-STORE server", logs["server"])
        partners.wait_for_port(ours, ports.dicom, "The node", logs["node"])
        _say(f"node PCTNODE listens on 127.0.0.1:{ports.dicom}; pushing the MR series with C-STORE")
        partners.send(source, ports.dicom, calling="PACS", called="PCTNODE", log=logs["client"])
        uid = stack.header.series_instance_uid
        return _watch(uid, ports.web, ours, logs["node"])


def _settings(place: _Place, ports: _Ports) -> str:
    models = Path("onnx").resolve()
    if not models.is_dir():
        models = Path(node.__file__).parents[1] / "onnx"
    return f"""\
# Written by `pctnode demo`.
[node]
ae_title = "PCTNODE"
data_dir = '{place.data}'

[dicom]
port = {ports.dicom}
acceptors = 1

[web]
port = {ports.web}
auth = "none"

[intake]
quiet_s = 2

[inference]
models_dir = '{models}'

[retention]
min_free_gb = 1

[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {ports.server}
may = ["send"]

[[peers]]
name = "tps"
ae_title = "TPS"
host = "127.0.0.1"
port = {ports.server}
may = ["query"]

[[routes]]
name = "head"
when = {{ from = ["pacs"] }}
model = "{_newest_model(models)}"
deliver_to = ["tps"]
release = "auto"
"""


def _newest_model(models: Path) -> str:
    names = sorted({path.parents[1].name for path in models.glob("*/*/manifest.json")})
    if not names:
        raise Misconfigured(f"{models} holds no model.", remedy="See models/ on how to make one.")
    return "head-t1" if "head-t1" in names else names[0]


def _watch(uid: str, web_port: int, process: Any, log: Path) -> dict[str, Any]:
    """Print each new sentence of the series until it ends; raise unless it was delivered."""
    deadline, said = time.monotonic() + _PATIENCE_S, ""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Retryable(
                "The node ended too early.", remedy=f"Read {log}: {partners.last_line(log)}"
            )
        item = _item(partners.ask(web_port, "/api/series"), uid)
        sentence = f"{item.get('state')}: {item.get('sentence')}" if item else ""
        if sentence != said:
            said = sentence
            _say(sentence)
        if item and item.get("state") in _ENDS:
            if item["state"] == "delivered":
                return item
            raise _ended_badly(item)
        time.sleep(0.5)
    raise Retryable(f"No synthetic CT after {_PATIENCE_S:g} s.", remedy=f"Read {log}.")


def _item(reply: Any, uid: str) -> dict[str, Any]:
    items = reply.get("items", []) if isinstance(reply, dict) else (reply or [])
    return next((item for item in items if item.get("series_instance_uid") == uid), {})


def _ended_badly(item: dict[str, Any]) -> NodeError:
    said = [f"{f.get('code')}: {f.get('sentence')}" for f in item.get("findings", [])]
    reasons = " ".join(said) or str(item.get("sentence"))
    message = f"The series ended as {item['state']}. {reasons}"
    if item["state"] == "failed":
        return Retryable(message, remedy="Read node.log in the output folder.")
    return Rejected(message, code="DEMO", remedy="Try another series.")


def _received(folder: Path, stack: Stack) -> Volume:
    """The CT series the server holds, checked to be whole and in the MR's space."""
    files = [pydicom.dcmread(BytesIO(p.read_bytes())) for p in folder.iterdir() if p.is_file()]
    slices = sorted((f for f in files if f.get("Modality") == "CT"), key=_number)
    _require(bool(slices), "No CT image arrived.")
    _require(len({f.SeriesInstanceUID for f in slices}) == 1, "More than one CT series arrived.")
    _require([_number(f) for f in slices] == list(range(1, len(slices) + 1)), "Slices are missing.")
    frame, study = stack.header.frame_of_reference_uid, stack.header.study_instance_uid
    _require({f.FrameOfReferenceUID for f in slices} == {frame}, "The frame of reference changed.")
    _require({f.StudyInstanceUID for f in slices} == {study}, "The study changed.")
    return _ct_volume(slices)


def _number(dataset: FileDataset) -> int:
    return int(dataset.InstanceNumber)


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise NodeError(f"The synthetic CT did not arrive as it should. {otherwise}")


def _ct_volume(slices: Sequence[FileDataset]) -> Volume:
    first, last = slices[0], slices[-1]
    start = np.asarray(first.ImagePositionPatient, float)
    step = (np.asarray(last.ImagePositionPatient, float) - start) / max(len(slices) - 1, 1)
    affine = affine_from_dicom(
        position_mm=tuple(start),
        orientation=tuple(map(float, first.ImageOrientationPatient)),
        pixel_spacing_mm=tuple(map(float, first.PixelSpacing)),
        slice_step_mm=step,
    )
    values = np.stack(
        [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in slices]
    )
    grid = Grid(shape=values.shape, affine=affine)
    return Volume(
        values=values.astype(np.int16),
        affine=grid.affine,
        frame_of_reference_uid=str(first.FrameOfReferenceUID),
        unit=Unit.HU,
    )


def _summary(
    place: _Place, ports: _Ports, item: dict[str, Any], sct: Volume, seconds: float
) -> None:
    count, rows, columns = sct.values.shape
    spacing = " x ".join(f"{mm:g}" for mm in sct.grid.spacing_mm)
    lowest, highest = int(sct.values.min()), int(sct.values.max())
    print(f"""
The synthetic CT arrived complete at the C-STORE server TPS after {seconds:.0f} s.
  slices     {count} of {rows} x {columns} voxels, {spacing} mm, {lowest} to {highest} HU
  findings   {", ".join(f["code"] for f in item.get("findings", [])) or "none"}
  MR         {place.mr if place.mr.exists() else "your own series"}
  sCT        {place.sct}
  picture    {place.picture}
  page       pctnode serve --config {place.config}
             then open http://127.0.0.1:{ports.web}/
""")


def _say(sentence: str) -> None:
    if sentence:
        print(f"  {sentence}", flush=True)
