"""Peers that misbehave on purpose: the offender hears the right answer, everyone else is served."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import wire
from tests.fuzz.test_network import data_set, echoes, memory_mb
from tests.interop.receiving import Node, running_node, start_node
from tests.peers.waiting import wait_until

pytestmark = pytest.mark.interop

_LIMITS = '{"network_timeout_s": 3.0, "acse_timeout_s": 3.0, "max_associations": 130}'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP for all of them, with short time-outs."""
    yield from running_node(tmp_path_factory.mktemp("bad") / "var", "--limits", _LIMITS)


def store(peer: object, command: bytes, data: bytes | None) -> int:
    """Send one request; the status of the answer, or minus the PDU type that came instead."""
    sent = wire.data_pdu(command, control=3)
    if data is not None:
        sent += wire.data_pdu(data, control=2)
    peer.sendall(sent)  # type: ignore[attr-defined]
    kind, body = wire.receive(peer)  # type: ignore[arg-type]
    return wire.status_of(body) if kind == wire.P_DATA else -kind


def deep(depth: int) -> bytes:
    """A sequence in a sequence, so many times, of undefined length, where patients come."""
    start = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    ends = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return (start + item) * depth + ends * depth


def inserted(data: bytes, more: bytes) -> bytes:
    """``more`` before the first element of group 0010."""
    at = data.index(b"\x10\x00\x10\x00PN")
    return data[:at] + more + data[at:]


def uid_in(data: bytes, uid: str) -> bytes:
    """The data set under another SOP Instance UID."""
    at = data.index(b"\x08\x00\x18\x00UI")
    (length,) = struct.unpack_from("<H", data, at + 6)
    value = wire.even(uid.encode())
    return data[: at + 6] + struct.pack("<H", len(value)) + value + data[at + 8 + length :]


def test_a_command_that_says_there_is_no_data_set_does_not_stop_the_node(node: Node) -> None:
    """Though one follows; the next honest association is served."""
    with wire.associated(node.port) as peer:
        peer.sendall(wire.data_pdu(wire.store_command("1.2.5.1", data_set=0x0101), control=3))
        peer.sendall(wire.data_pdu(data_set(), control=2))
        answered, _ = wire.receive(peer)

    assert answered in (0, wire.P_DATA, wire.ABORTED)
    assert echoes(node) < 60


@pytest.mark.parametrize(
    ("uid", "sop_class", "status"),
    [
        ("1.2.5.2", wire.MR_IMAGE, 0xA900),  # the data set has another SOP Instance UID
        ("../../../../tmp/evil", wire.MR_IMAGE, 0x0117),
        ("1.2/3\\4", wire.MR_IMAGE, 0x0117),
    ],
)
def test_a_command_that_lies_about_its_data_set_is_told_so(
    node: Node, uid: str, sop_class: str, status: int
) -> None:
    """And leaves no file; the association goes on."""
    before = node.files()
    with wire.associated(node.port) as peer:
        answer = store(peer, wire.store_command(uid, sop_class=sop_class), data_set())
        peer.sendall(wire.data_pdu(wire.echo_command(), control=3, context=3))
        kind, body = wire.receive(peer)

    assert hex(answer) == hex(status)
    assert (kind, wire.status_of(body)) == (wire.P_DATA, 0)
    assert node.files() == before


def test_path_characters_in_a_data_set_never_become_a_path(node: Node) -> None:
    """Its UID is refused, and nothing lies outside the archive."""
    bad = "../../../evil"
    with wire.associated(node.port) as peer:
        answer = store(peer, wire.store_command(bad), uid_in(data_set(), bad))

    assert answer == 0x0117
    assert not list(node.data_dir.parent.rglob("*evil*"))


@pytest.mark.parametrize("depth", [1_000, 20_000])
def test_sequences_a_thousand_deep_are_refused_at_once(node: Node, depth: int) -> None:
    """Cannot understand, and the association goes on."""
    with wire.associated(node.port) as peer:
        nested = inserted(data_set(), deep(depth))
        peer.sendall(b"".join(wire.store_stream("1.2.5.3", nested)))
        _, body = wire.receive(peer)
        peer.sendall(wire.data_pdu(wire.echo_command(), control=3, context=3))
        _, echo = wire.receive(peer)

    assert wire.status_of(body) == 0xC000
    assert wire.status_of(echo) == 0


def test_a_hundred_idle_associations_leave_room_for_one_that_works(node: Node) -> None:
    """They are ended when their silence has lasted, and their threads with them."""
    before = node.threads()
    idle = [wire.associated(node.port, timeout_s=60) for _ in range(100)]

    took = echoes(node)

    assert took < 60
    for peer in idle:
        peer.close()
    wait_until(lambda: node.threads() <= before + 4, "the threads to end", timeout_s=120)


def test_a_request_that_comes_byte_by_byte_is_cut_off(node: Node) -> None:
    """Slowloris: one byte at a time resets no clock; the connection ends, others are served."""
    request = wire.associate_request()
    with wire.connect(node.port, 60) as peer:
        peer.settimeout(0.3)
        began, ended = time.monotonic(), False
        for byte in request[:-1]:
            try:
                peer.sendall(bytes([byte]))
                if peer.recv(1) == b"":
                    ended = True
            except TimeoutError:
                pass  # nothing came back, as it should be; the next byte
            except ConnectionError:
                ended = True
            if ended or time.monotonic() - began > 60:
                break

    assert ended
    assert echoes(node) < 60


@pytest.mark.parametrize("mib", [96, pytest.param(1024, marks=[pytest.mark.slow])])
def test_a_large_instance_does_not_fill_the_memory(node: Node, mib: int) -> None:
    """It goes to the disk while it arrives: memory grows by the same, whatever its size."""
    size = mib << 20
    image = data_set()
    at = image.index(b"\xe0\x7f\x10\x00")
    header = image[:at] + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size)
    before, piece = memory_mb(node), bytes(1 << 16)
    uid = f"1.2.5.9.{mib}"
    header = uid_in(header, uid)
    with wire.associated(node.port, timeout_s=300) as peer:
        peer.sendall(wire.data_pdu(wire.store_command(uid), control=3))
        peer.sendall(wire.data_pdu(header, control=0))
        for number in range(size >> 16):
            last = 2 if number == (size >> 16) - 1 else 0
            peer.sendall(wire.data_pdu(piece, control=last))
        grown = memory_mb(node) - before
        _, body = wire.receive(peer)
        grown = max(grown, memory_mb(node) - before)

    assert wire.status_of(body) == 0
    assert grown < 64
    largest = max(node.files(), key=lambda path: path.stat().st_size)
    assert largest.stat().st_size > size
    largest.unlink()  # pytest keeps folders of its last runs


def test_below_the_watermark_nothing_is_written(tmp_path: Path) -> None:
    """0xA700, and not one byte of the instance on the disk."""
    full = start_node(tmp_path / "full", "--min-free-bytes", str(1 << 60))
    try:
        with wire.associated(full.port) as peer:
            uid = "1.2.5.4"
            answer = store(peer, wire.store_command(uid), uid_in(data_set(), uid))

        assert answer == 0xA700
        assert full.files() == full.files("tmp") == []
    finally:
        full.stop()
