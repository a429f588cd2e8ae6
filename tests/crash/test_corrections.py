"""A PACS corrects a series that a real node has made, or is about to: over the network, killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.crashpoints import ENVIRONMENT, MARK
from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash]
_slow = pytest.mark.slow
_SHAPE, _SPACING_MM = (24, 20, 18), (4.0, 4.0, 4.0)
Change = Callable[[Dataset], None]


def patient(dataset: Dataset) -> None:
    """Another patient."""
    dataset.PatientID, dataset.PatientName = "RIGHT", "Right^Rita"


def moved(dataset: Dataset) -> None:
    """Another patient, study and series."""
    patient(dataset)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.771", "2.25.772"


def images(folder: Path, change: Change | None = None) -> list[Path]:
    """The images of one series, changed where asked."""
    paths = mr_series(_SHAPE, _SPACING_MM, name="corrected").write(folder)
    for path in paths if change else ():
        dataset = pydicom.dcmread(path)
        assert change is not None
        change(dataset)
        dataset.save_as(path)
    return paths


def push(node: Node, paths: Sequence[Path]) -> str:
    """Send until the node has answered for every image; what storescu said last."""
    for _ in range(20):
        sent = run_storescu(node.dicom_port, paths)
        if sent.returncode == 0:
            return sent.stdout + sent.stderr
    raise AssertionError(node.said())


def adopt(node: Node, series: int, *, crash_at: str = "") -> int:
    """Adopt from a shell; its exit status."""
    environment = dict(os.environ) | {MARK: str(node.folder / "adopt-crashed")}
    if crash_at:
        environment[ENVIRONMENT] = crash_at
    command = [sys.executable, "-m", "node", "series", "adopt", str(series)]
    command += ["--config", str(node.config), "--reason", "the PACS is right"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    return done.returncode


def patients(tps: Storescp) -> dict[str, str]:
    """PatientID by Series Instance UID of the CT that has arrived."""
    found = (pydicom.dcmread(p, stop_before_pixels=True) for p in tps.files())
    return {d.SeriesInstanceUID: d.PatientID for d in found if d.Modality == "CT"}


def withdrawn(tps: Storescp) -> set[str]:
    """Series Instance UIDs that notices withdraw."""
    found = (pydicom.dcmread(p, stop_before_pixels=True) for p in tps.files())
    return {
        series.SeriesInstanceUID
        for d in found
        if d.Modality == "KO"
        for study in d.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
    }


def corrected(node: Node) -> None:
    """Wait until every series is done, and none waits."""
    wait_until(
        lambda: {i["state"] for i in node.series()} <= {"delivered", "rejected"},
        "the new sCT",
        timeout_s=90,
        every_s=0.1,
    )


@pytest.mark.parametrize("change", [pytest.param(patient, marks=_slow), moved])
def test_corrected_before_work_only_the_right_patient_arrives(
    change: Change, tmp_path: Path, new_node: MakeNode, start_storescp: StartStorescp
) -> None:
    """Sent, corrected and sent again within the quiet time, by two acceptors on one port."""
    tps = start_storescp()
    node = new_node(tps, quiet_s=3.0, acceptors=2)
    node.start()
    push(node, images(tmp_path / "a"))

    said = push(node, images(tmp_path / "b", change))

    assert said.count("Warning: Coercion") or said.count("B000"), said
    wait_until(
        lambda: "review" in {i["state"] for i in node.series()}, "the sCT in review", timeout_s=90
    )
    assert patients(tps) == {}
    assert adopt(node, 1) == 0
    corrected(node)
    assert set(patients(tps).values()) == {"RIGHT"}
    assert node.stop() == 0


POINTS = ("conflict.aside", "conflict.told", "adopt.prepared", "adopt.written", "adopt.committed")


@pytest.mark.parametrize(
    "point", [p if p == "adopt.prepared" else pytest.param(p, marks=_slow) for p in POINTS]
)
def test_corrected_after_delivery_and_killed_anywhere(
    point: str, tmp_path: Path, new_node: MakeNode, start_storescp: StartStorescp
) -> None:
    """The sCT of the wrong patient is withdrawn once, and one of the right patient takes over."""
    tps = start_storescp()
    node = new_node(tps, acceptors=2)
    node.start(crash_at=point if point.startswith("conflict") else "")
    push(node, images(tmp_path / "a"))
    wait_until(
        lambda: [i["state"] for i in node.series()] == ["delivered"], "the sCT", timeout_s=90
    )
    wrong = patients(tps)

    push(node, images(tmp_path / "b", moved))
    if point.startswith("conflict"):
        wait_until(node.mark.exists, "the crash point", timeout_s=60)
        push(node, images(tmp_path / "b", moved))
    held, own = sorted(node.series(), key=lambda i: i["id"])
    assert (held["state"], own["state"]) == ("review", "kept")
    assert own["patient_id"] == "RIGHT"

    if point.startswith("adopt"):
        assert adopt(node, held["id"], crash_at=point) != 0
        node.kill_supervisor()
        node.start()
    if point != "adopt.committed":
        assert adopt(node, held["id"]) == 0

    corrected(node)
    wait_until(lambda: withdrawn(tps) == set(wrong), "the withdrawal", timeout_s=60)
    assert {uid: p for uid, p in patients(tps).items() if uid not in wrong} != {}
    assert set(patients(tps).values()) == {*wrong.values(), "RIGHT"}
    assert len(patients(tps)) == 2
    checks.one_sct_delivered(node, tps, own["id"])
    made = next(i for i in node.series() if i["id"] == own["id"])
    plan = node.queries().series_detail(made["id"])["runs"][-1]["plan"]  # type: ignore[index]
    assert plan["predecessor_series_uid"] in wrong
    assert node.stop() == 0
