"""Fuzzed messages that are no C-STORE: commands and identifiers of every service the SCP offers."""

import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.fuzz import wire
from tests.fuzz.test_network import BUDGET, BUSY_HANG_S, FACTOR, HANG_S, echoes, open_files, settled
from tests.interop.receiving import Node, running_node
from tests.peers.memory import forget_peak, peak_bytes, resident_bytes

MESSAGES, SAMPLE = 12_000, 200
_FIND, _MOVE, _GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
_COMMIT = "1.2.840.10008.1.20.1"
SERVICES = (_FIND, _MOVE, _GET, _COMMIT)
# Command field and presentation context of each (PS3.7 E.1).
_REQUESTS = ((0x0020, 5, _FIND), (0x0021, 7, _MOVE), (0x0010, 9, _GET), (0x0130, 11, _COMMIT),
             (0x0030, 3, wire.VERIFICATION))  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that gives up on silence after a few seconds."""
    limits = '{"network_timeout_s": 5.0, "acse_timeout_s": 5.0}'
    yield from running_node(tmp_path_factory.mktemp("asked") / "var", "--limits", limits)


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """One element, Explicit VR Little Endian, short form (PS3.5 7.1.2)."""
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def identifier(rng: random.Random) -> bytes:
    """Keys of a query, some of them hostile."""
    names = (b"*" * 63 + b"x", b"*?" * 31 + b"*x", b"^" * 60, b"a\\" * 30, b"\xff" * 62, b"")
    level = rng.choice((b"STUDY ", b"SERIES", b"IMAGE ", b"PATIENT ", b"NONE"))
    uid = rng.choice((b"1.2.3\0", b"*", b"1.2.3\\1.2.4\0" * 4, b""))
    return b"".join(
        (
            element(0x0008, 0x0020, b"DA", rng.choice((b"", b"20240101-", b"-" * 16))),
            element(0x0008, 0x0052, b"CS", level),
            element(0x0010, 0x0010, b"PN", wire.even(rng.choice(names))),
            element(0x0020, 0x000D, b"UI", wire.even(uid)),
            element(0x0020, 0x000E, b"UI", wire.even(uid)),
        )
    )


def message(rng: random.Random) -> tuple[list[bytes], bool]:
    """The PDUs of one request, and whether they are as they should be."""
    field, context, sop_class = rng.choice(_REQUESTS)
    has_data = field != 0x0030 or rng.random() < 0.1
    class_element, uid_element = (0x0003, 0x1001) if field == 0x0130 else (0x0002, 0x1000)
    asked = wire.command(
        (class_element, wire.even(sop_class.encode())),
        (0x0100, struct.pack("<H", field)),
        (0x0110, struct.pack("<H", rng.randrange(1, 9))),
        (0x0600, b"TPS "),
        (0x0700, b"\0\0"),
        (0x0800, struct.pack("<H", 1 if has_data else 0x0101)),
        (uid_element, b"1.2.840.10008.1.20.1.1"),
        (0x1008, b"\x01\0"),
    )
    told = identifier(rng)
    is_whole = True
    if rng.random() < 0.5:
        asked, is_whole = wire.mutated_bytes(asked, rng), False
    if rng.random() < 0.7:
        told, is_whole = wire.mutated_bytes(told, rng), is_whole and not has_data
    pdus = [wire.data_pdu(asked, control=3, context=context)]
    if has_data:
        pdus.append(wire.data_pdu(told, control=2, context=context))
    return pdus, is_whole


def test_no_message_stops_the_node(node: Node, whole_fuzz: bool) -> None:
    """Each is answered, or ends its association; in time, and with no more memory than budgeted."""
    rng = random.Random(24)  # noqa: S311 - a seed, not a secret
    slowest, answered, ended = [echoes(node)], 0, 0
    threads, files, idle = node.threads(), open_files(node), resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    peer = wire.associated(node.port, BUSY_HANG_S, more=SERVICES)
    for number in range(MESSAGES if whole_fuzz else SAMPLE):
        began = time.monotonic()
        try:
            pdus, is_whole = message(rng)
            peer.sendall(b"".join(pdus))
            peer.sendall(wire.RELEASE_RQ)
            # A message that is never whole is answered with nothing: who asked goes. One that is
            # has its answer awaited; who goes before it is seen off without one.
            if not is_whole:
                peer.shutdown(socket.SHUT_WR)
            kind, _ = wire.receive(peer)
            while kind == wire.P_DATA:
                answered += 1
                kind, _ = wire.receive(peer)
        except OSError:
            kind = wire.ABORTED
        ended += kind != wire.RELEASE_RP
        slowest.append(time.monotonic() - began)
        peer.close()
        assert node.process.poll() is None, f"message {number} of seed 24"
        peer = wire.associated(node.port, BUSY_HANG_S, more=SERVICES)
    peer.close()

    assert answered
    assert ended
    settled(node, threads, files)
    assert max(slowest) < (HANG_S if whole_fuzz else BUSY_HANG_S)
    assert peak_bytes(node.process.pid) < FACTOR * idle + BUDGET
