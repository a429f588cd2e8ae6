"""C-STORE straight on an association's connection: one write, one read an instance.

pynetdicom would build each command set with pydicom, hand every PDU to another thread and look for
the answer once a millisecond; a series of 200 slices then takes four times as long. Used where the
bytes can go as they lie and the connection is a plain socket; TLS and transcoding take the usual
way.
"""

import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from node.dicom.intact import Digest, NotIntact, check_intact

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
# Looked at in advance: an answer tells its length in the first six.
_LOOK_BYTES = 64
# An unlimited peer still gets pieces, so that a cancel can be seen between instances.
_LARGEST_PDU = 1 << 20

# What follows belongs to it: the kernel keeps a header until its data is there.
_MORE = getattr(socket, "MSG_MORE", 0)
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)

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
    digest: Digest | None = None
    """What the file must be; None where nobody asks."""
    originator: tuple[str, int] | None = None
    """AE title and message ID of the C-MOVE it is sent for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What the peer said of an instance."""

    status: int
    comment: str


@dataclass(frozen=True, slots=True)
class _File:
    """An archived instance, open; its data set follows the meta information (PS3.10 7.1)."""

    path: Path
    descriptor: int
    start: int
    """Of the data set."""
    end: int

    @classmethod
    def at(cls, path: Path, digest: Digest | None = None) -> "_File":
        """Open a file; `NotIntact` when it is not what ``digest`` says."""
        if digest is not None:
            check_intact(path, digest)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(descriptor, _META_LENGTH_AT + 4, 0)
            (length,) = _UL.unpack_from(head, _META_LENGTH_AT)
            end = os.fstat(descriptor).st_size
            return cls(path, descriptor, _META_LENGTH_AT + 4 + length, end)
        except struct.error:
            os.close(descriptor)
            raise OSError(f"{path.name} is cut off") from None
        except OSError:
            os.close(descriptor)
            raise

    def close(self) -> None:
        os.close(self.descriptor)


def acknowledge_at_once(connection: socket.socket) -> None:
    """Acknowledge what comes next without delay; the kernel soon forgets it, so ask again.

    DCMTK writes a message in pieces and, unless told otherwise, keeps the second back until the
    first is acknowledged (RFC 896): 44 ms an instance with the usual delay (RFC 1122 4.2.3.2).
    """
    if _QUICK_ACK is not None:
        with suppress(OSError):  # only a help; the connection may be gone, and need not be TCP
            connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def contexts_of(association: Any) -> dict[tuple[str, str], int]:
    """The context for each SOP class and transfer syntax that the peer takes as it lies."""
    return {
        (str(c.abstract_syntax), str(c.transfer_syntax[0])): int(c.context_id)
        for c in association.accepted_contexts
        if c.as_scu
    }


class Wire:
    """The connection of one association, ours alone; ``other`` gets every other command set.

    ``coming`` are the files in the order they will be sent in: each is opened, read and compared
    with its digest while the peer is busy with the one before. `close` it at the end.
    """

    def __init__(
        self,
        association: Any,
        connection: socket.socket,
        other: Callable[[Command], None] = lambda _command: None,
        coming: Sequence[tuple[Path, Digest | None]] = (),
    ) -> None:
        self._association = association
        self._connection = connection
        self._other = other
        limit = association.dimse.maximum_pdu_size or _LARGEST_PDU
        self._piece = min(limit, _LARGEST_PDU) - 6
        self._contexts = contexts_of(association)
        self._after = {before[0]: following for before, following in pairwise(coming)}
        self._next: _File | None = None

    def store(self, request: Request) -> Response:
        """Send one instance and wait for its answer; raise `Ended` when none will come."""
        context_id = self._contexts[request.sop_class_uid, request.transfer_syntax_uid]
        with closing(self._take(request)) as file:
            try:
                self._transmit(request, context_id, file)
                self._open_next(request.path)
                answer = self._answer(request.message_id)
            except OSError as error:
                self._end()
                raise Ended(error.strerror or str(error)) from None
        if answer is None:
            raise Ended("the peer ended the association")
        return answer

    def _end(self) -> None:
        """Say no more: after half a message everything would be taken for its rest."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the file that would have been next; the connection is the association's."""
        if self._next is not None:
            self._next.close()
            self._next = None

    def _take(self, request: Request) -> _File:
        following, self._next = self._next, None
        if following is not None:
            if following.path == request.path:
                return following
            following.close()
        return _File.at(request.path, request.digest)

    def _open_next(self, path: Path) -> None:
        following = self._after.get(path)
        if following is not None:
            # Read and compared while the peer is busy with the one before; what is wrong with it is
            # told when it is its turn.
            with suppress(OSError, NotIntact):
                self._next = _File.at(*following)
                if following[1] is None:
                    os.posix_fadvise(self._next.descriptor, 0, 0, os.POSIX_FADV_WILLNEED)

    def _transmit(self, request: Request, context_id: int, file: _File) -> None:
        """Send a request: the data set goes from file to connection without passing here.

        Each header waits in the kernel for what follows it; a slice of an MR or CT series leaves in
        a few calls.
        """
        command, head = _command_set(request), b""
        for start in range(0, len(command), self._piece):
            piece = command[start : start + self._piece]
            last = _LAST if start + self._piece >= len(command) else 0
            head += _header(context_id, _COMMAND | last, len(piece)) + piece
        for start in range(file.start, file.end, self._piece):
            count = min(self._piece, file.end - start)
            last = _LAST if start + count == file.end else 0
            self._connection.sendall(head + _header(context_id, last, count), _MORE)
            self._send_file(file, start, count)
            head = b""

    def _send_file(self, file: _File, start: int, count: int) -> None:
        """Send bytes of a file; the time-out is that of each piece the kernel takes.

        So a long object on a slow line has it again for whatever goes out at once.
        """
        end = start + count
        while start < end:
            try:
                sent = os.sendfile(self._connection.fileno(), file.descriptor, start, end - start)
            except BlockingIOError:
                self._wait_for_room()
                continue
            if not sent:
                raise OSError(f"{file.path.name} was cut off while it was sent")
            start += sent

    def _wait_for_room(self) -> None:
        seconds = self._connection.gettimeout()
        poll = select.poll()
        poll.register(self._connection, select.POLLOUT)
        if not poll.poll(None if seconds is None else seconds * 1000):
            raise TimeoutError("timed out")

    def look(self) -> None:
        """Take what has arrived between two instances."""
        while self._association.is_established and self._waiting():
            if self._message() is None:
                return

    def _waiting(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(0))

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
            content = self._pdu()
            if content is None:
                return None
            fragment, complete = _fragments(content)
            command += fragment
        found = _elements(command)
        self._other(found)
        return found

    def _pdu(self) -> bytes | None:
        """What is in the next P-DATA-TF; None, and nothing taken, when another PDU comes."""
        acknowledge_at_once(self._connection)
        seen = self._connection.recv(_LOOK_BYTES, socket.MSG_PEEK)
        if seen[:1] != bytes((_P_DATA_TF,)):
            return None
        taken = b"" if len(seen) >= _PDU.size else self._read(_PDU.size)
        _, _, length = _PDU.unpack_from(taken or seen)
        if length > _RESPONSE_LIMIT:
            raise OSError(f"an answer of {length} bytes")
        return (taken + self._read(_PDU.size + length - len(taken)))[_PDU.size :]

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            acknowledge_at_once(self._connection)
            got = self._connection.recv(count - len(data))
            if not got:
                raise OSError("the connection was closed")
            data += got
        return bytes(data)


def number(command: Command, element: int) -> int:
    """The value of a US element; -1 where there is none."""
    value = command.get(element, b"")
    return int(_US.unpack(value)[0]) if len(value) == _US.size else -1


def _header(context_id: int, control: int, count: int) -> bytes:
    """Of a P-DATA-TF with one fragment of ``count`` bytes (PS3.8 9.3.5)."""
    return _PDU.pack(_P_DATA_TF, 0, count + 6) + _PDV.pack(count + 2, context_id, control)


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
