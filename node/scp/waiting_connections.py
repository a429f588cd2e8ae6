"""Connections that have not said who they are: a bounded number, of which the oldest makes room.

Whoever reaches the port may open connections and be silent. A peer says who it is within the time a
packet takes, so that of many silent ones the oldest is let go when another comes: no number of them
shuts the port. Addresses of no peer have a share of the places, and push out only each other; among
the rest the address with the most connections pays. This is decided before a connection has a
thread.
"""

import socket
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from node.log import get_logger

log = get_logger(__name__)

# Of the places of those who have said nothing, the share of addresses that no peer has.
_STRANGERS_SHARE = 4
_LEAST = 4


class Waiting:
    """Those of one acceptor; safe to use from several threads."""

    def __init__(self, most: int, is_known: Callable[[str], bool]) -> None:
        self._most = max(most, 2 * _LEAST)
        self._strangers = max(self._most // _STRANGERS_SHARE, _LEAST)
        self._is_known = is_known
        self._lock = threading.Lock()
        self._here: OrderedDict[int, _Silent] = OrderedDict()

    def enter(self, connection: socket.socket, address: str) -> None:
        """Count one more; an older one is closed where there are too many."""
        silent = _Silent(connection, address, self._is_known(address))
        with self._lock:
            self._forget_heard()
            self._here[id(connection)] = silent
            victim = self._one_too_many()
            if victim is not None:
                del self._here[id(victim.connection)]
        if victim is not None:
            log.warning("silent_connection_closed", address=victim.address, waiting=self._most)
            victim.end()

    def became(self, connection: socket.socket, association: Any) -> None:
        """From now on ``association`` knows whether the connection has said anything."""
        with self._lock:
            silent = self._here.get(id(connection))
            if silent is not None:
                silent.association = association

    def replace(self, connection: socket.socket, secured: socket.socket) -> None:
        """The TLS handshake has succeeded; it has still not said who it is."""
        with self._lock:
            silent = self._here.pop(id(connection), None)
            if silent is not None:
                silent.connection = secured
                self._here[id(secured)] = silent

    def leave(self, connection: socket.socket) -> None:
        """It is gone."""
        with self._lock:
            self._here.pop(id(connection), None)

    def count(self) -> int:
        """How many say nothing now."""
        with self._lock:
            self._forget_heard()
            return len(self._here)

    def _forget_heard(self) -> None:
        for key in [key for key, silent in self._here.items() if not silent.is_silent]:
            del self._here[key]

    def _one_too_many(self) -> "_Silent | None":
        strangers = [silent for silent in self._here.values() if not silent.known]
        if len(strangers) > self._strangers:
            return _oldest_of_the_most(strangers)
        if len(self._here) > self._most:
            return _oldest_of_the_most(list(self._here.values()))
        return None


class _Silent:
    """One connection."""

    def __init__(self, connection: socket.socket, address: str, known: bool) -> None:
        self.connection = connection
        self.address = address
        self.known = known
        self.association: Any = None

    @property
    def is_silent(self) -> bool:
        """Whether it is still there and has not asked for an association."""
        if self.association is None:
            return self.connection.fileno() >= 0
        return self.association.requestor.primitive is None and self.association.is_alive()

    def end(self) -> None:
        """Have its thread find the connection at its end."""
        with suppress(OSError):  # it went by itself
            # Past TLS, whose own `shutdown` would take the session from under the thread.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


def _oldest_of_the_most(silents: list[_Silent]) -> _Silent:
    counts = Counter(silent.address for silent in silents)
    most = max(counts.values())
    return next(silent for silent in silents if counts[silent.address] == most)
