"""Connections that say nothing do not shut the port, whoever they come from."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fuzz import wire
from tests.interop.receiving import Node, running_node
from tests.peers.dcmtk import run_echoscu
from tests.peers.waiting import wait_until

pytestmark = pytest.mark.interop

# Nobody but the node itself may end a connection here: the times are far beyond the test's.
_LIMITS = '{"max_associations": 5, "acse_timeout_s": 120.0, "network_timeout_s": 120.0}'


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP with five places."""
    yield from running_node(tmp_path / "var", "--limits", _LIMITS)


def silent(node: Node, count: int, address: str, say: bytes = b"") -> list[socket.socket]:
    """Connections from ``address`` that ``say`` no more than that."""
    made = []
    for _ in range(count):
        peer = socket.socket()
        peer.bind((address, 0))
        peer.settimeout(30)
        peer.connect(("127.0.0.1", node.port))
        if say:
            peer.sendall(say)
        made.append(peer)
    return made


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"], ids=["of a peer", "of nobody"])
@pytest.mark.parametrize(
    "say", [b"", wire.associate_request()[:30]], ids=["nothing", "half a request"]
)
def test_a_peer_is_served_beside_101_silent_connections(
    node: Node, address: str, say: bytes
) -> None:
    """At once, not when the silent ones' time is up; their threads are few and end."""
    before = node.threads()
    with ExitStack() as stack:
        for peer in silent(node, 101, address, say):
            stack.enter_context(peer)
        began = time.monotonic()
        answer = run_echoscu(node.port)
        assert answer.returncode == 0, answer.stderr
        assert time.monotonic() - began < 10
        wait_until(lambda: node.threads() <= before + 2 * 10, "the threads of those let go to end")
    wait_until(lambda: node.threads() <= before + 2, "the threads to end")


def test_strangers_push_out_only_each_other(node: Node) -> None:
    """A peer's connection that is slow to speak is still there after a flood of strangers."""
    with ExitStack() as stack:
        (slow,) = silent(node, 1, "127.0.0.1")
        stack.enter_context(slow)
        for peer in silent(node, 101, "127.0.0.2"):
            stack.enter_context(peer)
        slow.sendall(wire.associate_request())

        assert slow.recv(1)[0] == wire.ASSOCIATE_AC
