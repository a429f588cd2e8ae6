"""Peers that vanish: no FIN, no reset, not one acknowledgement. The node's own clocks end it."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, build_role, evt

from node.domain.errors import Retryable
from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.association import Timeouts
from node.scu.store import Outgoing, send
from tests.fuzz import wire
from tests.fuzz.test_network import data_set, echoes, open_files
from tests.interop.receiving import Node, running_node, start_node
from tests.peers.vanished import vanish
from tests.peers.waiting import wait_until
from tests.phantoms.archived import receive_all
from tests.phantoms.small_mr import mr_image, write_image

pytestmark = pytest.mark.interop

SILENCE_S = 2.0
_LIMITS = '{"network_timeout_s": 2.0, "acse_timeout_s": 2.0}'
_STORE = b"".join(wire.store_stream("1.2.6.1", data_set() + bytes(4096)))
_GET = "1.2.840.10008.5.1.4.1.2.2.3"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that believes in silence for two seconds."""
    yield from running_node(tmp_path_factory.mktemp("half") / "var", "--limits", _LIMITS)


def connected(port: int) -> socket.socket:
    """A connection, nothing said."""
    return wire.connect(port)


def asking(port: int) -> socket.socket:
    """Half an A-ASSOCIATE-RQ."""
    peer = wire.connect(port)
    peer.sendall(wire.associate_request()[:50])
    return peer


def commanding(port: int) -> socket.socket:
    """An association, and half a command."""
    peer = wire.associated(port)
    peer.sendall(wire.data_pdu(wire.store_command("1.2.6.1"), control=3)[:40])
    return peer


def sending(port: int) -> socket.socket:
    """An association, and half a data set."""
    peer = wire.associated(port)
    peer.sendall(_STORE[: len(_STORE) // 2])
    return peer


MOMENTS = (connected, asking, wire.associated, commanding, sending)


@pytest.mark.parametrize("begin", MOMENTS, ids=lambda moment: moment.__name__)
def test_who_vanishes_is_noticed_by_the_nodes_own_clock(
    node: Node, begin: Callable[[int], socket.socket]
) -> None:
    """Thread, descriptor and the kernel's half of the connection go; nothing was stored."""
    echoes(node)
    threads, files, stored = node.threads(), open_files(node), node.files()
    with begin(node.port) as peer:
        vanish(peer)
        ours = peer.getsockname()[1]

        assert echoes(node) < 60  # others are served meanwhile
        wait_until(lambda: node.threads() <= threads, "the thread to end", timeout_s=60)
        wait_until(lambda: open_files(node) <= files, "the descriptor to close", timeout_s=60)
        wait_until(lambda: not is_kept(node.port, ours), "the kernel to give up", timeout_s=60)

    assert node.files("tmp") == []
    assert node.files() == stored


def is_kept(port: int, peer_port: int) -> bool:
    """Whether the kernel still has the node's end of a connection, in any state."""
    pair = [f":{port:04X}", f":{peer_port:04X}"]
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any([end[-5:] for end in line.split()[1:3]] == pair for line in lines)


@pytest.mark.parametrize("side", [32, 2048], ids=["waiting", "sending"])
def test_who_vanishes_in_a_c_get_ends_it(tmp_path: Path, side: int) -> None:
    """While the node waits for an answer, and while its own sending is stuck."""
    images = [write_image(tmp_path / f"{n}.dcm", mr_image(n, side=side)) for n in (1, 2, 3)]
    receive_all(tmp_path / "var", images)
    node = start_node(tmp_path / "var", "--limits", _LIMITS)
    try:
        echoes(node)
        threads, files = node.threads(), open_files(node)
        gone = threading.Event()

        def go(event: evt.Event) -> None:
            vanish(event.assoc.dul.socket.socket)
            gone.set()

        association = get_with(node, go)
        wait_until(gone.is_set, "the first slice", timeout_s=60)

        wait_until(lambda: node.threads() <= threads, "the thread to end", timeout_s=60)
        wait_until(lambda: open_files(node) <= files + 9, "the descriptor to close", timeout_s=60)
        assert echoes(node) < 60
        # pynetdicom's thread waits in a read that nothing ends.
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    finally:
        node.stop()
    assert any("C-GET: 0 of 3" in str(row[1]) for row in node.associations(2))


def get_with(node: Node, on_data: Callable[[evt.Event], None]) -> Any:
    """A C-GET of the series, with what to do as soon as data comes; the association."""
    entity = AE("PACS")
    entity.add_requested_context(_GET, ExplicitVRLittleEndian)
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(
        "127.0.0.1", node.port, ae_title="PCTNODE",
        ext_neg=[build_role(MRImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_DATA_RECV, _once(on_data))],
    )  # fmt: skip
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    association.send_c_get(query, _GET)
    return association


def _once(act: Callable[[evt.Event], None]) -> Callable[[evt.Event], None]:
    done = threading.Event()

    def handle(event: evt.Event) -> None:
        if event.assoc.is_established and not done.is_set():
            done.set()
            act(event)

    return handle


def test_a_destination_that_vanishes_is_tried_again_later(tmp_path: Path) -> None:
    """The node gives up sending after its own time-out, not after the kernel's."""
    paths = [write_image(tmp_path / f"{n}.dcm", mr_image(n, side=2048)) for n in (1, 2, 3)]
    files = [
        Outgoing(
            sop_class_uid=MRImageStorage,
            sop_instance_uid=f"1.2.3.4.{n}",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            path=path,
        )
        for n, path in enumerate(paths, 1)
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as held:
        taking = threading.Thread(target=take_and_vanish, args=(listener, held))
        taking.start()
        peer = Peer(
            name="tps",
            ae_title=AETitle("TPS"),
            host="127.0.0.1",
            port=listener.getsockname()[1],
            may=frozenset(),
            proof="none",
        )
        hasty = Timeouts(connect_s=3, associate_s=3, response_s=SILENCE_S)
        began = time.monotonic()

        with pytest.raises(Retryable):
            send(peer, files, calling_ae="PCTNODE", on_status=lambda _: None, timeouts=hasty)

        assert time.monotonic() - began < 60
        taking.join(60)


def take_and_vanish(listener: socket.socket, held: ExitStack) -> None:
    """Accept an association by hand, see the first bytes of an instance, and be gone."""
    connection, _ = listener.accept()
    held.enter_context(connection)  # closed at the end only: that would send a FIN
    connection.settimeout(30)
    _, request = wire.receive(connection)
    connection.sendall(wire.pdu(wire.ASSOCIATE_AC, accepted(request)))
    connection.recv(100)
    vanish(connection)


def accepted(request: bytes) -> bytes:
    """Body of an A-ASSOCIATE-AC that takes each context with its first syntax (PS3.8 9.3.3)."""
    items, at = request[68:], 0
    answer = request[:68]
    while at < len(items):
        kind, _, length = struct.unpack_from(">BBH", items, at)
        body = items[at + 4 : at + 4 + length]
        if kind == 0x20:  # class and syntax of a proposed context; the answer has the syntax alone
            (skipped,) = struct.unpack_from(">H", body, 6)
            kind, body = 0x21, body[:2] + bytes(2) + body[8 + skipped :]
        answer += struct.pack(">BBH", kind, 0, len(body)) + body
        at += 4 + length
    return answer
