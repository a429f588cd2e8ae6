"""C-STORE sub-operations of a C-GET straight on the connection: one write, one read an instance.

pynetdicom would build each command set with pydicom, hand every PDU to another thread and look for
the answer once a millisecond; a series of 200 slices then takes four times as long. Used where the
bytes can go as they lie and the connection is a plain socket; TLS and transcoding take the usual
way.
"""

import select
import socket
import struct
from dataclasses import dataclass
from typing import Any

from node.domain.errors import Retryable
from node.scp import upper_layer
from node.scu.store import InstanceStatus, Outgoing, classify

_ELEMENT, _US, _UL = struct.Struct("<HHI"), struct.Struct("<H"), struct.Struct("<I")
_PDU, _PDV = struct.Struct(">BBI"), struct.Struct(">IBB")
_P_DATA_TF = 0x04
# PS3.8 E.2: bit 0 a command, bit 1 the last fragment.
_COMMAND, _LAST = 0x01, 0x02
_C_STORE_RQ, _C_STORE_RSP, _C_CANCEL_RQ = 0x0001, 0x8001, 0x0FFF
_MEDIUM, _HAS_DATA_SET = 0x0000, 0x0001
# Preamble, prefix and the value of (0002,0000), which counts what follows it (PS3.10 7.1).
_META_LENGTH_AT = 140
# A response is a few UIDs; nobody announces more than this in one PDU.
_RESPONSE_LIMIT = 1 << 16
# An unlimited peer still gets pieces, so that a cancel can be seen between instances.
_LARGEST_PDU = 1 << 20


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    comment: str


class Wire:
    """The connection of one association, ours alone while a retrieve is served."""

    def __init__(self, association: Any, connection: socket.socket) -> None:
        self._association = association
        self._connection = connection
        limit = association.dimse.maximum_pdu_size or _LARGEST_PDU
        self._piece = min(limit, _LARGEST_PDU) - 6
        self._contexts = {
            (str(c.abstract_syntax), str(c.transfer_syntax[0])): int(c.context_id)
            for c in association.accepted_contexts
            if c.as_scu
        }

    def takes(self, file: Outgoing) -> bool:
        """Whether the file can go as it lies."""
        return (file.sop_class_uid, file.transfer_syntax_uid) in self._contexts

    def store(self, file: Outgoing, number: int) -> InstanceStatus:
        """Send one instance and wait for its answer; `Retryable` when the connection ends."""
        context_id = self._contexts[file.sop_class_uid, file.transfer_syntax_uid]
        message_id = (number - 1) % 0xFFFF + 1
        data = file.path.read_bytes()
        (length,) = _UL.unpack_from(data, _META_LENGTH_AT)
        data_set = memoryview(data)[_META_LENGTH_AT + 4 + length :]
        try:
            self._connection.sendall(self._request(context_id, message_id, file, data_set))
            answer = self._answer(message_id)
        except OSError as error:
            raise _ended(file, str(error)) from None
        if answer is None:
            raise _ended(file, "the peer ended the association")
        words = f"0x{answer.status:04X}" + (f" ({answer.comment})" if answer.comment else "")
        return InstanceStatus(
            sop_instance_uid=file.sop_instance_uid,
            status=answer.status,
            stored=classify(answer.status),
            sentence=words,
        )

    def look(self) -> None:
        """Take a C-CANCEL that has arrived between two instances."""
        while self._association.is_established and self._waiting():
            if self._message() is None:
                return

    def _waiting(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(0))

    def _request(
        self, context_id: int, message_id: int, file: Outgoing, data_set: memoryview
    ) -> bytes:
        body = b"".join(
            (
                _element(0x0002, _even(file.sop_class_uid)),
                _element(0x0100, _US.pack(_C_STORE_RQ)),
                _element(0x0110, _US.pack(message_id)),
                _element(0x0700, _US.pack(_MEDIUM)),
                _element(0x0800, _US.pack(_HAS_DATA_SET)),
                _element(0x1000, _even(file.sop_instance_uid)),
            )
        )
        command = _element(0x0000, _UL.pack(len(body))) + body
        parts: list[bytes | memoryview] = []
        for content, kind in ((memoryview(command), _COMMAND), (data_set, 0)):
            for start in range(0, len(content), self._piece):
                piece = content[start : start + self._piece]
                last = _LAST if start + self._piece >= len(content) else 0
                parts.append(_PDU.pack(_P_DATA_TF, 0, len(piece) + 6))
                parts.append(_PDV.pack(len(piece) + 2, context_id, kind | last))
                parts.append(piece)
        return b"".join(parts)

    def _answer(self, message_id: int) -> _Answer | None:
        while True:
            command = self._message()
            if command is None:
                return None
            if (
                command.get(0x0100) == _US.pack(_C_STORE_RSP)
                and _number(command, 0x0120) == message_id
            ):
                comment = command.get(0x0902, b"").decode("ascii", "replace").strip(" \0")
                return _Answer(_number(command, 0x0900), comment)

    def _message(self) -> dict[int, bytes] | None:
        """The next command set; None when what comes is no data, and is left to pynetdicom."""
        command, complete = b"", False
        while not complete:
            if self._connection.recv(1, socket.MSG_PEEK) != bytes((_P_DATA_TF,)):
                return None
            _, _, length = _PDU.unpack(self._read(_PDU.size))
            if length > _RESPONSE_LIMIT:
                raise OSError(f"an answer of {length} bytes")
            content = self._read(length)
            fragment, complete = _fragments(content)
            command += fragment
        found = _elements(command)
        if found.get(0x0100) == _US.pack(_C_CANCEL_RQ):
            upper_layer.cancel(self._association, _number(found, 0x0120))
        return found

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            got = self._connection.recv(count - len(data))
            if not got:
                raise OSError("the connection was closed")
            data += got
        return bytes(data)


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


def _elements(command: bytes) -> dict[int, bytes]:
    found, position = {}, 0
    while position + _ELEMENT.size <= len(command):
        _, element, length = _ELEMENT.unpack_from(command, position)
        start = position + _ELEMENT.size
        found[element] = command[start : start + length]
        position = start + length
    return found


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else -1


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


def _even(uid: str) -> bytes:
    raw = uid.encode("ascii")
    return raw + b"\0" if len(raw) % 2 else raw


def _ended(file: Outgoing, why: str) -> Retryable:
    return Retryable(
        f"The association of the C-GET broke at {file.sop_instance_uid}: {why}.",
        remedy="Ask again.",
    )
