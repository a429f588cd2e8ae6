"""The connection of an association we opened, for us alone while we send.

With `node.scu.association` the place of this room that reaches into pynetdicom: its thread reads
through `AssociationSocket.ready`, and `Association._reactor_checkpoint` stops the other one, as it
does around each of pynetdicom's own requests. ``tests/unit/net/test_borrowed_socket.py`` fails when
these points move.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom.transport import AssociationSocket

_ESTABLISHED = "Sta6"  # PS3.8 table 9-1: data transfer
_LOOK_S = 0.002


class Lent(AssociationSocket):  # type: ignore[misc] # pynetdicom has no types
    """A connection pynetdicom's thread keeps its hands off until it is given back."""

    def lend(self) -> None:
        """Let the thread wait as soon as it would read."""
        self._waits = threading.Event()
        self._returned = threading.Event()

    def is_lent(self) -> bool:
        """Wait until the thread waits; False when it has ended or the association has."""
        while not self._waits.wait(_LOOK_S):
            if not self.assoc.dul.is_alive() or not self._is_open():
                return False
        return True

    def take_back(self) -> None:
        """Let the thread read again."""
        self._returned.set()

    @property
    def ready(self) -> bool:
        """Whether there is something to read for pynetdicom."""
        if not self._returned.is_set() and self._is_open():
            self._waits.set()
            self._returned.wait()
        return bool(super().ready)

    def _is_open(self) -> bool:
        return bool(self.assoc.dul.state_machine.current_state == _ESTABLISHED)


def keep_answers(association: Any) -> None:
    """Let pynetdicom's reactor take requests of the peer only, never the answers we wait for.

    It says that it pauses before it does. A request that we send in between can lose its first
    answer to it: one match of a query is missing, and nobody knows.
    """
    messages, take = association.dimse.msg_queue, association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        if block or threading.current_thread() is not association:
            return take(block)
        with messages.mutex:
            if not messages.queue or _is_answer(messages.queue[0][1]):
                return None, None
            return messages.queue.popleft()

    association.dimse.get_msg = get_msg


def _is_answer(message: Any) -> bool:
    return getattr(message, "MessageIDBeingRespondedTo", None) is not None


@contextmanager
def own_connection(association: Any, timeout_s: float) -> Iterator[socket.socket | None]:
    """The association's socket, with a time-out for each read; None under TLS or when it ends.

    Between two messages nothing is lost: the peer has nothing to say that we did not ask for.
    """
    dul, shared = association.dul, association.dul.socket
    if shared is None or shared.socket is None or isinstance(shared.socket, ssl.SSLSocket):
        yield None
        return
    association._reactor_checkpoint.clear()
    Lent.lend(shared)
    shared.__class__ = Lent
    connection: socket.socket | None = None
    try:
        if shared.is_lent() and dul.to_provider_queue.empty() and dul.to_user_queue.empty():
            connection = shared.socket
            connection.settimeout(timeout_s)
        else:
            _give_back(association, shared)
        yield connection
    finally:
        if connection is not None:
            connection.settimeout(None)
            _give_back(association, shared)


def _give_back(association: Any, shared: Lent) -> None:
    association.dul._idle_timer.restart()
    shared.take_back()
    association._reactor_checkpoint.set()
