"""C-STORE straight on an association's connection: one write, one read an instance.

pynetdicom would build each command set with pydicom, hand every PDU to another thread and look for
the answer once a millisecond; a series of 200 slices then takes four times as long. Used where the
bytes can go as they lie and the connection is a plain socket; TLS and transcoding take the usual
way.
"""

import mmap
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ELEMENT, _US, _UL = struct.Struct("<HHI"), struct.Struct("<H"), struct.Struct("<I")
_PDU, _PDV = struct.Struct(">BBI"), struct.Struct(">IBB")
_P_DATA_TF = 0x04
# PS3.8 E.2: bit 0 a command, bit 1 the last fragment.
_COMMAND, _LAST = 0x01, 0x02
_C_STORE_RQ, _C_STORE_RSP = 0x0001, 0x8001
_MEDIUM, _HAS_DATA_SET = 0x0000, 0x0001
# Preamble, prefix and the value of (0002,0000), which counts what follows it (PS3.10 7.1).
_META_LENGTH_AT = 140
# A response is a few UIDs; nobody announces more than this in one PDU.
_RESPONSE_LIMIT = 1 << 16
# An unlimited peer still gets pieces, so that a cancel can be seen between instances.
_LARGEST_PDU = 1 << 20

# What goes to the kernel at once; a longer file is mapped, not read.
_CHUNK = 1 << 20
# The kernel takes 1,024 pieces in one call.
_MOST_PARTS = 512

Command = dict[int, bytes]
"""Values of a command set by element number; all are of group 0000."""


class Ended(Exception):
    """The connection is closed, broken or silent, or the peer ends the association."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One instance to send as it lies."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    """Of the Part 10 file."""
    message_id: int
    originator: tuple[str, int] | None = None
    """AE title and message ID of the C-MOVE it is sent for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the peer said of an instance."""

    status: int
    comment: str


def _content(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= _CHUNK:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def contexts_of(association: Any) -> dict[tuple[str, str], int]:
    """The context for each SOP class and transfer syntax that the peer takes as it lies."""
    return {
        (str(c.abstract_syntax), str(c.transfer_syntax[0])): int(c.context_id)
        for c in association.accepted_contexts
        if c.as_scu
    }


class Wire:
    """The connection of one association, ours alone; ``other`` gets every other command set."""

    def __init__(
        self,
        association: Any,
        connection: socket.socket,
        other: Callable[[Command], None] = lambda _command: None,
    ) -> None:
        self._association = association
        self._connection = connection
        self._other = other
        limit = association.dimse.maximum_pdu_size or _LARGEST_PDU
        self._piece = min(limit, _LARGEST_PDU) - 6
        self._contexts = contexts_of(association)

    def store(self, request: Request) -> Response:
        """Send one instance and wait for its answer; raise `Ended` when none will come."""
        context_id = self._contexts[request.sop_class_uid, request.transfer_syntax_uid]
        data = _content(request.path)
        (length,) = _UL.unpack_from(data, _META_LENGTH_AT)
        data_set = memoryview(data)[_META_LENGTH_AT + 4 + length :]
        try:
            for parts in self._chunks(request, context_id, data_set):
                self._send(parts)
            answer = self._answer(request.message_id)
        except OSError as error:
            raise Ended(error.strerror or str(error)) from None
        if answer is None:
            raise Ended("the peer ended the association")
        return answer

    def _send(self, parts: list[bytes | memoryview]) -> None:
        """Send ``parts`` as they lie, without putting them together; the time-out is each call's.

        A long object on a slow line has it again for whatever the kernel takes at once.
        """
        first, last = 0, len(parts)
        while first < last:
            sent = self._connection.sendmsg(parts[first : first + _MOST_PARTS])
            while first < last and sent >= len(parts[first]):
                sent -= len(parts[first])
                first += 1
            if sent:
                parts[first] = memoryview(parts[first])[sent:]

    def look(self) -> None:
        """Take what has arrived between two instances."""
        while self._association.is_established and self._waiting():
            if self._message() is None:
                return

    def _waiting(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(0))

    def _chunks(
        self, request: Request, context_id: int, data_set: memoryview
    ) -> Iterator[list[bytes | memoryview]]:
        """The PDUs of a request; a slice of an MR or CT series is one piece."""
        command, size = _command_set(request), 0
        parts: list[bytes | memoryview] = []
        for content, kind in ((memoryview(command), _COMMAND), (data_set, 0)):
            for start in range(0, len(content), self._piece):
                piece = content[start : start + self._piece]
                last = _LAST if start + self._piece >= len(content) else 0
                parts.append(_PDU.pack(_P_DATA_TF, 0, len(piece) + 6))
                parts.append(_PDV.pack(len(piece) + 2, context_id, kind | last))
                parts.append(piece)
                size += len(piece)
                if size >= _CHUNK:
                    yield parts
                    parts, size = [], 0
        yield parts

    def _answer(self, message_id: int) -> Response | None:
        while True:
            command = self._message()
            if command is None:
                return None
            if (
                command.get(0x0100) == _US.pack(_C_STORE_RSP)
                and number(command, 0x0120) == message_id
            ):
                comment = command.get(0x0902, b"").decode("ascii", "replace").strip(" \0")
                return Response(status=number(command, 0x0900), comment=comment)

    def _message(self) -> Command | None:
        """The next command set; None when what comes is no data, and is left to pynetdicom."""
        command, complete = b"", False
        while not complete:
            if self._connection.recv(1, socket.MSG_PEEK) != bytes((_P_DATA_TF,)):
                return None
            _, _, length = _PDU.unpack(self._read(_PDU.size))
            if length > _RESPONSE_LIMIT:
                raise OSError(f"an answer of {length} bytes")
            fragment, complete = _fragments(self._read(length))
            command += fragment
        found = _elements(command)
        self._other(found)
        return found

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            got = self._connection.recv(count - len(data))
            if not got:
                raise OSError("the connection was closed")
            data += got
        return bytes(data)


def number(command: Command, element: int) -> int:
    """The value of a US element; -1 where there is none."""
    value = command.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else -1


def _command_set(request: Request) -> bytes:
    """PS3.7 9.3.1.1: elements in order, the group's length first."""
    elements = [
        _element(0x0002, _even(request.sop_class_uid, b"\0")),
        _element(0x0100, _US.pack(_C_STORE_RQ)),
        _element(0x0110, _US.pack(request.message_id)),
        _element(0x0700, _US.pack(_MEDIUM)),
        _element(0x0800, _US.pack(_HAS_DATA_SET)),
        _element(0x1000, _even(request.sop_instance_uid, b"\0")),
    ]
    if request.originator is not None:
        title, message_id = request.originator
        elements.append(_element(0x1030, _even(title, b" ")))
        elements.append(_element(0x1031, _US.pack(message_id)))
    body = b"".join(elements)
    return _element(0x0000, _UL.pack(len(body))) + body


def _fragments(content: bytes) -> tuple[bytes, bool]:
    """The command bytes of one P-DATA-TF, and whether the last fragment is among them."""
    command, complete, position = b"", False, 0
    while position + _PDV.size <= len(content):
        length, _, control = _PDV.unpack_from(content, position)
        if length < 2 or not control & _COMMAND:
            raise OSError("data where an answer must be")
        command += content[position + _PDV.size : position + 4 + length]
        complete = complete or bool(control & _LAST)
        position += 4 + length
    return command, complete


def _elements(command: bytes) -> Command:
    found, position = {}, 0
    while position + _ELEMENT.size <= len(command):
        _, element, length = _ELEMENT.unpack_from(command, position)
        start = position + _ELEMENT.size
        found[element] = command[start : start + length]
        position = start + length
    return found


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _even(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
