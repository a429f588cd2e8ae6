"""C-MOVE and C-GET: what arrives is what was archived, and the counts are right."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyGet
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as StudyMove

from tests.interop.receiving import Node, start_node
from tests.interop.scp_process import PACS
from tests.peers.dcmqrscp import run_getscu, run_movescu
from tests.peers.fixtures import StartStorescp
from tests.peers.waiting import free_port
from tests.phantoms.archived import ROOT, receive_all, write_archive
from tests.phantoms.small_mr import data_set_of

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning:pynetdicom.transport"),
]
SERIES = ["QueryRetrieveLevel=SERIES", f"StudyInstanceUID={ROOT}.3"]
MR_SERIES = [*SERIES, f"SeriesInstanceUID={ROOT}.3.1"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write the archive's content."""
    return write_archive(tmp_path_factory.mktemp("content"))


@pytest.fixture(scope="module")
def tps_port() -> int:
    """Give the port of the peer TPS, known before anything listens there."""
    return free_port()


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, files: list[Path], tps_port: int
) -> Iterator[Node]:
    """Run a node that holds the content and knows TPS."""
    data = tmp_path_factory.mktemp("retrieve") / "node"
    receive_all(data, files)
    tps = {"name": "tps", "ae_title": "TPS", "host": "127.0.0.1", "port": tps_port}
    running = start_node(data, "--peers", json.dumps([PACS, tps]))
    yield running
    running.stop()


def wanted(files: list[Path], series: str) -> list[bytes]:
    """The data sets of a series, as they were received."""
    return sorted(data for data in map(data_set_of, files) if series.encode() in data)


@pytest.mark.parametrize("model", ["-S", "-P"])
def test_getscu_gets_the_archived_bytes(
    tmp_path: Path, node: Node, files: list[Path], model: str
) -> None:
    """A series comes over the association of the request, byte for byte."""
    keys = [*MR_SERIES, "PatientID=P2"] if model == "-P" else MR_SERIES

    got = run_getscu(node.port, keys, tmp_path / "got", model=model)

    assert got.returncode == 0, got.stdout + got.stderr
    received = sorted(data_set_of(p) for p in (tmp_path / "got").iterdir())
    assert received == wanted(files, f"{ROOT}.3.1")
    assert re.search(r"Number of Completed Suboperations *: 3\b", got.stderr), got.stderr
    assert re.search(r"Number of Failed Suboperations *: 0\b", got.stderr), got.stderr


def test_movescu_moves_a_study_to_a_peer(
    tmp_path: Path, node: Node, files: list[Path], start_storescp: StartStorescp, tps_port: int
) -> None:
    """MR and CT of a study arrive at the peer that the request names."""
    server = start_storescp(port=tps_port)
    keys = ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={ROOT}.3"]

    moved = run_movescu(node.port, keys, "TPS")

    assert moved.returncode == 0, moved.stdout + moved.stderr
    received = sorted(map(data_set_of, server.files()))
    assert received == sorted(wanted(files, f"{ROOT}.3.1") + wanted(files, f"{ROOT}.3.2"))


def ask(
    node: Node,
    model: str,
    *,
    series: str = f"{ROOT}.3.1",
    destination: str = "",
    take: Callable[[evt.Event], int] = lambda _event: 0,
    sop_classes: tuple[str, ...] = (MRImageStorage, CTImageStorage),
    syntax: str = ExplicitVRLittleEndian,
    cancel_after: int = 0,
) -> list[tuple[Dataset, Dataset | None]]:
    """C-GET or C-MOVE with pynetdicom: every response."""
    entity = AE("PACS")
    entity.add_requested_context(model, ExplicitVRLittleEndian)
    roles = [build_role(sop_class, scp_role=True) for sop_class in sop_classes]
    for sop_class in sop_classes:
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="PCTNODE", ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, take), (evt.EVT_CONN_OPEN, _without_delay)],
    )  # fmt: skip
    assert association.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = f"{ROOT}.3", series
    if model == StudyMove:
        replies = association.send_c_move(query, destination, model)
    else:
        replies = association.send_c_get(query, model)
    found = []
    for reply in replies:
        found.append(reply)
        if cancel_after and len(found) == cancel_after:
            association.send_c_cancel(1, query_model=model)
    association.release()
    return found


def _without_delay(event: evt.Event) -> None:
    connection = event.assoc.dul.socket.socket
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def counts(response: Dataset) -> tuple[int, int, int]:
    """Completed, warned, failed."""
    return (
        response.NumberOfCompletedSuboperations,
        response.NumberOfWarningSuboperations,
        response.NumberOfFailedSuboperations,
    )


def test_a_store_that_fails_is_counted_and_named(node: Node) -> None:
    """One refused, one stored with a warning, one stored: B000 with the UID of the first."""
    answers = {f"{ROOT}.3.1.1": 0xA900, f"{ROOT}.3.1.2": 0xB007, f"{ROOT}.3.1.3": 0}

    *_, (last, identifier) = ask(
        node, StudyGet, take=lambda e: answers[str(e.request.AffectedSOPInstanceUID)]
    )

    assert last.Status == 0xB000
    assert counts(last) == (1, 1, 1)
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == f"{ROOT}.3.1.1"


def test_a_class_that_was_not_agreed_fails_and_says_so(node: Node) -> None:
    """Nothing can be sent without a context in which the requestor is SCP: A702."""
    *_, (last, identifier) = ask(node, StudyGet, sop_classes=(CTImageStorage,))

    assert last.Status == 0xA702
    assert counts(last) == (0, 0, 3)
    assert identifier is not None
    assert len(identifier.FailedSOPInstanceUIDList) == 3


def test_another_syntax_is_transcoded(node: Node) -> None:
    """A requestor that takes Implicit VR alone gets it, with the same values."""
    got: list[Dataset] = []

    def take(event: evt.Event) -> int:
        got.append(event.dataset)
        return 0

    *_, (last, _) = ask(node, StudyGet, take=take, syntax=ImplicitVRLittleEndian)

    assert last.Status == 0
    assert [str(d.PatientName) for d in got] == ["SMITH^ANNA^MARIA"] * 3
    assert [d.InstanceNumber for d in got] == [1, 2, 3]


def test_an_unknown_destination_is_refused(node: Node) -> None:
    """A801: who may move where is configured, not asked for."""
    ((status, _),) = ask(node, StudyMove, destination="NOWHERE")

    assert status.Status == 0xA801
    assert "NOWHERE" in status.ErrorComment


def test_a_destination_that_is_away_fails_every_suboperation(node: Node) -> None:
    """Nobody listens at the peer: A702, three failed."""
    *_, (last, identifier) = ask(node, StudyMove, destination="TPS")

    assert last.Status == 0xA702
    assert counts(last) == (0, 0, 3)
    assert identifier is not None


def test_nothing_found_is_a_success_of_nothing(node: Node) -> None:
    """No match is no error (PS3.4 C.4.2.1.5)."""
    *_, (last, _) = ask(node, StudyGet, series="1.2.3")

    assert last.Status == 0
    assert counts(last) == (0, 0, 0)


def test_a_cancel_ends_it(node: Node) -> None:
    """After C-CANCEL no further instance comes, and the remaining ones are counted."""
    stored: list[str] = []
    cancelled = threading.Event()

    def take(event: evt.Event) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        if len(stored) == 2:
            cancelled.wait(20)
        return 0

    entity = AE("PACS")
    entity.add_requested_context(StudyGet, ExplicitVRLittleEndian)
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="PCTNODE",
        ext_neg=[build_role(MRImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, take), (evt.EVT_CONN_OPEN, _without_delay)],
    )  # fmt: skip
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = f"{ROOT}.3", f"{ROOT}.3.1"
    replies = association.send_c_get(query, StudyGet)
    found = [next(replies)]  # the pending response after the first instance
    association.send_c_cancel(1, query_model=StudyGet)
    cancelled.set()
    found += list(replies)
    association.release()

    last = found[-1][0]
    assert found[0][0].Status == 0xFF00
    assert last.Status == 0xFE00
    assert last.NumberOfCompletedSuboperations == 2
    assert last.NumberOfRemainingSuboperations == 1
    assert len(stored) == 2


def test_what_is_held_meanwhile_goes_no_further(node: Node, files: list[Path]) -> None:
    """Another patient for the first image, after it has gone out: the others stay here.

    The last test of the module: the series stays held.
    """
    stored: list[str] = []

    def take(event: evt.Event) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        if len(stored) == 1:
            assert contradict(node, files, stored[0]) == 0xB000
            threading.Event().wait(0.3)  # longer than what is known of the series may be old
        return 0

    *_, (last, identifier) = ask(node, StudyGet, take=take)

    assert len(stored) == 1
    assert last.Status == 0xB000
    assert counts(last) == (1, 0, 2)
    assert identifier is not None
    assert stored[0] not in identifier.FailedSOPInstanceUIDList
    assert "held meanwhile" in last.ErrorComment


def contradict(node: Node, files: list[Path], uid: str) -> int:
    """Send the image ``uid`` under another patient; the status of the answer."""
    (file,) = [f for f in files if dcmread(f).SOPInstanceUID == uid]
    dataset = dcmread(file)
    dataset.PatientID = "SOMEBODY-ELSE"
    entity = AE("PACS")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", node.port, ae_title="PCTNODE")
    status = association.send_c_store(dataset).Status
    association.release()
    return int(status)
