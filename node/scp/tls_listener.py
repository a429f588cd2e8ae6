"""The TLS listener: the handshake in a thread of its own, then an association like any other."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from node.log import get_logger
from node.net.tls import Tls
from node.scp.admission import Asked, Refused, no_handshake

log = get_logger(__name__)


class HandshakeFirst:
    """Makes of a server one that takes connections whose TLS handshake succeeds within its time."""

    _limits: Any  # of the server
    waiting: Any
    finish_request: Callable[[Any, Any], None]

    def __init__(
        self, *args: Any, tls: Tls, refused: Callable[[Asked, Refused], None], **more: Any
    ) -> None:
        self._tls = tls
        self._refused = refused
        self._shaking = 0
        self._count_lock = threading.Lock()
        super().__init__(*args, **more)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse a flood, of handshakes too."""
        room = self._shaking <= 2 * self._limits.max_associations
        return room and bool(super().verify_request(request, client_address))  # type: ignore[misc]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin the handshake without holding up the next connection."""
        with self._count_lock:
            self._shaking += 1
        threading.Thread(
            target=self._secure, args=(request, client_address), name="handshake", daemon=True
        ).start()

    def _secure(self, request: socket.socket, client_address: Any) -> None:
        try:
            secured = shake_hands(request, self._tls.server(), self._limits.acse_timeout_s)
        except OSError as error:  # `ssl.SSLError` is one
            self.waiting.leave(request)
            request.close()
            self._not_secured(str(client_address[0]), error)
            return
        finally:
            with self._count_lock:
                self._shaking -= 1
        self.waiting.replace(request, secured)
        secured.settimeout(self._limits.network_timeout_s)
        self.finish_request(secured, client_address)

    def _not_secured(self, address: str, error: OSError) -> None:
        if isinstance(error, ssl.SSLEOFError | ConnectionError):
            log.info("connection_without_handshake", address=address)  # a probe, or it gave up
            return
        asked = Asked(calling_ae="", called_ae="", address=address)
        self._refused(asked, no_handshake(asked, in_words(error)))


def shake_hands(
    connection: socket.socket, context: ssl.SSLContext, timeout_s: float
) -> ssl.SSLSocket:
    """The server's side of the handshake, within ``timeout_s`` altogether."""
    deadline = time.monotonic() + timeout_s
    secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    secured.setblocking(False)
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                _wait(secured, deadline, reading=True)
            except ssl.SSLWantWriteError:
                _wait(secured, deadline, reading=False)
            else:
                return secured
    except OSError:
        secured.close()
        raise


def in_words(error: OSError) -> str:
    """Why a handshake failed, as a person says it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return _REASONS.get(reason, reason.lower().replace("_", " "))
    return error.strerror or str(error)


_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.2 or newer",
    "NO_SHARED_CIPHER": "it offers no cipher suite of the profile",
    "WRONG_VERSION_NUMBER": "what it sent is not TLS",
    "HTTP_REQUEST": "it sent an HTTP request",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the authority of the node's certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept the node's certificate",
}


def _wait(secured: ssl.SSLSocket, deadline: float, *, reading: bool) -> None:
    left = deadline - time.monotonic()
    wanted = [secured]
    ready = select.select(wanted if reading else [], [] if reading else wanted, [], max(0.0, left))
    if left <= 0 or not (ready[0] or ready[1]):
        raise TimeoutError("the handshake was not finished in time")
