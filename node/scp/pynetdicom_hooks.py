"""Where we reach into pynetdicom, and the only place: what its public interface does not offer.

Written against pynetdicom 3.0 (`pyproject.toml` pins it); ``tests/unit/scp/test_upper_layer.py``
fails when one of these points moves. They are

- `RequestHandler._create_association`, where a connection becomes an association;
- `Association._run_reactor`, what an association does once it is established;
- `AssociationSocket.ready` and `recv`, through which the upper layer's thread reads;
- `DIMSEServiceProvider.receive_primitive`, where a message grows;
- the queues between that thread and the association, to know that both are idle.

So the receive loop of our own (`node.scp.store_receiver`) has the socket while nothing but
C-STORE comes, and pynetdicom has it for everything else: negotiation, the other
services, release, abort.
"""

import queue
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from pynetdicom.dimse import _RSP_TO_MESSAGE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.transport import AssociationSocket, RequestHandler

from node.domain.budget import BUDGET
from node.log import get_logger
from node.net.c_store_sender import acknowledge_at_once
from node.scp.request_facts import Facts, shown_by
from node.scp.store_receiver import Ending, ReceiveLoop, is_stored

log = get_logger(__name__)

# Messages of the longest length that may wait for one that is being served. PS3.7 D.3.3.3: who has
# negotiated nothing has one under way.
_QUEUED = 4
# Longest protocol data unit that is read into memory. P-DATA is bound by what we negotiate (128
# KiB); an A-ASSOCIATE-RQ of 128 contexts with 40 syntaxes each stays below this.
PDU_LIMIT = 1 << 20
_ASSOCIATE_RQ = 1
# PS3.8 table 9-11, counted from after the PDU's length: called and calling AE title.
_CALLED, _CALLING = slice(4, 20), slice(20, 36)
_titles: "WeakKeyDictionary[Any, tuple[str, str]]" = WeakKeyDictionary()
_ESTABLISHED = "Sta6"  # PS3.8 table 9-1: data transfer
_LOOK_S = 0.005
# How long an association that cannot store stays with pynetdicom after a request: going to and fro
# costs a millisecond or two.
_LINGER_S = 0.1


Serve = Callable[[Any, Any, Any], None]
"""Takes an association, the primitive of a request and its presentation context."""


MakeLoop = Callable[[Any, socket.socket, Callable[[bytes], None]], ReceiveLoop | None]
"""Association, connection and how to send give its loop; None: pynetdicom serves it alone."""


class Connection(RequestHandler):  # type: ignore[misc] # pynetdicom has no types
    """A connection whose association reads whole PDUs, and none that is absurdly long."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        wire = association.dul.socket
        wire.__class__ = Wire
        wire.prepare()
        _take_over(association, getattr(self.server, "services", {}))
        _bound(association, getattr(self.server, "will_abort", None))
        waiting = getattr(self.server, "waiting", None)
        if waiting is not None:
            waiting.became(self.request, association)
        make_loop = getattr(self.server, "make_loop", None)
        if make_loop is not None:
            _Sharing(association, wire, make_loop).begin()
        return association


class Wire(AssociationSocket):  # type: ignore[misc] # pynetdicom has no types
    """A connection that pynetdicom and the receive loop have by turns.

    While the loop has it, pynetdicom's thread waits here, without a poll: it may send, not read.
    """

    def prepare(self) -> None:
        """Begin with pynetdicom alone."""
        self.reads = 0
        self._coming = 0  # type of the PDU whose header was read last
        self._replay = bytearray()
        self._sending = threading.Lock()
        self._lent = False
        self._waits = threading.Event()
        self._call = threading.Event()

    def lend(self) -> None:
        """Let pynetdicom's thread wait as soon as it would read from an established association."""
        self._waits.clear()
        self._lent = True

    def is_lent(self) -> bool:
        """Wait until pynetdicom's thread waits; False when it has ended or the association has."""
        dul = self.assoc.dul
        while not self._waits.wait(_LOOK_S):
            if not dul.is_alive() or dul.state_machine.current_state not in _BEFORE_THE_END:
                return False
        return True

    def take_back(self, unread: bytes) -> None:
        """Let pynetdicom read again, ``unread`` first."""
        self._replay += unread
        self._lent = False
        self.call()

    def call(self) -> None:
        """Wake pynetdicom's thread: it has something to send."""
        self._call.set()

    @property
    def has_replay(self) -> bool:
        """Whether bytes that were given back are still to be read."""
        return bool(self._replay)

    @property
    def ready(self) -> bool:
        """Whether there is something to read for pynetdicom."""
        if self._replay:
            return True
        while self._lent and self.assoc.dul.state_machine.current_state == _ESTABLISHED:
            self._waits.set()
            self._call.wait()
            self._call.clear()
            if not self.assoc.dul.to_provider_queue.empty():
                return False
        self._waits.clear()
        return bool(super().ready)

    def recv(self, count: int) -> bytearray:
        """Read ``count`` bytes; fewer when the peer closed. An `OSError` closes the connection."""
        if count > PDU_LIMIT:
            raise OSError(f"the peer announced a PDU of {count} bytes")
        self.reads += 1
        data = bytearray(count)
        view, filled = memoryview(data), min(count, len(self._replay))
        view[:filled] = self._replay[:filled]
        del self._replay[:filled]
        ends = time.monotonic() + (self.socket.gettimeout() or PDU_LIMIT)
        while filled < count:  # a PDU that stops half-way, or comes byte by byte, ends here
            acknowledge_at_once(self.socket)
            got = self.socket.recv_into(view[filled:])
            if not got or time.monotonic() > ends:
                return data[:filled]
            filled += got
        self._look_at(data)
        return data

    def _look_at(self, data: bytearray) -> None:
        if self._coming == _ASSOCIATE_RQ and len(data) >= _CALLING.stop:
            _keep_titles(self.assoc, data)
            self._coming = 0
        elif len(data) == 6:
            self._coming = data[0]

    def send(self, bytestream: bytes) -> None:
        """Send a PDU whole, whoever else sends."""
        with self._sending:
            super().send(bytestream)

    def send_from_loop(self, pdu: bytes) -> None:
        """Send a PDU whole; an `OSError` is the caller's."""
        with self._sending:
            self.socket.sendall(pdu)


# PS3.8 table 9-1: awaiting a request, awaiting our answer to it, data transfer.
_BEFORE_THE_END = ("Sta2", "Sta3", _ESTABLISHED)


class _Outbox(queue.Queue):  # type: ignore[type-arg] # of pynetdicom's primitives
    """What pynetdicom is to send; its thread is woken where it waits."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put and wake."""
        super().put(item, block, timeout)
        self._wire.call()


class _Idle(Exception):
    """Pynetdicom has answered everything and holds no half message."""


class _Sharing:
    """Takes turns with pynetdicom's reactor on one association."""

    def __init__(self, association: Any, wire: Wire, make_loop: MakeLoop) -> None:
        self._association = association
        self._wire = wire
        self._make_loop = make_loop
        self._reactor: Callable[[], None] = association._run_reactor
        self._get_message = association.dimse.get_msg
        self._linger_s = _LINGER_S
        self._idle_since: float | None = None
        self._reads = 0

    def begin(self) -> None:
        """Stand where pynetdicom would begin to serve."""
        self._association._run_reactor = self._run
        self._association.dul.to_provider_queue = _Outbox(self._wire)
        self._wire.lend()

    def _run(self) -> None:
        """Serve the association to its end, in its own thread."""
        association, wire = self._association, self._wire
        loop = self._make_loop(association, wire.socket, wire.send_from_loop)
        if loop is None:
            wire.take_back(b"")
            self._reactor()
            return
        association.dimse.get_msg = self._message
        association._is_paused = True
        if any(is_stored(context) for context in association.accepted_contexts):
            self._linger_s = 0.0
        try:
            while wire.is_lent() and not association._kill:
                if loop.run() is Ending.ABORT:
                    association.abort()  # pynetdicom's thread wakes for it, and reads no more
                    return
                self._reads = wire.reads
                wire.take_back(loop.rest())
                if not self._served_by_pynetdicom():
                    return
        finally:
            wire.take_back(b"")

    def _served_by_pynetdicom(self) -> bool:
        """Let pynetdicom serve what came; False when the association has ended with it."""
        self._idle_since = None
        try:
            self._reactor()
        except _Idle:
            return True
        return False

    def _message(self, block: bool = False) -> Any:
        """Pynetdicom's `get_msg`, which its reactor calls in every round."""
        item = self._get_message(block)
        if block or item != (None, None):
            self._idle_since = None
            return item
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        if now - self._idle_since >= self._linger_s and self._is_idle():
            raise _Idle
        return item

    def _is_idle(self) -> bool:
        """Whether nothing is under way in pynetdicom; its thread waits then, and stays so."""
        association, dul = self._association, self._association.dul
        if self._wire.reads == self._reads:  # what was given back was not looked at yet
            return False
        self._wire.lend()
        if (
            self._wire.is_lent()
            and not self._wire.has_replay
            and association.dimse.message is None
            and association.dimse.msg_queue.empty()
            and dul.event_queue.empty()
            and dul.to_user_queue.empty()
            and dul.to_provider_queue.empty()
        ):
            association._is_paused = True
            return True
        self._wire.take_back(b"")
        return False


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


def _bound(association: Any, will_abort: Callable[[Any, str], None] | None) -> None:
    """Bound what pynetdicom holds in memory for an association: half a message, and those queued.

    It appends to a message whatever comes, and queues messages while it serves one.
    """
    dimse, take = association.dimse, association.dimse.receive_primitive
    waiting: deque[int] = deque()
    half = 0

    def bounded(primitive: Any) -> None:
        nonlocal half
        half += sum(len(value) for _, value in primitive.presentation_data_value_list)
        while len(waiting) > dimse.msg_queue.qsize():
            waiting.popleft()
        stores = isinstance(dimse.message, C_STORE_RQ)
        limit = BUDGET.stock_store_bytes if stores else BUDGET.message_bytes
        if half > limit or half + sum(waiting) > max(limit, _QUEUED * BUDGET.message_bytes):
            log.warning("message_too_long", address=association.requestor.address, limit=limit)
            if will_abort is not None:
                told = f"a message is longer than {limit >> 20} MiB"
                will_abort(association, f"Aborted by the node: {told}.")
            dimse.message, half = None, 0
            association.dul.event_queue.put("Evt19")  # PS3.8 table 9-4: A-P-ABORT, close
            return
        take(primitive)
        if dimse.message is None:
            waiting.append(half)
            half = 0

    dimse.receive_primitive = bounded


def is_cancelled(association: Any, message_id: int) -> bool:
    """Whether a C-CANCEL for that request has arrived."""
    return message_id in association.dimse.cancel_req


def is_quiet(association: Any) -> bool:
    """Whether the association stands and nothing of its control (release, abort) has arrived."""
    return bool(association.is_established) and association.dul.peek_next_pdu() is None


def cancel(association: Any, message_id: int) -> None:
    """Remember a C-CANCEL that was read past pynetdicom."""
    association.dimse.cancel_req[message_id] = None


@contextmanager
def own_connection(association: Any) -> Iterator[socket.socket | None]:
    """The association's socket for us alone while its request is served; None under TLS.

    pynetdicom's thread waits meanwhile and reads nothing. Between two messages there is nothing to
    lose: whoever asked waits for us.
    """
    dul, wire = association.dul, association.dul.socket
    if wire is None or isinstance(wire.socket, ssl.SSLSocket):
        yield None
        return
    wire.lend()
    try:
        alone = wire.is_lent() and dul.to_provider_queue.empty()
        # What the receive loop gave back and nobody has read yet must be read by pynetdicom.
        yield wire.socket if alone and not wire.has_replay else None
    finally:
        wire.take_back(b"")
        dul._idle_timer.restart()


def respond(
    association: Any, response: Any, context: Any, connection: socket.socket | None = None
) -> None:
    """Send a response primitive; on ``connection`` where all that goes out is ours.

    That is so from the first message that `own_connection` lent it for, and spares the way through
    pynetdicom's thread. Who asked may be gone: pynetdicom's thread hears of it by itself.
    """
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
        try:
            connection.sendall(pdu.encode())
        except OSError:
            return


def forget_silent(association: Any) -> None:
    """End the thread of a connection that closed before it asked for anything, now.

    It waits for a primitive until the ACSE time-out; nothing is what it gets when that expires.
    """
    association.dul.to_user_queue.put(None)


def refuse(association: Any, result: int, source: int, reason: int) -> None:
    """Send an A-ASSOCIATE-RJ from within the handler of the request, and wait until it is sent."""
    association.acse.send_reject(result, source, reason)
    association.kill()


def facts(association: Any) -> Facts:
    """Who opened ``association``, once its request is there."""
    requestor, request = association.requestor, association.requestor.primitive
    # pynetdicom aborts where a title is blank or not ASCII; it is given one it can read, and
    # admission judges what really came.
    read = (request.called_ae_title.strip(), request.calling_ae_title.strip())
    called, calling = _titles.get(association, read)
    version, names = shown_by(association.dul.socket.socket)
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


def _keep_titles(association: Any, request: bytearray) -> None:
    """Remember the titles of an A-ASSOCIATE-RQ, and leave none in it that would be an abort."""
    _titles[association] = (_title(bytes(request[_CALLED])), _title(bytes(request[_CALLING])))
    for place in (_CALLED, _CALLING):
        plain = bytes(b if 0x20 < b < 0x7F and b != 0x5C else 0x20 for b in request[place])
        request[place] = plain if plain.strip() else b"?".ljust(16)


def _title(raw: bytes) -> str:
    return raw.strip(b" \0").decode("ascii", "backslashreplace")
