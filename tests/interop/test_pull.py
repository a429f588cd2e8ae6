"""Pulling from an archive, and knowing by its word when a series is whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from node.archive.evidence.expectations import Expectations
from node.archive.schema import tables
from node.archive.work.runs import Runs
from node.cli import main
from node.domain.names import AETitle
from node.domain.site import Peer, Site
from node.flow.pull import PullWork
from tests.crash.harness import Node as WholeNode
from tests.crash.harness import make_node
from tests.interop.receiving import Node, running_node
from tests.peers.dcmqrscp import Dcmqrscp, start_dcmqrscp
from tests.peers.fixtures import StartOrthanc
from tests.peers.orthanc import Modality
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.phantoms import signals
from tests.phantoms.archived import ROOT, write_archive
from tests.phantoms.mr import mr_series

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning:pynetdicom.transport"),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Run an SCP without a worker; the test does the worker's part."""
    yield from running_node(tmp_path / "node")


@pytest.fixture
def archive(tmp_path: Path, node: Node) -> Iterator[Dcmqrscp]:
    """Run a dcmqrscp that has the content and may send to the node; it counts for nobody."""
    server = start_dcmqrscp(
        tmp_path / "qr", ae_title="PACS", hosts={"node": ("PCTNODE", node.port)}
    )
    server.fill(write_archive(tmp_path / "files"))
    yield server
    server.stop()


def puller(node: Node, port: int, *may: str) -> tuple[PullWork, Expectations]:
    """What a worker pulls with."""
    engine = tables.open_engine(tables.sqlite_url(node.data_dir / "node.db"))
    peer = Peer(
        name="pacs",
        ae_title=AETitle("PACS"),
        host="127.0.0.1",
        port=port,
        may=frozenset(may),
        proof="none",
    )
    expectations = Expectations(engine)
    return PullWork(expectations, lambda: Site(peers=(peer,), routes=()), "PCTNODE"), expectations


def test_every_mr_series_of_a_study_comes_and_is_taken_up_at_once(
    node: Node, archive: Dcmqrscp
) -> None:
    """The CT beside it stays; the count, taken image by image, spares the quiet time."""
    work, expectations = puller(node, archive.port, "send")
    runs = Runs(expectations.engine)

    said = work.pull("pacs", f"{ROOT}.3", [])

    assert said["ok"], said
    assert said["sentence"].startswith("pacs sent 3 of 3 instances")
    assert [s["series_instance_uid"] for s in said["series"]] == [f"{ROOT}.3.1"]
    rows = node.rows("select series_instance_uid, instances from series")
    assert rows == [(f"{ROOT}.3.1", 3)]
    assert runs.settle_quiet(3600) == 1
    expectations.engine.dispose()


def test_what_is_still_moving_or_short_is_not_taken_up_early(node: Node, archive: Dcmqrscp) -> None:
    """While the archive sends, silence does not end a series; one too few waits for quiet."""
    work, expectations = puller(node, archive.port, "send")
    runs = Runs(expectations.engine)
    uid = f"{ROOT}.3.2"
    assert work.pull("pacs", f"{ROOT}.3", [uid])["ok"]

    expectations.expect(uid, "pacs", 2, moving=True)
    assert runs.settle_quiet(-1) == 0
    expectations.expect(uid, "pacs", 3, moving=False)
    assert runs.settle_quiet(3600) == 0
    assert runs.settle_quiet(-1) == 1
    expectations.engine.dispose()


def test_a_pull_says_what_is_in_its_way(node: Node, archive: Dcmqrscp) -> None:
    """No right to send, nothing there, nobody there."""
    refused, expectations = puller(node, archive.port)
    allowed, more = puller(node, archive.port, "send")
    away, most = puller(node, free_port(), "send")

    assert "may not send" in refused.pull("pacs", f"{ROOT}.3", [])["sentence"]
    assert "no MR series" in allowed.pull("pacs", "1.2.3", [])["sentence"]
    assert "none of the series" in allowed.pull("pacs", f"{ROOT}.3", ["1.2.3"])["sentence"]
    assert "cannot be reached" in away.pull("pacs", f"{ROOT}.3", [])["sentence"]
    assert "no peer" in away.pull("other", f"{ROOT}.3", [])["sentence"]
    for each in (expectations, more, most):
        each.engine.dispose()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[tuple[WholeNode, int]]:
    """Run a whole node that may ask its PACS; quiet takes ten minutes."""
    pacs = free_port()
    node = make_node(tmp_path / "node", 1, quiet_s=600)
    text = node.config.read_text()
    begin, end = text.index("[[peers]]"), text.index("[[routes]]")
    peer = f"""
[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs}
may = ["send"]
count = true
"""
    text = (text[:begin] + peer + text[end:]).replace('["tps"]', '["pacs"]')
    node.config.write_text(text.replace("[web]", '[web]\nauth = "none"'))
    node.start()
    # The port is open before an acceptor answers.
    wait_until(lambda: "scp_listening" in node.said(), "an acceptor", timeout_s=120)
    yield node, pacs
    node.stop()


@pytest.mark.orthanc
def test_the_command_pulls_a_series_that_becomes_an_sct(
    tmp_path: Path,
    whole: tuple[WholeNode, int],
    start_orthanc: StartOrthanc,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a command to the sCT in the PACS, without waiting for quiet."""
    node, port = whole
    modality = Modality(ae_title="PCTNODE", port=node.dicom_port)
    orthanc = start_orthanc({"node": modality}, ae_title="PACS", dicom_port=port)
    series = mr_series(signal=signals.body)
    orthanc.upload(series.write(tmp_path / "mr"))
    study = str(series.datasets[0].StudyInstanceUID)

    wait_until(lambda: is_listening(node.web_port), "the page", timeout_s=120)
    for name, code in (("", 404), ("pasc", 404)):  # refused at once, whatever workers do
        refused = requests.post(
            f"http://127.0.0.1:{node.web_port}/api/pull",
            json={"peer": name, "study": study},
            timeout=60,
        )
        assert refused.status_code == code
        assert f"there is no peer '{name}'" in refused.json()["detail"]
        assert "Name one of those that may send: pacs." in refused.json()["detail"]
    assert main(["pull", "pasc", study, "--config", str(node.config)]) != 0
    capsys.readouterr()
    status = main(["pull", "pacs", study, "--json", "--config", str(node.config)])

    assert status == 0
    said = json.loads(capsys.readouterr().out)
    assert [s["completed"] for s in said["series"]] == [len(series.datasets)]
    item = node.wait_state("delivered", "failed", "refused", "review", timeout_s=180)
    assert item["state"] == "delivered", item


@pytest.mark.orthanc
def test_missing_end_slices_are_held_by_the_word_of_the_pacs(
    tmp_path: Path, start_orthanc: StartOrthanc
) -> None:
    """The PACS has two slices more than it sent: no gap to see, and yet the sCT is held."""
    port = free_port()
    node = make_node(tmp_path / "node", 1, release="checks-passed")
    text = node.config.read_text()
    text = text.replace("port = 1\n", f"port = {port}\ncount = true\n", 1)
    node.config.write_text(text.replace("port = 1\n", f"port = {port}\n"))
    node.start()
    wait_until(lambda: "scp_listening" in node.said(), "an acceptor", timeout_s=120)
    try:
        modality = Modality(ae_title="PCTNODE", port=node.dicom_port)
        orthanc = start_orthanc({"node": modality}, ae_title="PACS", dicom_port=port)
        uploaded = orthanc.upload(mr_series(signal=signals.body).write(tmp_path / "mr"))
        assert orthanc.store("node", uploaded[:-2])["FailedInstancesCount"] == 0
        item = node.wait_state("review", "delivered", "failed", "refused", timeout_s=180)
        (found,) = [f for f in item["findings"] if f["code"] == "SERIES_INCOMPLETE"]
        assert item["state"] == "review"
        assert int(found["values"]["expected"]) == len(uploaded)
        assert int(found["values"]["count"]) == len(uploaded) - 2
    finally:
        node.stop()
