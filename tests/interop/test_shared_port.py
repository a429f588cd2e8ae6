"""Acceptors that share a port share the senders too."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.uid import MRImageStorage

from tests.crash.harness import Node, make_node
from tests.peers import raw
from tests.peers.waiting import free_port, wait_until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with two acceptors."""
    running = make_node(tmp_path / "node", free_port(), acceptors=2)
    running.start()
    yield running
    running.stop()


def _sockets(process_id: int) -> int:
    links = Path(f"/proc/{process_id}/fd")
    return sum(str(link.readlink()).startswith("socket:") for link in links.iterdir())


def test_no_acceptor_takes_most_of_several_senders(node: Node) -> None:
    """Of eight that come one after the other neither process gets more than six.

    Chance alone gives one process seven or eight of them once in fourteen times, and the order of
    waking up, which is no chance, far more often.
    """
    wait_until(lambda: _ready(node) == 2, "two acceptors")
    acceptors = _acceptors(node)
    before = [_sockets(process_id) for process_id in acceptors]
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(raw.associated(node.dicom_port, [MRImageStorage]))
        taken = [_sockets(p) - n for p, n in zip(acceptors, before, strict=True)]

    assert min(taken) >= 2, taken  # a look whether the port listens may still have been counted


def _acceptors(node: Node) -> list[int]:
    return [pid for name, pid in sorted(node.children().items()) if name.startswith("scp")]


def _ready(node: Node) -> int:
    return node.log.read_text().count("scp_listening")
