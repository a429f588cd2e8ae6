"""C-GET as user: a series comes back from real archives, and is compared with what was sent."""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from node.dicom.equivalence import differences
from node.domain.errors import Rejected
from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.echo import echo
from node.scu.find import find_instances
from node.scu.get import get_series
from tests.interop.receiving import start_node
from tests.peers.dcmqrscp import start_dcmqrscp
from tests.peers.orthanc import Modality, start_orthanc
from tests.peers.waiting import free_port
from tests.phantoms.archived import receive_all
from tests.phantoms.mr import mr_series

pytestmark = pytest.mark.interop


def peer_at(title: str, port: int) -> Peer:
    """An archive on this machine."""
    return Peer(
        name="archive",
        ae_title=AETitle(title),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="get",
    )


def dcmqrscp(folder: Path, files: list[Path]) -> tuple[Peer, Callable[[], object]]:
    """DCMTK's archive."""
    server = start_dcmqrscp(folder / "qr")
    server.fill(files)
    return peer_at(server.ae_title, server.port), server.stop


def orthanc(folder: Path, files: list[Path]) -> tuple[Peer, Callable[[], object]]:
    """Orthanc, which knows who asks."""
    server = start_orthanc(folder / "orthanc", {"us": Modality(ae_title="PACS", port=free_port())})
    server.upload(files)
    return peer_at("ORTHANC", server.dicom_port), server.stop


def node(folder: Path, files: list[Path]) -> tuple[Peer, Callable[[], object]]:
    """Another node."""
    receive_all(folder / "node", files)
    server = start_node(folder / "node")
    return peer_at("PCTNODE", server.port), server.stop


@pytest.mark.parametrize(
    "archive",
    [dcmqrscp, pytest.param(orthanc, marks=pytest.mark.orthanc), node],
    ids=lambda start: start.__name__,
)
def test_a_series_comes_back_as_it_was_sent(
    tmp_path: Path, archive: Callable[[Path, list[Path]], tuple[Peer, Callable[[], object]]]
) -> None:
    """Every instance of it, no other, element by element."""
    series = mr_series((4, 16, 16), name="wanted")
    other = mr_series((2, 16, 16), name="other").write(tmp_path / "other")
    peer, end = archive(tmp_path, [*series.write(tmp_path / "mr"), *other])
    got: dict[str, Dataset] = {}
    first = series.datasets[0]
    try:
        echoed = echo(peer, calling_ae="PACS")
        listed = find_instances(
            peer,
            str(first.StudyInstanceUID),
            str(first.SeriesInstanceUID),
            calling_ae="PACS",
        )
        get_series(
            peer,
            str(first.StudyInstanceUID),
            str(first.SeriesInstanceUID),
            [MRImageStorage],
            calling_ae="PACS",
            take=lambda dataset: got.update({str(dataset.SOPInstanceUID): dataset}),
        )
    finally:
        end()

    assert echoed.ok, echoed.sentence
    assert listed == set(got)
    assert set(got) == {str(d.SOPInstanceUID) for d in series.datasets}
    for path in sorted((tmp_path / "mr").iterdir()):
        sent = pydicom.dcmread(path)
        assert differences(sent, got[str(sent.SOPInstanceUID)]) == []


def test_an_archive_that_knows_no_such_series_gives_nothing(tmp_path: Path) -> None:
    """An end like another, or a refusal in words; nothing is taken."""
    peer, end = dcmqrscp(tmp_path, mr_series((2, 16, 16)).write(tmp_path / "mr"))
    got: list[Dataset] = []
    try:
        with suppress(Rejected):
            get_series(peer, "1.2", "1.2.3", [MRImageStorage], calling_ae="PACS", take=got.append)
    finally:
        end()

    assert got == []


@pytest.mark.parametrize(
    ("keyword", "value", "found"),
    [
        ("ImagePositionPatient", ["0", "0", "1"], ["ImagePositionPatient"]),
        ("PixelData", bytes(512), ["PixelData"]),
        ("RescaleSlope", "2", []),  # it was not sent
        ("PatientName", "Corrected^Name", []),
        ("AccessionNumber", "A2", []),
        ("FrameOfReferenceUID", "1.2.3", ["FrameOfReferenceUID"]),
        ("SeriesInstanceUID", "1.2.3", ["SeriesInstanceUID"]),
    ],
)
def test_what_an_archive_may_change_and_what_not(
    keyword: str, value: object, found: list[str]
) -> None:
    """Patient and study may be coerced; what is shown and where it lies may not."""
    sent = mr_series((1, 16, 16)).datasets[0]
    got = deepcopy(sent)
    setattr(got, keyword, value)

    assert differences(sent, got) == found
