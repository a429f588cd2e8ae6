"""Storage commitment and the other proofs, with Orthanc, dcmqrscp and pynetdicom."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel as Push
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as PushInstance

from node.archive.files import Folder
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import Commitments, judge
from node.archive.schema import tables
from node.domain.names import AETitle
from node.domain.site import Peer, Site
from node.flow.commitment import ReportWork
from tests.crash.harness import Node as WholeNode
from tests.crash.harness import make_node
from tests.interop.receiving import Node, start_node
from tests.peers.dcmqrscp import start_dcmqrscp
from tests.peers.fixtures import StartOrthanc
from tests.peers.orthanc import Modality
from tests.peers.waiting import free_port, wait_until
from tests.phantoms import signals
from tests.phantoms.archived import ROOT, receive_all, write_archive
from tests.phantoms.mr import mr_series

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning:pynetdicom.transport"),
]
HELD = [(str(MRImageStorage), f"{ROOT}.3.1.{n}") for n in (1, 2)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run an SCP that holds the archive's content; there is no worker beside it."""
    folder = tmp_path_factory.mktemp("commitment")
    receive_all(folder / "node", write_archive(folder / "files"))
    running = start_node(folder / "node")
    yield running
    running.stop()


def request(transaction: str, pairs: list[tuple[str, str]]) -> Dataset:
    """The action information of a request."""
    dataset = Dataset()
    dataset.TransactionUID = transaction
    dataset.ReferencedSOPSequence = []
    for sop_class, uid in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        dataset.ReferencedSOPSequence.append(item)
    return dataset


def ask(
    node: Node, information: Dataset, *, wait_s: float, action: int = 1
) -> tuple[int, list[evt.Event]]:
    """Ask as a modality does; the status, and the reports that came on the association."""
    events: list[evt.Event] = []
    came = threading.Event()

    def report(event: evt.Event) -> tuple[int, None]:
        events.append((event.event_type, event.event_information))
        came.set()
        return 0x0000, None

    entity = AE("PACS")
    entity.add_requested_context(Push)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="PCTNODE", evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)]
    )
    assert association.is_established
    status, _ = association.send_n_action(information, action, Push, PushInstance)
    if wait_s:
        came.wait(wait_s)
    association.release()
    return int(status.Status), events


def test_the_report_comes_on_the_same_association(node: Node) -> None:
    """Who stays hears at once: what is held is committed to, what is not has its reason."""
    wanted = [*HELD, (str(MRImageStorage), "1.2.3.4"), ("1.2.840.10008.5.1.4.1.1.2", HELD[0][1])]

    status, events = ask(node, request("1.2.9.1", wanted), wait_s=20)

    assert status == 0
    ((kind, report),) = events
    assert kind == 2
    assert report.TransactionUID == "1.2.9.1"
    assert [i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence] == [HELD[1][1]]
    reasons = {i.ReferencedSOPInstanceUID: i.FailureReason for i in report.FailedSOPSequence}
    assert reasons == {"1.2.3.4": 0x0112, HELD[0][1]: 0x0119}


def test_a_file_that_is_gone_is_not_committed_to(node: Node) -> None:
    """A row alone is no promise."""
    ((path,),) = node.rows(f"select path from instances where sop_instance_uid = '{ROOT}.4.1.1'")  # noqa: S608
    (node.data_dir / path).unlink()

    _, events = ask(node, request("1.2.9.2", [(MRImageStorage, f"{ROOT}.4.1.1")]), wait_s=20)

    ((kind, report),) = events
    assert kind == 2
    assert report.FailedSOPSequence[0].FailureReason == 0x0112


@pytest.mark.parametrize(
    ("information", "action", "status"),
    [
        (request("1.2.9.3", []), 1, 0x0115),
        (request("", HELD), 1, 0x0115),
        (request("1.2.9.4", HELD), 7, 0x0123),
    ],
)
def test_what_is_no_request_is_refused(
    node: Node, information: Dataset, action: int, status: int
) -> None:
    """No instances, no transaction, no such action."""
    assert ask(node, information, wait_s=0, action=action) == (status, [])


@contextmanager
def listening() -> Iterator[tuple[Peer, list[Any]]]:
    """A peer that takes reports on associations of ours, as the SCU of the service."""
    events: list[Any] = []

    def report(event: evt.Event) -> tuple[int, None]:
        events.append((event.event_type, event.event_information))
        return 0x0000, None

    entity = AE("PACS")
    entity.add_supported_context(Push, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, report)]
    )
    peer = Peer(
        name="pacs",
        ae_title=AETitle("PACS"),
        host="127.0.0.1",
        port=server.server_address[1],
        may=frozenset({"send"}),
        proof="none",
    )
    yield peer, events
    server.shutdown()


def test_who_does_not_stay_is_called(node: Node) -> None:
    """Released at once, the peer gets its report on a new association, once."""
    status, events = ask(node, request("1.2.9.5", HELD), wait_s=0)
    assert (status, events) == (0, [])
    engine = tables.open_engine(tables.sqlite_url(node.data_dir / "node.db"))
    commitments = Commitments(engine)

    with listening() as (peer, reports):
        ((owed, number),) = wait_until(commitments.due, "a report that is due")
        work = ReportWork(
            commitments,
            partial(judge, Catalogue(engine), Folder(node.data_dir)),
            lambda: Site(peers=(peer,), routes=()),
            "PCTNODE",
        )
        assert work.attempt(owed, number) == "reported"
        assert work.attempt(owed, number) == "nothing to do"

    ((kind, report),) = reports
    assert kind == 1
    assert len(report.ReferencedSOPSequence) == 2
    assert not commitments.due()
    engine.dispose()


def test_a_report_waits_for_a_peer_that_is_away(node: Node) -> None:
    """Nobody listens: the report is due again later."""
    ask(node, request("1.2.9.6", HELD), wait_s=0)
    engine = tables.open_engine(tables.sqlite_url(node.data_dir / "node.db"))
    commitments = Commitments(engine)
    ((owed, number),) = wait_until(commitments.due, "a report that is due")
    away = Peer(
        name="pacs", ae_title=AETitle("PACS"), host="127.0.0.1", port=free_port(),
        may=frozenset(), proof="none",
    )  # fmt: skip
    work = ReportWork(
        commitments,
        partial(judge, Catalogue(engine), Folder(node.data_dir)),
        lambda: Site(peers=(away,), routes=()),
        "PCTNODE",
    )

    assert work.attempt(owed, number) == "later"

    row = commitments.get(owed)
    assert row is not None
    assert row.tries == number + 1
    assert not commitments.due()
    engine.dispose()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[tuple[WholeNode, int, int]]:
    """Run a whole node: Orthanc commits, dcmqrscp is asked, and stands in for one that refuses."""
    pacs, qr = free_port(), free_port()
    node = make_node(tmp_path / "node", 1)
    text = node.config.read_text()
    begin, end = text.index("[[peers]]"), text.index("[[routes]]")
    peers = f"""
[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
may = ["send"]
proof = "commitment"
[[peers]]
name = "qr"
ae_title = "QRSCP"
host = "127.0.0.1"
port = {qr}
proof = "find"
[[peers]]
name = "back"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {pacs}
proof = "get"
[[peers]]
name = "gone"
ae_title = "NOBODY"
host = "127.0.0.1"
port = {qr}
failover = "qr"
"""
    text = text[:begin] + peers + text[end:]
    node.config.write_text(text.replace('["tps"]', json.dumps(["pacs", "qr", "back", "gone"])))
    node.start()
    # The port is open before an acceptor answers; Orthanc waits ten seconds for an answer.
    wait_until(lambda: "scp_listening" in node.said(), "an acceptor", timeout_s=120)
    yield node, pacs, qr
    node.stop()


@pytest.mark.orthanc
def test_each_destination_gives_its_proof(
    tmp_path: Path, whole: tuple[WholeNode, int, int], start_orthanc: StartOrthanc
) -> None:
    """Orthanc asks the node to commit, commits to the sCT, gives it back; dcmqrscp lists it."""
    node, pacs_port, qr_port = whole
    archive = start_dcmqrscp(tmp_path / "qr", port=qr_port)
    modality = Modality(ae_title="PCTNODE", port=node.dicom_port)
    orthanc = start_orthanc({"node": modality}, ae_title="PACS", dicom_port=pacs_port)
    series = mr_series(signal=signals.body)
    uploaded = orthanc.upload(series.write(tmp_path / "mr"))
    pairs = [[str(d.SOPClassUID), str(d.SOPInstanceUID)] for d in series.datasets]
    try:
        pushed = orthanc.store("node", uploaded)
        assert pushed["FailedInstancesCount"] == 0
        asked = orthanc.post("/modalities/node/storage-commitment", {"DicomInstances": pairs})
        said = wait_until(
            lambda: _answered(orthanc, asked["ID"]), "the node's report", timeout_s=60
        )
        assert said["Status"] == "Success"
        assert len(said["Success"]) == len(pairs)

        item = node.wait_state("delivered", "failed", "refused", timeout_s=120)
        assert item["state"] == "delivered", item
        states = {d["destination"]: (d["state"], d["sentence"]) for d in item["deliveries"]}
        assert {name: state for name, (state, _) in states.items()} == dict.fromkeys(
            ("pacs", "qr", "back", "gone"), "confirmed"
        )
        assert "committed to" in states["pacs"][1]
        assert "found there" in states["qr"][1]
        assert "fetched back, the same" in states["back"][1]
        assert "qr in place of gone" in item["sentence"]
    finally:
        archive.stop()


def _answered(orthanc: Any, transaction: str) -> Any:
    said = orthanc.get(f"/storage-commitment/{transaction}")
    return said if said["Status"] != "Pending" else None
