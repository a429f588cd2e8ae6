"""Fuzzed PDUs and data sets against a running SCP: it lives, answers, and leaks nothing.

``make fuzz`` runs all of it, the default run a sample. The SCP is a process of its own, and the
fuzzer knows nothing of what is inside.
"""

import io
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.fuzz import wire
from tests.interop.receiving import Node, running_node
from tests.peers.memory import MIB, forget_peak, peak_bytes, resident_bytes
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

STREAMS, STREAM_SAMPLE = 8_000, 120
STORES, STORE_SAMPLE = 8_000, 150
# A hang is five seconds on a machine that has nothing else to do; a busy one is given more.
HANG_S, BUSY_HANG_S = 5.0, 60.0
_EVERY = 200
# docs/security.md: what a process may have beside 1.3 times what it has when idle. Threads that end
# leave the allocator's arenas behind, a few MiB each, which the next ones use.
FACTOR, BUDGET = 1.3, 80 * MIB
# Descriptors of the database's pool, three a connection, which come with load and stay.
POOL = 40


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that gives up on silence after a few seconds."""
    limits = '{"network_timeout_s": 5.0, "acse_timeout_s": 5.0}'
    yield from running_node(tmp_path_factory.mktemp("fuzzed") / "var", "--limits", limits)


def data_set() -> bytes:
    """A small MR image, Explicit VR Little Endian, without File Meta Information."""
    file = mr_series((1, 8, 8)).files()[0]
    length = pydicom.dcmread(io.BytesIO(file)).file_meta.FileMetaInformationGroupLength
    return file[132 + 12 + int(length) :]


def echoes(node: Node) -> float:
    """Seconds until an honest association was opened, used and released."""
    began = time.monotonic()
    with wire.associated(node.port, timeout_s=BUSY_HANG_S) as peer:
        peer.sendall(wire.data_pdu(wire.echo_command(), control=3, context=3))
        kind, body = wire.receive(peer)
        assert (kind, wire.status_of(body)) == (wire.P_DATA, 0)
        peer.sendall(wire.RELEASE_RQ)
        assert wire.receive(peer)[0] == wire.RELEASE_RP
    return time.monotonic() - began


def open_files(node: Node) -> int:
    """Descriptors of the process."""
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


def memory_mb(node: Node) -> float:
    """Resident memory of the process."""
    return resident_bytes(node.process.pid) / MIB


def settled(node: Node, threads: int, files: int) -> None:
    """Wait until what the fuzzer held is let go."""
    wait_until(lambda: node.threads() <= threads + 2, "the threads to end", timeout_s=120)
    wait_until(lambda: open_files(node) <= files + POOL, "the files to close", timeout_s=120)


def test_no_stream_of_pdus_stops_the_node(node: Node, whole_fuzz: bool) -> None:
    """Mutated associations, one connection each; every end is a clean one."""
    rng, image = random.Random(21), data_set()  # noqa: S311 - a seed, not a secret
    slowest = [echoes(node)]
    threads, files, idle = node.threads(), open_files(node), resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    for number in range(STREAMS if whole_fuzz else STREAM_SAMPLE):
        store = wire.store_stream(f"1.2.3.{number}", image, piece=4096)
        stream = wire.mutated([wire.associate_request(), *store, wire.RELEASE_RQ], rng)
        began = time.monotonic()
        with wire.connect(node.port, BUSY_HANG_S) as peer:
            try:
                peer.sendall(b"".join(stream))
            except ConnectionError:
                continue  # refused in mid-stream
            wire.drained(peer)
        slowest.append(time.monotonic() - began)
        if number % _EVERY == 0:
            slowest.append(echoes(node))

    assert node.process.poll() is None
    settled(node, threads, files)
    assert max(slowest) < (HANG_S if whole_fuzz else BUSY_HANG_S)
    assert peak_bytes(node.process.pid) < FACTOR * idle + BUDGET


def test_no_data_set_stops_an_association(node: Node, whole_fuzz: bool) -> None:
    """Mutated data sets in whole messages: each is answered, the association goes on."""
    rng, image = random.Random(22), data_set()  # noqa: S311 - a seed, not a secret
    threads, files, idle = node.threads(), open_files(node), resident_bytes(node.process.pid)
    forget_peak(node.process.pid)
    answers: set[int] = set()
    slowest, peer = 0.0, wire.associated(node.port, timeout_s=BUSY_HANG_S)
    for number in range(STORES if whole_fuzz else STORE_SAMPLE):
        changed = wire.mutated_bytes(image, rng)
        began = time.monotonic()
        peer.sendall(b"".join(wire.store_stream(f"1.2.4.{number}", changed)))
        kind, body = wire.receive(peer)
        slowest = max(slowest, time.monotonic() - began)
        assert kind == wire.P_DATA, f"PDU type {kind} after data set {number} of seed 22"
        answers.add(wire.status_of(body))
    peer.close()

    assert answers - {0x0000} <= {0xA700, 0xA900, 0xB000, 0xC000, 0x0117}
    assert 0xC000 in answers
    assert slowest < (HANG_S if whole_fuzz else BUSY_HANG_S)
    settled(node, threads, files)
    assert peak_bytes(node.process.pid) < FACTOR * idle + BUDGET


def test_a_burst_of_noise_leaves_the_honest_alone(node: Node) -> None:
    """While forty connections send noise, an honest peer is served."""
    rng = random.Random(23)  # noqa: S311 - a seed, not a secret
    noisy: list[socket.socket] = []
    for _ in range(40):
        peer = wire.connect(node.port, BUSY_HANG_S)
        peer.sendall(rng.choice((b"\x01\0\0\0\x10\0", wire.associate_request()[:30], b"")))
        noisy.append(peer)

    took = echoes(node)

    assert took < BUSY_HANG_S
    for peer in noisy:
        peer.close()
    assert node.process.poll() is None
