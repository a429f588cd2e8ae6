"""The full circle with DCMTK: storescu pushes a scanner's series, storescp gets its sCT."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import Storescp, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.realdata import unpack

pytestmark = [pytest.mark.interop, pytest.mark.realdata]

SERIES = {
    "philips-sagittal-oblique": "mr-head/philips-elition-3t-mprage-sag-oblique.tar.xz",
    "siemens-enhanced": "mr-enhanced/siemens-xa30-t1-tfl-2mm/0001.dcm",
}


@pytest.fixture
def tps(start_storescp: StartStorescp) -> Storescp:
    """Run the planning system's server."""
    return start_storescp()


@pytest.fixture
def node(tmp_path: Path, tps: Storescp) -> Iterator[Node]:
    """Run a node that delivers to it."""
    running = make_node(tmp_path / "node", tps)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("kind", SERIES)
def test_a_scanners_series_comes_back_as_it_was_archived(
    kind: str, tmp_path: Path, real_data: Path, node: Node, tps: Storescp
) -> None:
    """Every sCT instance arrives, equal element for element, in the MR's frame of reference."""
    files = _unpacked(real_data / SERIES[kind], tmp_path / "mr")

    sent = run_storescu(node.dicom_port, files)
    item = node.wait_state("delivered", "refused", "failed", timeout_s=180)

    assert sent.returncode == 0, sent.stderr
    assert item["state"] == "delivered", item
    arrived = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, tps.files())}
    outputs = node.queries().output_files(item["id"])
    assert sorted(arrived) == sorted(o.sop_instance_uid for o in outputs)
    mr = pydicom.dcmread(files[0], stop_before_pixels=True)
    for output in outputs:
        assert arrived[output.sop_instance_uid] == pydicom.dcmread(node.data / output.path)
        assert arrived[output.sop_instance_uid].FrameOfReferenceUID == mr.FrameOfReferenceUID


def _unpacked(source: Path, target: Path) -> list[Path]:
    return [source] if source.suffix == ".dcm" else unpack(source, target)
