"""Where we reach into pynetdicom, and the only place: what its public interface does not offer.

Written against pynetdicom 3.0 (`pyproject.toml` pins it); ``tests/unit/scp/test_upper_layer.py``
fails when one of these points moves. A receive loop of our own on the accepted socket would begin
in `Connection`, too.
"""

import socket
from collections.abc import Callable
from typing import Any

from pynetdicom.transport import RequestHandler

# Longest protocol data unit that is read into memory. P-DATA is bound by what we negotiate (128
# KiB); an A-ASSOCIATE-RQ of 128 contexts with 40 syntaxes each stays below this.
PDU_LIMIT = 1 << 20


class Connection(RequestHandler):  # type: ignore[misc] # pynetdicom has no types
    """A connection whose association reads whole PDUs, and none that is absurdly long."""

    def _create_association(self) -> Any:
        association = super()._create_association()
        wrapper = association.dul.socket
        wrapper.recv = _bounded_reader(wrapper)
        return association


def forget_silent(association: Any) -> None:
    """End the thread of a connection that closed before it asked for anything, now.

    It waits for a primitive until the ACSE time-out; nothing is what it gets when that expires.
    """
    association.dul.to_user_queue.put(None)


def refuse(association: Any, result: int, source: int, reason: int) -> None:
    """Send an A-ASSOCIATE-RJ from within the handler of the request, and wait until it is sent."""
    association.acse.send_reject(result, source, reason)
    association.kill()


def _bounded_reader(wrapper: Any) -> Callable[[int], bytearray]:
    def receive(count: int) -> bytearray:
        """Read ``count`` bytes; fewer when the peer closed. An `OSError` closes the connection."""
        if count > PDU_LIMIT:
            raise OSError(f"the peer announced a PDU of {count} bytes")
        connection: socket.socket = wrapper.socket
        data = bytearray(count)
        view, filled = memoryview(data), 0
        while filled < count:
            # The socket's time-out is the network time-out: a PDU that stops half-way ends here.
            got = connection.recv_into(view[filled:])
            if not got:
                return data[:filled]
            filled += got
        return data

    return receive
