"""Addresses of host names, remembered for a minute: admission must not wait for DNS each time."""

import ipaddress
import socket
import threading
import time

_KEEP_S = 60.0


class Resolver:
    """Gives the addresses of a host name; safe to use from several threads."""

    def __init__(self, keep_s: float = _KEEP_S) -> None:
        self._keep_s = keep_s
        self._known: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def __call__(self, host: str) -> frozenset[str]:
        """Addresses of ``host``; none when it cannot be resolved now."""
        if _is_address(host):
            return frozenset({host})
        now = time.monotonic()
        with self._lock:
            until, addresses = self._known.get(host, (0.0, frozenset()))
        if now < until:
            return addresses
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return addresses  # what it was last; a name service that is away changes nothing
        addresses = frozenset(str(entry[4][0]) for entry in found)
        with self._lock:
            self._known[host] = (now + self._keep_s, addresses)
        return addresses

    def remembered(self, host: str) -> frozenset[str]:
        """Addresses of ``host`` as far as they are known without asking anybody."""
        if _is_address(host):
            return frozenset({host})
        with self._lock:
            return self._known.get(host, (0.0, frozenset()))[1]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
