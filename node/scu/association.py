"""Open an association with a peer, or say in one sentence why there is none."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.presentation import PresentationContext

from node.dicom.ct_series import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from node.domain.errors import Misconfigured, NodeError, Rejected, Retryable
from node.domain.site import Peer
from node.net.borrowed_socket import keep_answers
from node.net.c_store_sender import acknowledge_at_once
from node.net.tls import Tls

MAX_PDU_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long we wait for a peer."""

    connect_s: float = 10.0
    """For the TCP connection."""
    associate_s: float = 30.0
    """For the answer to our request, and to our release."""
    response_s: float = 120.0
    """For each DIMSE response: a slow archive may take its time over an instance."""


# PS3.8 table 9-21, (source, reason): what a refusal says, and what to do about it.
_REASONS = {
    (1, 1): ("it gives no reason", "Ask its administrator; its log says why."),
    (1, 2): ("it does not know the DICOM application context", "It may be no DICOM application."),
    (1, 3): (
        "it does not know our AE title {calling}",
        "Register {calling} at the peer, with this machine's address and our DICOM port.",
    ),
    (1, 7): (
        "it does not answer to the AE title {called}",
        "Correct the peer's AE title here: titles are case-sensitive.",
    ),
    (2, 1): ("its association service gives no reason", "Ask its administrator."),
    (2, 2): ("it does not speak version 1 of the protocol", "It may be no DICOM application."),
    (3, 1): ("it is congested", "The node tries again."),
    (3, 2): ("it serves as many associations as it may", "The node tries again."),
}
_TRANSIENT = 2


@contextmanager
def associate(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    calling_ae: str,
    timeouts: Timeouts | None = None,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[[evt.Event], Any]]] = (),
) -> Iterator[Any]:
    """Give an established association; release it at the end, abort it on an error.

    ``roles`` are negotiated (PS3.7 D.3.3.4), ``handlers`` serve what the peer asks meanwhile.
    Raises `Retryable` when the peer does not answer or is busy, `Rejected` (ASSOCIATION_REJECTED)
    when it refuses us for good, and `Rejected` (NO_CONTEXT) when it takes none of ``contexts``.
    """
    timeouts = timeouts or Timeouts()
    connections: list[socket.socket] = []
    own: list[tuple[Any, ...]] = [
        (evt.EVT_CONN_OPEN, _opened, [timeouts, connections]),
        (evt.EVT_DATA_SENT, _acknowledge),
    ]
    association = _call(
        _entity(calling_ae, timeouts), peer, contexts, roles=roles, handlers=[*own, *handlers]
    )
    if not association.is_established:
        _close(connections)
        raise _why_not(association, peer, calling_ae, timeouts)
    keep_answers(association)
    end = association.abort
    try:
        yield association
        end = partial(_release, association)
    except NodeError:  # an answer we do not like is no reason for a rude end
        end = partial(_release, association)
        raise
    finally:
        try:
            end()
        finally:
            _close(connections)


def _call(
    entity: AE,
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any],
    handlers: Sequence[tuple[Any, ...]],
) -> Any:
    security = _security(peer)
    try:
        return entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=MAX_PDU_BYTES,
            evt_handlers=list(handlers),
            ext_neg=list(roles),
            tls_args=security,
        )
    except OSError as error:
        raise _unreachable(peer, error.strerror or str(error)) from None


def secure_with(tls: Tls | None) -> None:
    """Give this process its identity for peers that use TLS: one process is one node."""
    _identity.tls = tls


@dataclass(slots=True)
class _Identity:
    tls: Tls | None = None


_identity = _Identity()
_Security = tuple[ssl.SSLContext, str]


def _security(peer: Peer) -> _Security | None:
    """What pynetdicom needs to call ``peer`` over TLS; None for a peer without."""
    if not peer.tls:
        return None
    if _identity.tls is None:
        raise Misconfigured(
            f"{_name(peer)} uses TLS, and the node has no certificate.",
            remedy="Set certificate, key and ca in [dicom] tls, or set tls = false for the peer.",
        )
    return _identity.tls.client(), peer.tls_name or peer.host


def _release(association: Any) -> None:
    if association.is_established:
        association.release()


def quiet_pynetdicom() -> None:
    """Keep pynetdicom from logging what we log ourselves, identifiers among it."""
    _config.LOG_HANDLER_LEVEL = "none"
    logging.getLogger("pynetdicom").setLevel(logging.ERROR)


def _entity(calling_ae: str, timeouts: Timeouts) -> AE:
    quiet_pynetdicom()
    # The archived bytes go out as they lie in the file, not decoded and encoded again.
    _config.STORE_SEND_CHUNKED_DATASET = True
    entity = AE(ae_title=calling_ae)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION
    entity.connection_timeout = timeouts.connect_s
    entity.acse_timeout = timeouts.associate_s
    entity.dimse_timeout = timeouts.response_s
    entity.network_timeout = timeouts.response_s
    return entity


def bound_silence(connection: socket.socket, seconds: float) -> None:
    """End a connection whose data the other side leaves unacknowledged for so long.

    A peer that vanishes (power, cable, firewall) sends neither FIN nor reset; the kernel would
    try for a quarter of an hour, and a thread that sends would wait as long (RFC 5482).
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, max(1, int(seconds * 1000)))


def _opened(event: evt.Event, timeouts: Timeouts, connections: list[socket.socket]) -> None:
    # Not public: pynetdicom offers no way to set options on the socket it opens. Without the first
    # a peer that delays its acknowledgements costs 44 ms an instance.
    connection = event.assoc.dul.socket.socket
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound_silence(connection, timeouts.response_s)
    connections.append(connection)


def _acknowledge(event: evt.Event) -> None:
    with suppress(AttributeError):  # the connection may be gone
        acknowledge_at_once(event.assoc.dul.socket.socket)


def _close(connections: Sequence[socket.socket]) -> None:
    # pynetdicom forgets to close a connection that the peer, or the kernel, has ended.
    for connection in connections:
        connection.close()


def _why_not(association: Any, peer: Peer, calling_ae: str, timeouts: Timeouts) -> NodeError:
    answer = association.acceptor.primitive
    if association.is_rejected and answer is not None:
        return _rejection(peer, calling_ae, answer)
    if answer is not None and answer.result == 0 and not association.accepted_contexts:
        return Rejected(
            f"{_name(peer)} accepts none of the object classes offered to it.",
            code="NO_CONTEXT",
            remedy="Allow CT Image Storage (or what else is sent) at the peer.",
        )
    return _unreachable(peer, _probe(peer, timeouts.connect_s, _security(peer)))


def _rejection(peer: Peer, calling_ae: str, answer: Any) -> NodeError:
    source, reason = int(answer.result_source), int(answer.diagnostic)
    why, remedy = _REASONS.get((source, reason), _REASONS[1, 1])
    values = {"calling": calling_ae, "called": peer.ae_title}
    permanent = int(answer.result) != _TRANSIENT
    sentence = (
        f"{_name(peer)} refused the association {'for good' if permanent else 'for now'}: "
        f"{why.format_map(values)} (PS3.8 source {source}, reason {reason})."
    )
    if permanent:
        return Rejected(sentence, code="ASSOCIATION_REJECTED", remedy=remedy.format_map(values))
    return Retryable(sentence, remedy=remedy.format_map(values))


def _unreachable(peer: Peer, why: str) -> Retryable:
    return Retryable(
        f"{_name(peer)} cannot be reached: {why}.",
        remedy="Check that it runs, its host and port here, and the network between.",
    )


def _probe(peer: Peer, timeout_s: float, security: _Security | None) -> str:
    """Connect once more to learn what pynetdicom keeps to itself."""
    limit_s = min(timeout_s, 2.0)
    try:
        with socket.create_connection((peer.host, peer.port), timeout=limit_s) as plain:
            if security is None:
                return "it takes the connection and does not answer the association request"
            with security[0].wrap_socket(plain, server_hostname=security[1]) as secured:
                secured.recv(1)  # TLS 1.3: what it thinks of our certificate comes after ours
                return "it ends the TLS connection"
    except TimeoutError:
        secure = " over TLS" if security else ""
        return f"the connection is not answered{secure}"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted ({error.verify_message})"
    except ssl.SSLError as error:
        return f"TLS failed ({(error.reason or str(error)).lower().replace('_', ' ')})"
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _name(peer: Peer) -> str:
    return f"{peer.name} ({peer.ae_title} at {peer.host}:{peer.port})"
