"""The storage and verification SCP: sockets, admission, associations, an orderly end."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pydicom.config
import pynetdicom
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_GET, C_MOVE, N_ACTION
from pynetdicom.transport import AssociationServer

from node.archive.evidence.offering import Offerings
from node.archive.files import Folder
from node.archive.ingest.receive import Receiver
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import Commitments
from node.containment import Contained
from node.dicom.ct_series import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from node.domain.errors import Misconfigured
from node.log import get_logger
from node.net.tls import Tls
from node.scp import pynetdicom_hooks
from node.scp.admission import Policy
from node.scp.association_handlers import Door
from node.scp.association_recorder import Records, Visits
from node.scp.association_slots import Places
from node.scp.commitment import CommitmentService
from node.scp.contexts import contexts_for
from node.scp.query import FindHandler
from node.scp.retrieve import Retriever
from node.scp.store import StoreHandler
from node.scp.store_receiver import loops
from node.scp.tls_listener import HandshakeFirst
from node.scp.waiting_connections import Waiting
from node.scu.association import bound_silence, quiet_pynetdicom

log = get_logger(__name__)

# A PACS opens many associations at once; with the usual backlog of 5 a burst of 100 waits for
# retransmitted SYNs (8.9 s against 0.3 s).
BACKLOG = 128
# Larger ones gain little, smaller ones cost a wake-up each.
MAX_PDU_BYTES = 128 * 1024
_SWEEP_S, _LOOK_S = 600.0, 1.0
_THREADS_EACH, _MORE = 4, 64
_YIELD_S, _LONGEST_YIELD_S = 0.001, 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpLimits:
    """How long the SCP waits, and for how many."""

    max_associations: int = 100
    """At one time, in one process; more are refused as transient."""
    network_timeout_s: float = 60.0
    """Silence after which an association is aborted, between or within PDUs."""
    acse_timeout_s: float = 15.0
    """From the connection to the end of the A-ASSOCIATE-RQ."""
    drain_s: float = 20.0
    """How long associations may go on after the stop."""
    acceptors: int = 1
    """Processes that share the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """The port for TLS."""

    listener: socket.socket
    tls: Tls


class Stop(Protocol):
    """An event of threading or of multiprocessing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set."""


def listen(host: str, port: int, *, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket that several acceptor processes may inherit; port 0 takes a free one.

    One socket for all of them: a connection waits in one queue, and none is lost when an acceptor
    dies. A port that is in use is an error, not a silent half of the connections.
    """
    try:
        return socket.create_server(
            (host, port), family=_family(host), backlog=backlog, reuse_port=False
        )
    except OSError as error:
        raise Misconfigured(
            f"The DICOM port {host}:{port} cannot be opened: {error.strerror or error}.",
            remedy="Stop what uses it, or change [dicom] host and port.",
        ) from None


def serve_scp(
    listener: socket.socket,
    stop: Stop,
    *,
    ae_title: str,
    policy: Callable[[], Policy],
    receiver: Receiver,
    records: Records,
    offerings: Offerings,
    folder: Folder,
    catalogue: Catalogue,
    commitments: Commitments,
    secure: Secure | None = None,
    limits: ScpLimits | None = None,
    own_loop: bool = True,
    ready: Callable[[], None] | None = None,
) -> None:
    """Answer associations on ``listener`` until ``stop`` is set, then drain; one process's share.

    ``secure`` is a second port, for TLS. ``policy`` is asked at each association, so that it may
    change while the SCP runs; ``ready`` is called once connections are answered.
    ``own_loop`` receives with `node.scp.store_receiver`; without it pynetdicom does everything.
    """
    limits = limits or ScpLimits()
    _prepare_libraries()
    visits = Visits(records, offerings)
    places = Places(folder.root / "locks" / "peers")
    store = StoreHandler(receiver, visits)
    retriever = Retriever(
        catalogue, folder, visits, peers=lambda: policy().peers, ae_title=ae_title
    )
    common = _services(
        door=Door(policy, visits, places, max_associations=limits.max_associations),
        store=store,
        find=FindHandler(catalogue, visits, ae_title),
        retriever=retriever,
        commitment=CommitmentService(catalogue, folder, commitments, visits),
        limits=limits,
        own_loop=own_loop,
    )
    servers = _servers(_entity(ae_title, limits), listener, secure, common, visits)
    threads = [_accepting(server) for server in servers]
    address = str(listener.getsockname())
    log.info("scp_listening", address=address, pynetdicom=pynetdicom.__version__)
    if ready:
        ready()
    _sweep_until(stop, folder, secure)
    _close(servers, threads, [listener, *([secure.listener] if secure else ())])
    _drain(servers, limits.drain_s, store)
    log.info("scp_stopped")


def _prepare_libraries() -> None:
    quiet_pynetdicom()
    # The checks judge what peers send; a look at each UID of a request is a fifth of the answer.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE


def _services(
    *,
    door: Door,
    store: StoreHandler,
    find: FindHandler,
    retriever: Retriever,
    commitment: CommitmentService,
    limits: ScpLimits,
    own_loop: bool,
) -> dict[str, Any]:
    """What every server of the process is made with."""
    return {
        "evt_handlers": _handlers(door, store, find, commitment),
        "request_handler": pynetdicom_hooks.Connection,
        "limits": limits,
        "will_abort": store.will_abort,
        "waiting": Waiting(limits.max_associations, door.knows),
        "services": {
            C_GET: retriever.get,
            C_MOVE: retriever.move,
            N_ACTION: commitment.action,
        },
        "make_loop": loops(store) if own_loop else None,
    }


def _servers(
    entity: AE,
    listener: socket.socket,
    secure: Secure | None,
    common: Mapping[str, Any],
    visits: Visits,
) -> list[Any]:
    """One for each port."""
    servers = [_server(entity, listener, InheritedServer, common)]
    if secure is not None:
        extra = {"tls": secure.tls, "refused": visits.refuse}
        servers.append(_server(entity, secure.listener, TlsServer, {**common, **extra}))
    return servers


def _close(
    servers: Sequence[Any], threads: Sequence[threading.Thread], listeners: Sequence[socket.socket]
) -> None:
    """Accept nothing more."""
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        # Nobody is let in while the last associations end: both ends of the port close here.
        server.socket.close()
    for listener in listeners:
        listener.close()


class InheritedServer(AssociationServer):  # type: ignore[misc] # pynetdicom has no types
    """pynetdicom's server on a socket it did not open and shares with other processes."""

    request_queue_size = BACKLOG

    def __init__(
        self,
        *args: Any,
        listener: socket.socket,
        limits: ScpLimits,
        waiting: Waiting,
        will_abort: Callable[[Any, str], None] | None = None,
        services: Mapping[type, pynetdicom_hooks.Serve],
        make_loop: pynetdicom_hooks.MakeLoop | None = None,
        **more: Any,
    ) -> None:
        self.services = services
        self.make_loop = make_loop
        self._listener = listener.dup()
        # Another acceptor may take the connection first: `accept` must then not wait for the next.
        self._listener.setblocking(False)
        self._limits = limits
        self.waiting = waiting
        self.will_abort = will_abort
        super().__init__(*args, **more)

    def server_bind(self) -> None:
        """Take the inherited socket instead of a new one."""
        self.socket.close()  # type: ignore[has-type]
        self.socket = self._listener
        self.server_address = self.socket.getsockname()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection and set it up; a `BlockingIOError` when another took it."""
        if self._limits.acceptors > 1:
            # All are woken, and chance would give one process three senders and another none: it
            # has one interpreter for them. Who is less busy comes first.
            time.sleep(min(_YIELD_S * len(self.active_associations), _LONGEST_YIELD_S))
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(self._limits.network_timeout_s)
        bound_silence(connection, self._limits.network_timeout_s)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse connections that would cost a thread each far beyond what associations may."""
        # An association above its limit gets an A-ASSOCIATE-RJ (PS3.8 9.3.4) and needs a thread
        # for that; a flood gets none. Silent ones make room for each other, so that they alone do
        # not come to this number: those that end are still threads for a moment.
        if len(self.active_associations) > _THREADS_EACH * self._limits.max_associations + _MORE:
            return False
        self.waiting.enter(request, str(client_address[0]))
        return True

    def shutdown(self) -> None:
        """Stop accepting in this process; the socket stays open in the others."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def server_close(self) -> None:
        """Close our copy. Shutting the socket down would close it for every process."""
        self.socket.close()


class TlsServer(HandshakeFirst, InheritedServer):
    """The same behind TLS."""


def _server(
    entity: AE, listener: socket.socket, kind: type[InheritedServer], values: Mapping[str, Any]
) -> Any:
    return entity.make_server(
        listener.getsockname(), server_class=kind, listener=listener, **values
    )


def _accepting(server: InheritedServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, name="acceptor", daemon=True)
    thread.start()
    return thread


def _sweep_until(stop: Stop, folder: Folder, secure: Secure | None) -> None:
    """Look after files and certificates now and again, until ``stop`` is set."""
    _sweep(folder, secure)
    sweep_at = time.monotonic() + _SWEEP_S
    # Not in one long wait: a signal that comes just before it is heard only after it.
    while not stop.wait(_LOOK_S):
        if time.monotonic() >= sweep_at:
            _sweep(folder, secure)
            sweep_at = time.monotonic() + _SWEEP_S


def _sweep(folder: Folder, secure: Secure | None) -> None:
    with Contained(log, "sweep_failed"):  # an acceptor's edge: it must not end what receives
        folder.remove_orphans()
        if secure is not None:
            secure.tls.warn_of_ends()


def _handlers(
    door: Door, store: StoreHandler, find: FindHandler, commitment: CommitmentService
) -> list[tuple[Any, Callable[[Any], Any]]]:
    return [
        (evt.EVT_REQUESTED, door.requested),
        (evt.EVT_ACCEPTED, door.accepted),
        (evt.EVT_REJECTED, door.rejected),
        (evt.EVT_RELEASED, door.released),
        (evt.EVT_ACSE_RECV, door.acse_received),
        (evt.EVT_ABORTED, door.aborted),
        (evt.EVT_CONN_CLOSE, door.closed),
        (evt.EVT_C_ECHO, door.echoed),
        (evt.EVT_C_STORE, store),
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_EVENT_REPORT, commitment.reported),
    ]


def _entity(ae_title: str, limits: ScpLimits) -> AE:
    entity = AE(ae_title=ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION
    entity.maximum_pdu_size = MAX_PDU_BYTES
    # The door counts those that were let in. pynetdicom counts every connection, so that silent
    # ones would use up the places of peers.
    entity.maximum_associations = _THREADS_EACH * limits.max_associations + 2 * _MORE
    entity.network_timeout = limits.network_timeout_s
    entity.acse_timeout = limits.acse_timeout_s
    entity.dimse_timeout = limits.network_timeout_s
    # Each association gets its own when its peer is known; copying all of them costs 50 ms.
    entity.supported_contexts = contexts_for(None)[:1]
    return entity


def _drain(servers: Sequence[InheritedServer], drain_s: float, store: StoreHandler) -> None:
    """Let associations finish, then abort what is left: nothing unanswered was acknowledged."""
    deadline = time.monotonic() + drain_s
    for association in _open(servers):
        association.join(max(0.0, deadline - time.monotonic()))
    for association in _open(servers):
        log.warning("association_aborted_at_stop", address=association.requestor.address)
        store.will_abort(association, "Aborted by the node: it stops.")
        association.abort()


def _open(servers: Sequence[InheritedServer]) -> list[Any]:
    return [association for server in servers for association in server.active_associations]


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
