"""C-FIND and C-GET of an archive of 1,000 series, beside Orthanc.

``python -m tests.bench.query_retrieve`` prints the median and 95th percentile of C-FIND by
patient, and the median time of a C-GET of 200 CT slices from the node and from Orthanc, alternated
in the same run.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyFind

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.association import associate
from tests.bench.table import Row
from tests.interop.receiving import start_node
from tests.peers.dcmqrscp import run_getscu
from tests.peers.dcmtk import AS_INSTALLED, ENVIRONMENT
from tests.peers.orthanc import Modality, Orthanc, start_orthanc
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

ROOT = "1.2.826.0.1.3680043.8.498.99"
SLICES, SIDE = 200, 512


def main() -> None:
    """Fill both archives, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-orthanc", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _say(f"Filling an archive of {asked.series} series and one of {SLICES} slices ...")
        fill(folder / "node", asked.series)
        slices = list(ct_slices(folder / "ct"))
        receive(folder / "node", slices)
        node = start_node(folder / "node")
        stack.callback(node.stop)
        report = {"series": asked.series, **find_times(node.port, asked.series, asked.queries)}
        getters = {"node": (node.port, "PCTNODE")}
        if not asked.no_orthanc:
            orthanc = _orthanc(folder, slices)
            stack.callback(orthanc.stop)
            getters["orthanc"] = (orthanc.dicom_port, orthanc.ae_title)
        report |= get_times(folder, getters, asked.rounds)
        _say(json.dumps(report, indent=1))


def rows(folder: Path, *, rounds: int) -> list[Row]:
    """C-GET of 200 CT slices from the node and from Orthanc, for the table of everything."""
    with ExitStack() as stack:
        slices = list(ct_slices(folder / "ct"))
        receive(folder / "node", slices)
        node, orthanc = start_node(folder / "node"), _orthanc(folder, slices)
        stack.callback(node.stop)
        stack.callback(orthanc.stop)
        getters = {
            "node": (node.port, "PCTNODE"),
            "orthanc": (orthanc.dicom_port, orthanc.ae_title),
        }
        found = []
        for what, environment, turns in (
            ("getscu, TCP_NODELAY=1", ENVIRONMENT, rounds),
            ("getscu as installed", AS_INSTALLED, 1),  # nine seconds a turn
        ):
            times = get_times(folder / what, getters, turns, environment)
            found.append(
                Row(
                    part="C-GET",
                    what=f"CT x {SLICES} by {what}",
                    ours=times["get_node_per_s"],
                    unit="instances/s",
                    peer="Orthanc",
                    theirs=times["get_orthanc_per_s"],
                    rounds=turns,
                )
            )
    return found


def fill(data_dir: Path, count: int) -> None:
    """Index ``count`` MR series of two small images, four to a patient."""

    def images() -> Iterator[Dataset]:
        for n in range(count):
            for number in (1, 2):
                image = mr_image(number, series=f"{ROOT}.1.{n}", side=8)
                image.PatientID, image.PatientName = f"P{n // 4:04d}", f"NAME{n // 4:04d}^X"
                image.StudyInstanceUID = f"{ROOT}.0.{n // 2}"
                image.StudyDate, image.AccessionNumber = f"2024{n % 12 + 1:02d}15", f"A{n // 2}"
                yield image

    one = data_dir.parent / "one.dcm"
    receive(data_dir, (write_image(one, image) for image in images()))


def receive(data_dir: Path, files: Iterable[Path]) -> None:
    """Put instances into the archive as a receiver would, one after the other."""
    folder = Folder(data_dir)
    engine = tables.open_engine(tables.sqlite_url(data_dir / "node.db"))
    tables.metadata.create_all(engine)
    receiver = Receiver(folder, Index(engine), now=lambda: datetime.now(UTC))
    context = ReceiveContext(
        transfer_syntax_uid=ExplicitVRLittleEndian, calling_ae="PACS", called_ae="PCTNODE"
    )
    for file in files:
        receiver.receive(data_set_of(file), context)
    engine.dispose()


def ct_slices(folder: Path) -> Iterator[Path]:
    """Write 200 CT slices of 512 x 512, about 530 KB each."""
    noise = np.random.default_rng(1)
    for number in range(1, SLICES + 1):
        image = mr_image(number, series=f"{ROOT}.2", side=SIDE)
        image.SOPClassUID, image.Modality = CTImageStorage, "CT"
        image.PatientID, image.StudyInstanceUID = "CT1", f"{ROOT}.3"
        image.PixelData = noise.integers(0, 4096, (SIDE, SIDE), np.uint16).tobytes()
        yield write_image(folder / f"{number}.dcm", image)


def find_times(port: int, series: int, queries: int) -> dict[str, float]:
    """Milliseconds of C-FIND by patient at STUDY level."""
    peer = Peer(
        name="node",
        ae_title=AETitle("PCTNODE"),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )
    patients = max(series // 4, 1)
    contexts = [build_context(StudyFind, ExplicitVRLittleEndian)]

    def ask(n: int, association: Any) -> float:
        return _timed(lambda: _find(association, f"P{n % patients:04d}"))

    def ask_by_name(n: int, association: Any) -> float:
        return _timed(lambda: _find(association, "", f"NAME{n % patients:04d}*"))

    def ask_once(n: int) -> None:
        with associate(peer, contexts, calling_ae="PACS") as association:
            _find(association, f"P{n % patients:04d}")

    with associate(peer, contexts, calling_ae="PACS") as association:
        kept = [ask(n, association) for n in range(queries)]
        wild = [ask_by_name(n, association) for n in range(queries // 5)]
    opened = [_timed(partial(ask_once, n)) for n in range(queries // 5)]
    found = {}
    for name, times in (("find", kept), ("find_by_name", wild), ("find_with_association", opened)):
        found[f"{name}_p50_ms"] = round(statistics.median(times) * 1e3, 2)
        found[f"{name}_p95_ms"] = round(statistics.quantiles(times, n=20)[-1] * 1e3, 2)
    return found


def _find(association: Any, patient_id: str, name: str = "") -> None:
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID, query.PatientName = patient_id, name
    query.StudyInstanceUID = query.StudyDate = query.StudyDescription = query.AccessionNumber = ""
    query.ModalitiesInStudy = query.NumberOfStudyRelatedSeries = None
    responses = list(association.send_c_find(query, StudyFind))
    if len([identifier for _, identifier in responses if identifier is not None]) != 2:
        raise AssertionError(f"{patient_id}{name}: {responses}")


def get_times(
    folder: Path,
    getters: dict[str, tuple[int, str]],
    rounds: int,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> dict[str, float]:
    """Seconds of a C-GET of the 200 slices by getscu, alternated."""
    keys = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={ROOT}.3"]
    keys.append(f"SeriesInstanceUID={ROOT}.2")
    times: dict[str, list[float]] = {name: [] for name in getters}
    for turn in range(rounds + 1):  # the first warms the page cache
        for name, (port, title) in getters.items():
            target = folder / f"got-{name}-{turn}"

            def fetch(port: int = port, title: str = title, target: Path = target) -> None:
                options = ["-pdu", "131072"]
                done = run_getscu(
                    port, keys, target, called=title, options=options, environment=environment
                )
                if done.returncode or len(list(target.iterdir())) != SLICES:
                    raise AssertionError(done.stdout + done.stderr)

            took = _timed(fetch)
            if turn:
                times[name].append(took)
    found = {f"get_{n}_s": round(statistics.median(t), 3) for n, t in times.items()}
    return found | {f"get_{n}_per_s": round(SLICES / found[f"get_{n}_s"], 1) for n in times}


def _orthanc(folder: Path, slices: list[Path]) -> Orthanc:
    modality = Modality(ae_title="PACS", port=104)
    orthanc = start_orthanc(
        folder / "orthanc", {"pacs": modality}, settings={"DicomAlwaysAllowGet": True}
    )
    orthanc.upload(slices)
    return orthanc


def _timed(what: Callable[[], object]) -> float:
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
