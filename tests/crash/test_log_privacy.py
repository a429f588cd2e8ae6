"""After a whole run the log and the engine's rows hold nothing of the patient."""

from pathlib import Path

import pytest

from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash, pytest.mark.slow]
_MARKS = {
    "PatientName": "ZEBRAFISH^QUAGGA",
    "PatientID": "OKAPI-4711",
    "PatientBirthDate": "19110304",
    "AccessionNumber": "AARDVARK17",
    "ReferringPhysicianName": "WOMBAT^NUMBAT",
    "InstitutionName": "PANGOLIN HOSPITAL",
    "StudyDescription": "AXOLOTL STUDY",
    "SeriesDescription": "CAPYBARA T1",
}
_WORDS = ("zebrafish", "quagga", "okapi", "19110304", "aardvark", "wombat", "numbat")
_MORE_WORDS = ("pangolin", "axolotl", "capybara")


def _marked(folder: Path, name: str, **more: object) -> list[Path]:
    series = mr_series((24, 20, 18), (4.0, 4.0, 4.0), name=name, tags={**_MARKS, **more})
    return series.write(folder / name)


def _faults(node: Node) -> list[str]:
    """Marks in what the processes said and in the engine's database, with a word around."""
    places = [node.log, *node.data.glob("engine.sqlite*")]
    found = []
    for place in places:
        text = place.read_bytes().decode("latin-1").lower()
        found += [
            f"{place.name}: {text[max(0, at - 80) : at + 40]}"
            for word in (*_WORDS, *_MORE_WORDS)
            if (at := text.find(word)) >= 0
        ]
    return found


def test_logs_hold_no_patient_data(
    tmp_path: Path, new_node: MakeNode, start_storescp: StartStorescp
) -> None:
    """Delivered, refused, in conflict, cut off: the log names series by UID and nothing else."""
    tps = start_storescp()
    node = new_node(tps, quiet_s=2)
    node.start()
    wait_until(lambda: "scp_listening" in node.log.read_text(), "the acceptor", timeout_s=180)
    for name, more in (("good", {}), ("bad", {"ImageOrientationPatient": None})):
        files = _marked(tmp_path, name, **more)
        assert run_storescu(node.dicom_port, files).returncode == 0
    other = _marked(tmp_path / "again", "good", PatientComments="ZEBRAFISH again")
    run_storescu(node.dicom_port, other[:1])  # the same image with other words
    other[1].write_bytes(other[1].read_bytes()[:400])
    run_storescu(node.dicom_port, other[1:2])
    node.wait_states(2, "delivered", "refused", timeout_s=180)

    assert {i["state"] for i in node.series()} == {"delivered", "refused"}
    corrected = _marked(tmp_path / "corrected", "good", PatientName="NUMBAT^ZEBRAFISH")
    run_storescu(node.dicom_port, corrected[2:4])
    node.wait_states(2, "review", "refused", timeout_s=60)
    assert node.stop() == 0
    said = node.log.read_text()
    assert "instance_varied" in said
    assert "instance_conflict" in said
    assert _faults(node) == []
