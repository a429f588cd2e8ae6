"""What one peer can make the node hold: memory of its process, measured while it is tried."""

import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fuzz import wire
from tests.interop.receiving import Node, running_node
from tests.peers.dcmtk import run_echoscu
from tests.peers.memory import MIB, forget_peak, peak_bytes, resident_bytes
from tests.peers.waiting import wait_until

pytestmark = pytest.mark.interop

# docs/security.md: 1.3 times what the process has when it is idle, and what a message may cost.
_FACTOR = 1.3
_DEFLATED = "1.2.840.10008.1.2.1.99"
_PIECE = bytes(1 << 16)


@pytest.fixture(params=["loop", "stock"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """An SCP with either receiver, as idle as it is after a first association."""
    options = ["--stock"] if request.param == "stock" else []
    for made in running_node(tmp_path / "var", *options):
        assert run_echoscu(made.port).returncode == 0
        yield made


def pour(peer: socket.socket, most: int, *, context: int) -> int:
    """Send a data set that does not end; how much the node took before it hung up."""
    sent, part = 0, wire.data_pdu(_PIECE, control=0, context=context)
    with suppress(ConnectionError):
        while sent < most:
            peer.sendall(part)
            sent += len(_PIECE)
    return sent


def within(node: Node, idle: int, budget: int) -> None:
    """Assert that the process never had more than documented."""
    assert peak_bytes(node.process.pid) <= _FACTOR * idle + budget


def test_an_endless_identifier_is_cut_off(node: Node) -> None:
    """A message that is no C-STORE ends at 1 MiB: an abort, and the record says why."""
    idle = resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    ask = wire.command(
        (0x0002, wire.even(wire.VERIFICATION.encode())),
        (0x0100, b"\x30\0"),
        (0x0110, b"\x07\0"),
        (0x0800, b"\0\0"),  # a data set follows
    )
    with wire.associated(node.port) as peer:
        peer.sendall(wire.data_pdu(ask, control=3, context=3))
        pour(peer, 64 * MIB, context=3)

    within(node, idle, 4 * MIB)
    wait_until(
        lambda: any("longer than 1 MiB" in row[1] for row in node.associations(2)),
        f"the record among {node.associations(2)}",
    )
    assert run_echoscu(node.port).returncode == 0


def test_requests_that_nobody_waits_for_are_cut_off(node: Node) -> None:
    """Whoever asks again and again without reading an answer is not queued for ever."""
    idle = resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    echo = wire.data_pdu(wire.echo_command(), control=3, context=3)
    with wire.associated(node.port) as peer, suppress(OSError):
        peer.settimeout(5)
        for _ in range(50):
            peer.sendall(echo * 1000)

    within(node, idle, 8 * MIB)
    assert run_echoscu(node.port).returncode == 0


def test_a_sender_of_short_pdus_is_spooled_like_any_other(node: Node) -> None:
    """A peer that takes PDUs of 256 bytes gets its answer in pieces; its data goes to the disk."""
    idle = resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    small = wire.associate_request().replace(struct.pack(">I", 1 << 17), struct.pack(">I", 256))
    with wire.connect(node.port) as peer:
        peer.sendall(small)
        assert wire.receive(peer)[0] == wire.ASSOCIATE_AC
        peer.sendall(wire.data_pdu(wire.store_command("1.2.3"), control=3))
        pour(peer, 80 * MIB, context=1)
        kind = _answer(peer)

    # pynetdicom alone holds a data set in memory, up to its budget, and then hangs up.
    stock = "--stock" in (node.process.args or ())  # type: ignore[operator]
    assert kind == (wire.ABORTED if stock else wire.P_DATA)
    within(node, idle, (2 * 64 + 16 if stock else 16) * MIB)
    assert run_echoscu(node.port).returncode == 0


def _answer(peer: socket.socket) -> int:
    """End the data set and read the answer, no piece of which may be longer than asked."""
    answer, kind = b"", 0
    with suppress(ConnectionError):
        peer.sendall(wire.data_pdu(b"\0\0", control=2))
    while wire.status_of(answer) < 0:
        kind, body = wire.receive(peer)
        if kind != wire.P_DATA:
            return wire.ABORTED
        assert len(body) <= 256
        answer += body[6:]
    assert wire.status_of(answer) == 0xC000
    return kind


def test_a_deflate_bomb_costs_its_budget(node: Node) -> None:
    """400 KiB that unpack to 400 MiB are refused at 32 MiB."""
    idle = resident_bytes(node.process.pid)
    packer = zlib.compressobj(9, wbits=-15)
    bomb = b"".join([packer.compress(bytes(MIB)) for _ in range(400)]) + packer.flush()
    request = wire.associate_request()
    asked = wire.EXPLICIT_LITTLE.encode()
    first = request.index(asked)
    grown = request[:first] + _DEFLATED.encode() + request[first + len(asked) :]
    more = len(_DEFLATED) - len(asked)
    # The lengths around it: of the transfer syntax item, its context and the PDU.
    grown = _longer(grown, first - 2, more, ">H")
    context = grown.rindex(b"\x20\x00", 0, first - 4)
    grown = _longer(grown, context + 2, more, ">H")
    grown = _longer(grown, 2, more, ">I")
    forget_peak(node.process.pid)
    with wire.connect(node.port) as peer:
        peer.sendall(grown)
        assert wire.receive(peer)[0] == wire.ASSOCIATE_AC
        for part in wire.store_stream("1.2.3", bomb):
            peer.sendall(part)
        assert wire.status_of(wire.receive(peer)[1]) == 0xC000

    within(node, idle, 80 * MIB)


def _longer(data: bytes, at: int, more: int, form: str) -> bytes:
    (length,) = struct.unpack_from(form, data, at)
    return data[:at] + struct.pack(form, length + more) + data[at + struct.calcsize(form) :]


def test_memory_is_given_back(node: Node) -> None:
    """After all of it the process is as large as before."""
    idle = resident_bytes(node.process.pid)
    for _ in range(3):
        with wire.associated(node.port) as peer:
            peer.sendall(wire.data_pdu(wire.store_command("1.2.3"), control=3))
            pour(peer, 32 * MIB, context=1)
    ends = time.monotonic() + 20
    while resident_bytes(node.process.pid) > _FACTOR * idle + 8 * MIB:
        assert time.monotonic() < ends, "the memory to be given back"
        assert run_echoscu(node.port).returncode == 0
