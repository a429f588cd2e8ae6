"""What happens at the door of a running node decides what leaves it: real senders that break off.

Each case is one that PACS, gateways and routers have been reported to do.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp
from tests.peers.fixtures import StartStorescp
from tests.peers.sender import Sender, read_all
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash, pytest.mark.slow]
_SHAPE = (35, 20, 18)
_SPACING_MM = (4.0, 4.0, 4.0)
# Long enough for a sender that comes back on a busy machine; and short where none does.
_PATIENT = "return_s = 120\nopen_s = 300"
_SHORT = "return_s = 3\nopen_s = 300"
_SECOND_ROUTE = """
[[routes]]
name = "careful"
when = { from = ["pacs"], called_ae = "PCTCARE" }
model = "tiny"
deliver_to = ["tps"]
release = "checks-passed"
"""


@pytest.fixture
def tps(start_storescp: StartStorescp) -> Storescp:
    """A destination that takes everything."""
    return start_storescp()


@pytest.fixture
def node(new_node: MakeNode, tps: Storescp) -> Node:
    """A node with two acceptors on one port, whose route releases by itself."""
    node = new_node(tps, acceptors=2, intake=_PATIENT)
    node.start()
    return node


@pytest.fixture
def brief(new_node: MakeNode, tps: Storescp) -> Node:
    """One that does not wait long for a sender."""
    node = new_node(tps, acceptors=2, intake=_SHORT)
    node.start()
    return node


@pytest.fixture
def images(tmp_path: Path) -> list[FileDataset]:
    """35 images of one series."""
    return read_all(mr_series(_SHAPE, _SPACING_MM, name="door").write(tmp_path / "mr"))


def held(node: Node) -> dict[str, Any]:
    """The one series, once it is held for a person; its findings by code."""
    item = node.wait_state("review", "delivered", "refused", "failed", timeout_s=240)
    assert item["state"] == "review", item["sentence"]
    return {f["code"]: f for f in item["findings"]}


def delivered(node: Node, tps: Storescp) -> dict[str, Any]:
    """The one series, once its one sCT has arrived."""
    item = node.wait_state("delivered", "review", "refused", "failed", timeout_s=240)
    assert item["state"] == "delivered", item["findings"]
    checks.one_sct_delivered(node, tps, item["id"])
    checks.nothing_else_arrived(node, tps)
    return item


def test_a_sender_that_aborts_and_never_returns_is_held(
    brief: Node, images: list[FileDataset]
) -> None:
    """28 of 35, then A-ABORT: a person decides, and reads why."""
    association = Sender(brief.dicom_port)
    assert set(association.send(images[:28])) == {0}
    association.abort()
    found = held(brief)
    assert found["SENDER_ABORTED"]["severity"] == "hold"
    assert found["SENDER_ABORTED"]["sentence"].startswith("28 images came. pacs aborted")


def test_a_sender_that_aborts_and_returns_is_delivered(
    node: Node, tps: Storescp, images: list[FileDataset]
) -> None:
    """It sends all of it again and releases: as if nothing had been, in one revision."""
    association = Sender(node.dicom_port)
    association.send(images[:28])
    association.abort()
    again = Sender(node.dicom_port)
    assert set(again.send(images)) == {0}
    again.release()
    assert delivered(node, tps)["revision"] == 1


def test_a_sender_that_stalls_is_waited_for(
    node: Node, tps: Storescp, images: list[FileDataset]
) -> None:
    """Silence of eight times the quiet time with the association open: no short sCT."""
    association = Sender(node.dicom_port)
    association.send(images[:30])
    ends = time.monotonic() + 4.0
    wait_until(lambda: time.monotonic() > ends, "the stall")
    assert [i["state"] for i in node.series()] == ["receiving"]
    association.send(images[30:])
    association.release()
    assert delivered(node, tps)["revision"] == 1


def test_instances_that_the_node_refused_hold_the_rest(
    brief: Node, images: list[FileDataset]
) -> None:
    """4 of 35 answered with a failure: the sCT of 31 waits, and says which and why."""
    bad = images[31:]
    for image in bad:
        del image.StudyInstanceUID
    association = Sender(brief.dicom_port)
    statuses = association.send(images)
    association.release()
    assert len(bad) == 4
    assert sum(status != 0 for status in statuses) == len(bad)
    found = held(brief)["IMAGES_REFUSED"]
    assert found["severity"] == "hold"
    assert sorted(found["uids"]) == sorted(image.SOPInstanceUID for image in bad)
    assert "4 images" in found["sentence"]
    assert "Identifier missing (4)" in found["sentence"]


def test_a_stray_first_sender_neither_strands_nor_frees_a_series(
    new_node: MakeNode, tps: Storescp, images: list[FileDataset]
) -> None:
    """First slice to another called AE, first from an AE without a route: the strictest counts."""
    titles = 'called_ae_titles = ["PCTCARE", "PCTELSE"]\nunknown_peers = "accept"'
    node = new_node(tps, acceptors=2, intake=_PATIENT, more=_SECOND_ROUTE, dicom=titles)
    text = node.config.read_text()
    ours = 'when = { from = ["pacs"] }'
    assert ours in text
    node.config.write_text(text.replace(ours, 'when = { from = ["pacs"], called_ae = "PCTNODE" }'))
    node.start()
    opened = []  # until all of it is there: on a busy machine the rest comes late
    for calling, called, some in (
        ("STRAY", "PCTELSE", images[:1]),
        ("PACS", "PCTCARE", images[1:2]),
        ("PACS", "PCTNODE", images[2:]),
    ):
        opened.append(Sender(node.dicom_port, calling=calling, called=called))
        assert set(opened[-1].send(some)) == {0}
    for association in opened:
        association.release()
    found = held(node)
    assert {"SENDERS_DIFFER", "SENDER_STRAY"} <= set(found)
    assert (
        "pacs → PCTNODE (33): head; pacs → PCTCARE (1): careful"
        in (found["SENDERS_DIFFER"]["sentence"])
    )


def test_a_killed_acceptor_leaves_evidence(
    brief: Node, tps: Storescp, images: list[FileDataset]
) -> None:
    """Kill -9 of the process that has the association: held; sent again, delivered."""
    node = brief
    association = Sender(node.dicom_port)
    association.send(images[:28])
    for role, pid in node.children().items():
        if role.startswith("scp"):
            os.kill(pid, signal.SIGKILL)
    found = held(node)
    assert {"SENDER_CUT_OFF"} <= set(found)
    wait_until(lambda: len(node.children()) == 4, "the acceptors", timeout_s=60)
    again = Sender(node.dicom_port)
    assert set(again.send(images)) == {0}
    again.release()
    wait_until(lambda: node.series()[0]["revision"] == 2, "the late images", timeout_s=60)
    assert delivered(node, tps)["revision"] == 2


@pytest.mark.parametrize("point", ["ledger.begun", "ledger.ended", "store.released"])
def test_a_kill_between_release_and_its_record_ends_in_one_delivery(
    new_node: MakeNode, tps: Storescp, images: list[FileDataset], point: str
) -> None:
    """Whoever heard no answer to its release comes back; nothing is held for that."""
    node = new_node(tps, acceptors=2, intake=_PATIENT)
    node.start(crash_at=point)
    if point == "ledger.begun":  # which is for what is here already
        association = Sender(node.dicom_port)
        association.send(images)
        association.abort()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        association = Sender(node.dicom_port)
        statuses = association.send(images)
        if association.release() and set(statuses) == {0}:
            break
    wait_until(node.mark.exists, "the crash point", timeout_s=10)
    delivered(node, tps)
