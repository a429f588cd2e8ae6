"""DICOM upper layer bytes by hand, right and wrong: the fuzzers know nothing of the node's code."""

import random
import socket
import struct
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeAlias

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
# PS3.8 9.3.1 and 9.3.6 to 9.3.8
RELEASE_RQ = struct.pack(">BBI4x", 5, 0, 4)
ABORT = struct.pack(">BBI4x", 7, 0, 4)
ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RP, ABORTED = 2, 3, 4, 6, 7
Stream: TypeAlias = list[bytes]
"""PDUs in the order they are sent."""


def associate_request(
    *, called: str = "PCTNODE", calling: str = "PACS", more: Sequence[str] = ()
) -> bytes:
    """A-ASSOCIATE-RQ with contexts 1 (MR Image), 3 (Verification) and 5, 7, ... for ``more``.

    PS3.8 9.3.2.
    """
    contexts = b"".join(
        _item(0x20, bytes([number, 0, 0, 0]) + _item(0x30, cls.encode()) + _item(
            0x40, EXPLICIT_LITTLE.encode()))
        for number, cls in zip(count(1, 2), (MR_IMAGE, VERIFICATION, *more), strict=False)
    )  # fmt: skip
    user = _item(0x51, struct.pack(">I", 1 << 17)) + _item(0x52, b"1.2.3.4.5")
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user)
    return pdu(1, body)


def pdu(kind: int, body: bytes) -> bytes:
    """Type, length and body."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def data_pdu(fragment: bytes, *, control: int, context: int = 1) -> bytes:
    """A P-DATA-TF of one value; control 1: command, 2: last fragment (PS3.8 9.3.5, E.2)."""
    return pdu(4, struct.pack(">IBB", len(fragment) + 2, context, control) + fragment)


def command(*elements: tuple[int, bytes]) -> bytes:
    """A command set with its group length (PS3.7 6.3.1)."""
    body = b"".join(
        struct.pack("<HHI", 0, number, len(value)) + value for number, value in elements
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def store_command(uid: str, *, sop_class: str = MR_IMAGE, data_set: int = 1) -> bytes:
    """C-STORE-RQ (PS3.7 9.3.1.1); ``data_set`` 0x0101 says that none follows."""
    return command(
        (0x0002, even(sop_class.encode())),
        (0x0100, b"\x01\0"),
        (0x0110, b"\x01\0"),
        (0x0700, b"\0\0"),
        (0x0800, struct.pack("<H", data_set)),
        (0x1000, even(uid.encode())),
    )


def echo_command() -> bytes:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return command(
        (0x0002, even(VERIFICATION.encode())),
        (0x0100, b"\x30\0"),
        (0x0110, b"\x07\0"),
        (0x0800, b"\x01\x01"),
    )


def store_stream(uid: str, data_set: bytes, *, piece: int = 1 << 16) -> Stream:
    """The PDUs of one C-STORE."""
    pieces = [data_set[at : at + piece] for at in range(0, max(1, len(data_set)), piece)]
    return [data_pdu(store_command(uid), control=3)] + [
        data_pdu(part, control=2 if n == len(pieces) - 1 else 0) for n, part in enumerate(pieces)
    ]


def even(value: bytes) -> bytes:
    """Padded to an even length, as a UID is."""
    return value + b"\0" * (len(value) % 2)


def connect(port: int, timeout_s: float = 30.0) -> socket.socket:
    """A connection to the node."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout_s)


def associated(port: int, timeout_s: float = 30.0, *, more: Sequence[str] = ()) -> socket.socket:
    """A connection with an accepted association."""
    peer = connect(port, timeout_s)
    peer.sendall(associate_request(more=more))
    kind, _ = receive(peer)
    if kind != ASSOCIATE_AC:
        peer.close()
        raise ConnectionError(f"PDU type {kind} instead of an A-ASSOCIATE-AC")
    return peer


def receive(peer: socket.socket) -> tuple[int, bytes]:
    """Type and body of the next PDU; type 0 when the connection has ended."""
    header = exactly(peer, 6)
    if len(header) < 6:
        return 0, b""
    kind, _, length = struct.unpack(">BBI", header)
    return int(kind), exactly(peer, length)


def exactly(peer: socket.socket, count: int) -> bytes:
    """So many bytes; fewer when the connection ends."""
    data = bytearray()
    while len(data) < count:
        try:
            got = peer.recv(count - len(data))
        except ConnectionError:
            break
        if not got:
            break
        data += got
    return bytes(data)


def status_of(body: bytes) -> int:
    """Status (0000,0900) in the body of a P-DATA-TF with a response; -1 without one."""
    at = body.find(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", body, at + 8)[0]) if at >= 0 else -1


def drained(peer: socket.socket) -> None:
    """Say that nothing more comes, and read until the node closes."""
    try:
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(1 << 16):
            pass
    except ConnectionError:
        return  # it closed first


def mutated(stream: Stream, rng: random.Random) -> Stream:
    """The PDUs with one to three mutations."""
    changed = list(stream)
    for _ in range(rng.choice((1, 1, 2, 3))):
        changed = rng.choice(_MUTATIONS)(changed, rng)
    return changed


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a bit turned, a length that lies, a piece missing, repeated or random."""
    if not data:
        return rng.randbytes(rng.randrange(40))
    changed, at = bytearray(data), rng.randrange(len(data))
    how = rng.randrange(7)
    if how == 0:
        changed[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        changed[at : at + rng.choice((1, 2, 4, 8))] = rng.choice(_BAD_NUMBERS)
    elif how == 2:
        del changed[at:]
    elif how == 3:
        del changed[at : at + rng.randrange(1, 64)]
    elif how == 4:
        changed[at:at] = changed[max(0, at - rng.randrange(1, 64)) : at]
    elif how == 5:
        changed[at:at] = rng.randbytes(rng.randrange(1, 32))
    else:
        for _ in range(rng.randrange(1, 20)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


_BAD_NUMBERS = (
    b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xfe\xff\xff\xff", b"\0\0\xff\xff",
    b"\xff\xff", b"\0\0", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"\x01\0\0\x80",
)  # fmt: skip


def _in_one(stream: Stream, rng: random.Random) -> Stream:
    at = rng.randrange(len(stream))
    return [*stream[:at], mutated_bytes(stream[at], rng), *stream[at + 1 :]]


def _length_lies(stream: Stream, rng: random.Random) -> Stream:
    at = rng.randrange(len(stream))
    old = stream[at]
    length = rng.choice(
        (0, 1, 5, len(old), len(old) + 100, 0xFFFFFFFF, 0x7FFFFFFF, 1 << 20, 1 << 21)
    )
    return [*stream[:at], old[:2] + struct.pack(">I", length) + old[6:], *stream[at + 1 :]]


def _type_changes(stream: Stream, rng: random.Random) -> Stream:
    at = rng.randrange(len(stream))
    return [*stream[:at], bytes([rng.randrange(256)]) + stream[at][1:], *stream[at + 1 :]]


def _order_changes(stream: Stream, rng: random.Random) -> Stream:
    changed = list(stream)
    rng.shuffle(changed)
    return changed


def _one_repeats(stream: Stream, rng: random.Random) -> Stream:
    return [*stream, rng.choice(stream)]


def _one_is_missing(stream: Stream, rng: random.Random) -> Stream:
    at = rng.randrange(len(stream))
    return [*stream[:at], *stream[at + 1 :]] or stream


def _noise_comes(stream: Stream, rng: random.Random) -> Stream:
    at = rng.randrange(len(stream) + 1)
    return [*stream[:at], rng.randbytes(rng.randrange(1, 200)), *stream[at:]]


_MUTATIONS: Sequence[Callable[[Stream, random.Random], Stream]] = (
    _in_one, _in_one, _in_one, _length_lies, _type_changes, _order_changes, _one_repeats,
    _one_is_missing, _noise_comes,
)  # fmt: skip


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body
