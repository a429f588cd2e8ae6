"""What happens at the door of a running node decides what leaves it: real senders that break off.

Each case is one that PACS, gateways and routers have been reported to do.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp
from tests.peers.fixtures import StartStorescp
from tests.peers.sender import open_association, read_all, send
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash, pytest.mark.slow]
_SHAPE = (35, 20, 18)
_SPACING_MM = (4.0, 4.0, 4.0)
# Short, so that a test need not wait for minutes.
_INTAKE = "return_s = 3\nopen_s = 30"
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
    node = new_node(tps, acceptors=2, intake=_INTAKE)
    node.start()
    return node


@pytest.fixture
def images(tmp_path: Path) -> list[Dataset]:
    """35 images of one series."""
    return read_all(mr_series(_SHAPE, _SPACING_MM, name="door").write(tmp_path / "mr"))


def held(node: Node) -> dict[str, Any]:
    """The one series, once it is held for a person; its findings by code."""
    item = node.wait_state("review", "delivered", "refused", "failed", timeout_s=120)
    assert item["state"] == "review", item["sentence"]
    return {f["code"]: f for f in item["findings"]}


def delivered(node: Node, tps: Storescp) -> dict[str, Any]:
    """The one series, once its one sCT has arrived."""
    item = node.wait_state("delivered", "review", "refused", "failed", timeout_s=120)
    assert item["state"] == "delivered", item["findings"]
    checks.one_sct_delivered(node, tps, item["id"])
    checks.nothing_else_arrived(node, tps)
    return item


def test_a_sender_that_aborts_and_never_returns_is_held(node: Node, images: list[Dataset]) -> None:
    """28 of 35, then A-ABORT: a person decides, and reads why."""
    association = open_association(node.dicom_port)
    assert set(send(association, images[:28])) == {0}
    association.abort()
    found = held(node)
    assert found["SENDER_ABORTED"]["severity"] == "hold"
    assert found["SENDER_ABORTED"]["sentence"].startswith("28 images came. pacs aborted")


def test_a_sender_that_aborts_and_returns_is_delivered(
    node: Node, tps: Storescp, images: list[Dataset]
) -> None:
    """It sends all of it again and releases: as if nothing had been, in one revision."""
    association = open_association(node.dicom_port)
    send(association, images[:28])
    association.abort()
    again = open_association(node.dicom_port)
    assert set(send(again, images)) == {0}
    again.release()
    assert delivered(node, tps)["revision"] == 1


def test_a_sender_that_stalls_is_waited_for(
    node: Node, tps: Storescp, images: list[Dataset]
) -> None:
    """Silence of eight times the quiet time with the association open: no short sCT."""
    association = open_association(node.dicom_port)
    send(association, images[:30])
    ends = time.monotonic() + 4.0
    wait_until(lambda: time.monotonic() > ends, "the stall")
    assert [i["state"] for i in node.series()] == ["receiving"]
    send(association, images[30:])
    association.release()
    assert delivered(node, tps)["revision"] == 1


def test_instances_that_the_node_refused_hold_the_rest(node: Node, images: list[Dataset]) -> None:
    """4 of 35 answered with a failure: the sCT of 31 waits, and says which and why."""
    bad = [image for n, image in enumerate(images) if n % 10 == 3]
    for image in bad:
        del image.StudyInstanceUID
    association = open_association(node.dicom_port)
    statuses = send(association, images)
    association.release()
    assert len(bad) == 4
    assert sum(status != 0 for status in statuses) == len(bad)
    found = held(node)["IMAGES_REFUSED"]
    assert found["severity"] == "hold"
    assert sorted(found["uids"]) == sorted(image.SOPInstanceUID for image in bad)
    assert "4 images" in found["sentence"]
    assert "Identifier missing (4)" in found["sentence"]


def test_a_stray_first_sender_neither_strands_nor_frees_a_series(
    new_node: MakeNode, tps: Storescp, images: list[Dataset]
) -> None:
    """First slice to another called AE, first from an AE without a route: the strictest counts."""
    titles = 'called_ae_titles = ["PCTCARE", "PCTELSE"]\nunknown_peers = "accept"'
    node = new_node(tps, acceptors=2, intake=_INTAKE, more=_SECOND_ROUTE, dicom=titles, quiet_s=5)
    text = node.config.read_text()
    ours = 'when = { from = ["pacs"] }'
    assert ours in text
    node.config.write_text(text.replace(ours, 'when = { from = ["pacs"], called_ae = "PCTNODE" }'))
    node.start()
    for calling, called, some in (
        ("STRAY", "PCTELSE", images[:1]),
        ("PACS", "PCTCARE", images[1:2]),
        ("PACS", "PCTNODE", images[2:]),
    ):
        association = open_association(node.dicom_port, calling=calling, called=called)
        assert set(send(association, some)) == {0}
        association.release()
    found = held(node)
    assert {"SENDERS_DIFFER", "SENDER_STRAY"} <= set(found)
    assert (
        "pacs → PCTNODE (33): head; pacs → PCTCARE (1): careful"
        in (found["SENDERS_DIFFER"]["sentence"])
    )


def test_a_killed_acceptor_leaves_evidence(
    node: Node, tps: Storescp, images: list[Dataset]
) -> None:
    """Kill -9 of the process that has the association: held; sent again, delivered."""
    association = open_association(node.dicom_port)
    send(association, images[:28])
    for role, pid in node.children().items():
        if role.startswith("scp"):
            os.kill(pid, signal.SIGKILL)
    found = held(node)
    assert {"SENDER_CUT_OFF"} <= set(found)
    wait_until(lambda: len(node.children()) == 4, "the acceptors", timeout_s=60)
    again = open_association(node.dicom_port)
    assert set(send(again, images)) == {0}
    again.release()
    wait_until(lambda: node.series()[0]["revision"] == 2, "the late images", timeout_s=60)
    assert delivered(node, tps)["revision"] == 2


@pytest.mark.parametrize("point", ["ledger.begun", "ledger.ended", "store.released"])
def test_a_kill_between_release_and_its_record_ends_in_one_delivery(
    new_node: MakeNode, tps: Storescp, images: Sequence[Dataset], point: str
) -> None:
    """Whoever heard no answer to its release comes back; nothing is held for that."""
    node = new_node(tps, acceptors=2, intake=_INTAKE)
    node.start(crash_at=point)
    if point == "ledger.begun":  # which is for what is here already
        association = open_association(node.dicom_port)
        send(association, images)
        association.abort()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        association = open_association(node.dicom_port)
        statuses = send(association, images)
        association.release()
        if set(statuses) == {0} and association.is_released:
            break
    wait_until(node.mark.exists, "the crash point", timeout_s=10)
    delivered(node, tps)
