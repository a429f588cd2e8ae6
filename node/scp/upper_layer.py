"""Where we reach into pynetdicom, and the only place: what its public interface does not offer.

Written against pynetdicom 3.0 (`pyproject.toml` pins it); ``tests/unit/scp/test_upper_layer.py``
fails when one of these points moves. A receive loop of our own on the accepted socket would begin
in `Connection`, too.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pynetdicom.dimse import _RSP_TO_MESSAGE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import RequestHandler

# Longest protocol data unit that is read into memory. P-DATA is bound by what we negotiate (128
# KiB); an A-ASSOCIATE-RQ of 128 contexts with 40 syntaxes each stays below this.
PDU_LIMIT = 1 << 20
_ASSOCIATE_RQ = 1
# pynetdicom's thread looks for data every millisecond.
_REST_S = 5.0
# PS3.8 table 9-11, counted from after the PDU's length: called and calling AE title.
_CALLED, _CALLING = slice(4, 20), slice(20, 36)
_titles: "WeakKeyDictionary[Any, tuple[str, str]]" = WeakKeyDictionary()


Serve = Callable[[Any, Any, Any], None]
"""Takes an association, the primitive of a request and its presentation context."""


class Connection(RequestHandler):  # type: ignore[misc] # pynetdicom has no types
    """A connection whose association reads whole PDUs, and none that is absurdly long."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        wrapper = association.dul.socket
        wrapper.recv = _bounded_reader(wrapper, association)
        _take_over(association, getattr(self.server, "services", {}))
        return association


def _take_over(association: Any, services: Mapping[type, Serve]) -> None:
    """Serve some requests ourselves, in the association's thread; pynetdicom serves the others."""
    others = association._serve_request

    def serve(message: Any, context_id: int) -> None:
        own = services.get(type(message))
        context = association._accepted_cx.get(context_id)
        if own is None or context is None or not message.is_valid_request:
            others(message, context_id)
            return
        # As pynetdicom does around its own: cancels of earlier requests mean nothing now, and its
        # `send_*` methods may be used meanwhile.
        association.dimse.cancel_req = {}
        association._is_paused = True
        try:
            own(association, message, context)
        finally:
            association._is_paused = False
            association.dimse.cancel_req = {}

    association._serve_request = serve


def is_cancelled(association: Any, message_id: int) -> bool:
    """Whether a C-CANCEL for that request has arrived."""
    return message_id in association.dimse.cancel_req


def cancel(association: Any, message_id: int) -> None:
    """Remember a C-CANCEL that was read past pynetdicom."""
    association.dimse.cancel_req[message_id] = None


@contextmanager
def own_connection(association: Any) -> Iterator[socket.socket | None]:
    """The association's socket for us alone while its request is served; None under TLS.

    pynetdicom's thread goes on, and reads nothing. Between two messages there is nothing to lose:
    whoever asked waits for us. A TLS connection cannot be written and read by two threads.
    """
    dul = association.dul
    connection = dul.socket.socket if dul.socket else None
    if connection is None or isinstance(connection, ssl.SSLSocket):
        yield None
        return
    resting = threading.Event()

    def reads_nothing() -> bool:
        resting.set()
        return False

    dul._is_transport_event = reads_nothing
    try:
        yield connection if resting.wait(_REST_S) and dul.to_provider_queue.empty() else None
    finally:
        del dul._is_transport_event
        dul._idle_timer.restart()


def respond(
    association: Any, response: Any, context: Any, connection: socket.socket | None = None
) -> None:
    """Send a response primitive, on ``connection`` where that is ours (`own_connection`)."""
    if not association.is_established:
        return
    if connection is None:
        association.dimse.send_msg(response, context.context_id)
        return
    message = _RSP_TO_MESSAGE[type(response)]()
    message.primitive_to_message(response)
    for data in message.encode_msg(context.context_id, association.dimse.maximum_pdu_size):
        pdu = P_DATA_TF()
        pdu.from_primitive(data)
        connection.sendall(pdu.encode())


def forget_silent(association: Any) -> None:
    """End the thread of a connection that closed before it asked for anything, now.

    It waits for a primitive until the ACSE time-out; nothing is what it gets when that expires.
    """
    association.dul.to_user_queue.put(None)


def refuse(association: Any, result: int, source: int, reason: int) -> None:
    """Send an A-ASSOCIATE-RJ from within the handler of the request, and wait until it is sent."""
    association.acse.send_reject(result, source, reason)
    association.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a request says, and what its connection shows."""

    called_ae: str
    """As it arrived, without padding."""
    calling_ae: str
    address: str
    implementation: str
    """Implementation version name, else class UID; empty where neither was sent."""
    tls_version: str
    """Empty without TLS."""
    certificate_names: tuple[str, ...]
    """Names and addresses the peer's certificate stands for."""


def facts(association: Any) -> Facts:
    """Who opened ``association``, once its request is there."""
    requestor, request = association.requestor, association.requestor.primitive
    # pynetdicom aborts where a title is blank or not ASCII; it is given one it can read, and
    # admission judges what really came.
    read = (request.called_ae_title.strip(), request.calling_ae_title.strip())
    called, calling = _titles.get(association, read)
    version, names = _security(association.dul.socket.socket)
    return Facts(
        called_ae=called,
        calling_ae=calling,
        address=requestor.address,
        implementation=str(
            requestor.implementation_version_name or requestor.implementation_class_uid or ""
        ),
        tls_version=version,
        certificate_names=names,
    )


def _security(connection: socket.socket | None) -> tuple[str, tuple[str, ...]]:
    if not isinstance(connection, ssl.SSLSocket):
        return "", ()
    shown: dict[str, Any] = dict(connection.getpeercert() or {})
    names = [str(value) for _kind, value in shown.get("subjectAltName", ())]
    for part in shown.get("subject", ()):
        names += [str(value) for key, value in part if key == "commonName"]
    return connection.version() or "", tuple(dict.fromkeys(names))


def _bounded_reader(wrapper: Any, association: Any = None) -> Callable[[int], bytearray]:
    coming = 0  # type of the PDU whose header was read last

    def receive(count: int) -> bytearray:
        """Read ``count`` bytes; fewer when the peer closed. An `OSError` closes the connection."""
        nonlocal coming
        if count > PDU_LIMIT:
            raise OSError(f"the peer announced a PDU of {count} bytes")
        data = _read(wrapper.socket, count)
        if coming == _ASSOCIATE_RQ and len(data) == count >= _CALLING.stop:
            _keep_titles(association, data)
            coming = 0
        elif count == 6 and len(data) == 6:
            coming = data[0]
        return data

    return receive


def _read(connection: socket.socket, count: int) -> bytearray:
    data = bytearray(count)
    view, filled = memoryview(data), 0
    while filled < count:
        # The socket's time-out is the network time-out: a PDU that stops half-way ends here.
        got = connection.recv_into(view[filled:])
        if not got:
            return data[:filled]
        filled += got
    return data


def _keep_titles(association: Any, request: bytearray) -> None:
    """Remember the titles of an A-ASSOCIATE-RQ, and leave none in it that would be an abort."""
    if association is not None:
        _titles[association] = (_title(bytes(request[_CALLED])), _title(bytes(request[_CALLING])))
    for place in (_CALLED, _CALLING):
        plain = bytes(b if 0x20 < b < 0x7F and b != 0x5C else 0x20 for b in request[place])
        request[place] = plain if plain.strip() else b"?".ljust(16)


def _title(raw: bytes) -> str:
    return raw.strip(b" \0").decode("ascii", "backslashreplace")
