"""Associations byte by byte: what no well-behaved client would send, or none could send faster."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

TIMEOUT_S = 120.0
ASSOCIATE_AC, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 2, 4, 5, 6, 7
COMMAND, LAST = 1, 2
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
# PS3.8 9.3.6 and 9.3.8.
RELEASE = struct.pack(">BBI4x", RELEASE_RQ, 0, 4)


@contextmanager
def associated(
    port: int,
    sop_classes: Sequence[str],
    *,
    called: str = "PCTNODE",
    calling: str = "PACS",
    syntax: str = EXPLICIT_LITTLE,
    connection: socket.socket | None = None,
) -> Iterator[tuple[socket.socket, int]]:
    """An accepted association and the peer's longest PDU; the contexts are 1, 3, 5 and so on."""
    if connection is None:
        connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_associate_rq(sop_classes, called, calling, syntax))
        kind, body = receive_pdu(connection)
        if kind != ASSOCIATE_AC:
            raise ConnectionError(f"the association was not accepted: PDU type {kind}")
        at = body.index(b"\x51\0\0\x04")
        limit: int = struct.unpack_from(">I", body, at + 4)[0]
        yield connection, limit or 128 * 1024


def store_command(sop_class_uid: str, sop_instance_uid: str, number: int = 1) -> bytes:
    """Command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    return _command_set(
        [
            (0x0002, _even(sop_class_uid)),
            (0x0100, struct.pack("<H", 1)),
            (0x0110, struct.pack("<H", number)),
            (0x0700, struct.pack("<H", 0)),
            (0x0800, struct.pack("<H", 1)),
            (0x1000, _even(sop_instance_uid)),
        ]
    )


def echo_command(number: int = 1) -> bytes:
    """Command set of a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _command_set(
        [
            (0x0002, _even(VERIFICATION)),
            (0x0100, struct.pack("<H", 0x30)),
            (0x0110, struct.pack("<H", number)),
            (0x0800, struct.pack("<H", 0x0101)),
        ]
    )


def value(fragment: bytes, control: int, context_id: int = 1) -> bytes:
    """A presentation data value (PS3.8 9.3.5.1)."""
    return struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment


def pdu(*values: bytes) -> bytes:
    """Values in one P-DATA-TF."""
    body = b"".join(values)
    return struct.pack(">BBI", P_DATA, 0, len(body)) + body


def message(command: bytes, data_set: bytes, limit: int, context_id: int = 1) -> bytes:
    """A request as its PDUs: the command alone, then the data set in as few as ``limit`` lets."""
    step = limit - 6
    pieces = [pdu(value(command, COMMAND | LAST, context_id))]
    for start in range(0, len(data_set), step):
        last = LAST if start + step >= len(data_set) else 0
        pieces.append(pdu(value(data_set[start : start + step], last, context_id)))
    return b"".join(pieces)


def receive_status(connection: socket.socket) -> int:
    """Status of the next response."""
    kind, body = receive_pdu(connection)
    # The last one: a message id may look like it.
    at = body.rfind(struct.pack("<HHI", 0, 0x0900, 2))
    if kind != P_DATA or at < 0:
        raise ConnectionError(f"no response: PDU type {kind}")
    status: int = struct.unpack_from("<H", body, at + 8)[0]
    return status


def receive_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """Type and body of the next PDU."""
    kind, _, length = struct.unpack(">BBI", _exactly(connection, 6))
    return kind, _exactly(connection, length)


def _associate_rq(sop_classes: Sequence[str], called: str, calling: str, syntax: str) -> bytes:
    """PS3.8 9.3.2."""
    contexts = b"".join(
        _item(
            0x20,
            bytes([2 * n + 1, 0, 0, 0])
            + _item(0x30, sop_class.encode())
            + _item(0x40, syntax.encode()),
        )
        for n, sop_class in enumerate(sop_classes)
    )
    user = _item(0x50, _item(0x51, struct.pack(">I", 128 * 1024)) + _item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _command_set(elements: Sequence[tuple[int, bytes]]) -> bytes:
    body = b"".join(struct.pack("<HHI", 0, tag, len(raw)) + raw for tag, raw in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        got = connection.recv(count - len(data))
        if not got:
            raise ConnectionError("the peer closed the connection")
        data += got
    return bytes(data)


def _even(text: str) -> bytes:
    raw = text.encode()
    return raw + b"\0" if len(raw) % 2 else raw
