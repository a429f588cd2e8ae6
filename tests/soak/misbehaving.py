"""Peers that misbehave, each for a moment, one way after the other."""

import random
import socket
import struct
import threading
from collections.abc import Callable, Sequence

from tests.fuzz import wire

Way = Callable[[int, random.Random, bytes, threading.Event], None]


def garbage(port: int, rng: random.Random, _image: bytes, _stop: threading.Event) -> None:
    """Bytes that are no DICOM."""
    with wire.connect(port) as peer:
        peer.sendall(rng.randbytes(rng.randrange(1, 4000)))
        wire.drained(peer)


def silent(port: int, rng: random.Random, _image: bytes, stop: threading.Event) -> None:
    """A connection without a word."""
    with wire.connect(port):
        stop.wait(rng.uniform(0.1, 2.0))


def idle(port: int, rng: random.Random, _image: bytes, stop: threading.Event) -> None:
    """An association without a word."""
    with wire.associated(port):
        stop.wait(rng.uniform(0.1, 3.0))


def stranger(port: int, _rng: random.Random, _image: bytes, _stop: threading.Event) -> None:
    """An AE title nobody knows, or a node that is called another name."""
    with wire.connect(port) as peer:
        peer.sendall(wire.associate_request(calling="NOBODY", called="OTHER"))
        wire.drained(peer)


def half(port: int, rng: random.Random, image: bytes, _stop: threading.Event) -> None:
    """Half an instance, and gone; sometimes with a reset."""
    with wire.associated(port) as peer:
        stream = b"".join(wire.store_stream("1.2.9.9", image))
        peer.sendall(stream[: rng.randrange(len(stream))])
        if rng.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def slow(port: int, _rng: random.Random, _image: bytes, stop: threading.Event) -> None:
    """A request byte by byte."""
    with wire.connect(port) as peer:
        for byte in wire.associate_request()[:40]:
            peer.sendall(bytes([byte]))
            if stop.wait(0.1):
                return


def broken(port: int, rng: random.Random, image: bytes, _stop: threading.Event) -> None:
    """Mutated protocol data units."""
    stream = [wire.associate_request(), *wire.store_stream("1.2.9.8", image), wire.RELEASE_RQ]
    with wire.connect(port) as peer:
        peer.sendall(b"".join(wire.mutated(stream, rng)))
        wire.drained(peer)


def unreadable(port: int, rng: random.Random, image: bytes, _stop: threading.Event) -> None:
    """Data sets that are none, in whole messages."""
    with wire.associated(port) as peer:
        for number in range(rng.randrange(1, 5)):
            changed = wire.mutated_bytes(image, rng)[: rng.randrange(20, 400)]
            peer.sendall(b"".join(wire.store_stream(f"1.2.9.7.{number}", changed)))
            if wire.receive(peer)[0] != wire.P_DATA:
                return


WAYS: Sequence[Way] = (garbage, silent, idle, stranger, half, slow, broken, unreadable)


def misbehave(
    port: int, seed: int, image: bytes, stop: threading.Event, done: Callable[[str], None]
) -> None:
    """One way after the other until ``stop``; what the node does about it is its right."""
    rng = random.Random(seed)  # noqa: S311 - a seed, not a secret
    while not stop.is_set():
        way = rng.choice(WAYS)
        try:
            way(port, rng, image, stop)
        except OSError:
            stop.wait(0.05)  # refused, aborted, reset: just so
        done(way.__name__)
