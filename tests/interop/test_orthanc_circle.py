"""The full circle with a PACS: Orthanc sends the MR to the node and gets the sCT back."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.crash.harness import Node, make_node
from tests.peers.fixtures import StartOrthanc
from tests.peers.orthanc import Modality, Orthanc
from tests.peers.waiting import free_port
from tests.phantoms import signals
from tests.phantoms.mr import enhanced_mr, mr_series
from tests.realdata import unpack

pytestmark = [pytest.mark.interop, pytest.mark.orthanc]


@pytest.fixture
def pacs_port() -> int:
    """Give the port that Orthanc will listen on, known before it starts."""
    return free_port()


@pytest.fixture
def node(tmp_path: Path, pacs_port: int) -> Iterator[Node]:
    """Run a node that delivers to Orthanc."""
    running = make_node(tmp_path / "node", pacs_port)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def pacs(start_orthanc: StartOrthanc, node: Node, pacs_port: int) -> Orthanc:
    """Run an Orthanc that the node knows as PACS and as TPS."""
    modality = Modality(ae_title="PCTNODE", port=node.dicom_port)
    return start_orthanc({"pctnode": modality}, ae_title="PACS", dicom_port=pacs_port)


def _circle(pacs: Orthanc, node: Node, files: list[Path]) -> dict[str, Any]:
    """Give ``files`` to Orthanc, have it push them, and wait until the node has delivered."""
    pushed = pacs.store("pctnode", pacs.upload(files))
    assert pushed["FailedInstancesCount"] == 0
    return node.wait_state("delivered", "refused", "failed", timeout_s=120)


def _served(pacs: Orthanc, uid: str) -> bytes:
    (identifier,) = pacs.find("Instance", {"SOPInstanceUID": uid})
    return pacs.get_bytes(f"/instances/{identifier}/file")


def _served_as_archived(pacs: Orthanc, node: Node, item: dict[str, Any]) -> int:
    """Compare each archived instance with what Orthanc serves; return how many there are."""
    outputs = node.queries().output_files(item["id"])
    for output in outputs:
        archived = pydicom.dcmread(node.data / output.path)
        served = pydicom.dcmread(BytesIO(_served(pacs, output.sop_instance_uid)))
        assert served == archived
        assert served.PixelData == archived.PixelData
        assert served.file_meta.TransferSyntaxUID == archived.file_meta.TransferSyntaxUID
    return len(outputs)


@pytest.mark.parametrize("build", [mr_series, enhanced_mr])
def test_orthanc_serves_the_sct_as_it_was_archived(
    build: Any, tmp_path: Path, pacs: Orthanc, node: Node
) -> None:
    """An MR series goes from Orthanc to the node, and its sCT stands in Orthanc unchanged."""
    files = build(orientation="sagittal_oblique", signal=signals.body).write(tmp_path / "mr")

    item = _circle(pacs, node, files)

    assert item["state"] == "delivered", item
    assert _served_as_archived(pacs, node, item) > 10


def test_sct_lies_in_the_study_of_the_mr(tmp_path: Path, pacs: Orthanc, node: Node) -> None:
    """In Orthanc the sCT is one more series of the MR's study and patient."""
    files = mr_series(signal=signals.body).write(tmp_path / "mr")

    _circle(pacs, node, files)

    (study,) = pacs.get("/studies?expand")
    series = [pacs.get(f"/series/{identifier}") for identifier in study["Series"]]
    assert sorted(s["MainDicomTags"]["Modality"] for s in series) == ["CT", "MR"]


@pytest.mark.realdata
@pytest.mark.slow
def test_real_series_makes_the_circle(
    tmp_path: Path, real_data: Path, pacs: Orthanc, node: Node
) -> None:
    """A scanner's own series goes from Orthanc to the node and comes back as an sCT."""
    archive = real_data / "mr-head/philips-elition-3t-mprage-sag-oblique.tar.xz"
    files = unpack(archive, tmp_path / "mr")

    item = _circle(pacs, node, files)

    assert item["state"] == "delivered", item
    assert _served_as_archived(pacs, node, item) > 10
