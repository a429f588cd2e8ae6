"""Sending to a syslog collector (RFC 5424): by datagram (RFC 5426), TCP or TLS (RFC 5425, 6587)."""

import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

PROTOCOLS = ("udp", "tcp", "tls")
# PS3.15 A.6: facility 10 (security and authorisation), severity 5 (notice), and the message's name.
_PRIORITY = 10 * 8 + 5
_MESSAGE_ID = "DICOM+RFC3881"
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Where the messages go."""

    protocol: str
    """One of `PROTOCOLS`."""
    host: str
    port: int


class Syslog:
    """A connection that is opened when it is needed, and again after it broke."""

    def __init__(
        self, collector: Collector, context: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._collector = collector
        self._context = context
        self._open: socket.socket | None = None

    def send(self, text: str) -> None:
        """Send one message; `OSError` when the collector cannot be reached."""
        message = _message(text, datetime.now(UTC))
        if self._collector.protocol == "udp":
            self._datagram(message)
            return
        try:
            self._connected().sendall(b"%d %s" % (len(message), message))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _datagram(self, message: bytes) -> None:
        where = (self._collector.host, self._collector.port)
        (family, kind, *_, address) = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as sender:
            sender.sendto(message, address)

    def _connected(self) -> socket.socket:
        if self._open is None:
            where = (self._collector.host, self._collector.port)
            plain = socket.create_connection(where, timeout=_TIMEOUT_S)
            if self._context is None:
                self._open = plain
            else:
                try:
                    self._open = self._context().wrap_socket(plain, server_hostname=where[0])
                except OSError:
                    plain.close()
                    raise
        return self._open


def _message(text: str, at: datetime) -> bytes:
    """RFC 5424 section 6: header, no structured data, the text in UTF-8 with its mark."""
    host = socket.gethostname()[:255] or "-"
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f"<{_PRIORITY}>1 {stamp} {host} pctnode {os.getpid()} {_MESSAGE_ID} - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + text.encode()
