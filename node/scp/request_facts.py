"""What the request of an association says, and what its connection shows."""

import socket
import ssl
from dataclasses import dataclass
from typing import Any


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


def shown_by(connection: socket.socket | None) -> tuple[str, tuple[str, ...]]:
    """TLS version and the names in the peer's certificate; empty without TLS."""
    if not isinstance(connection, ssl.SSLSocket):
        return "", ()
    shown: dict[str, Any] = dict(connection.getpeercert() or {})
    names = [str(value) for _kind, value in shown.get("subjectAltName", ())]
    for part in shown.get("subject", ()):
        names += [str(value) for key, value in part if key == "commonName"]
    return connection.version() or "", tuple(dict.fromkeys(names))
