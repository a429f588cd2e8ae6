"""What has arrived on a connection: a fixed buffer, read as far as it goes, taken in slices."""

import socket
import struct
import time

from node.net.c_store_sender import acknowledge_at_once

# One read takes what the kernel has, up to this. A PDU need not fit: data is taken piece by piece.
BUFFER_BYTES = 256 * 1024
_PDU = struct.Struct(">BBI")
_P_DATA_TF = 0x04


class Closed(Exception):
    """The peer, or the network, ended the connection."""


class TooLong(Exception):
    """What must lie in one piece does not fit the buffer."""


class Stream:
    """Bytes of one connection; for one thread. A socket's time-out passes through as it is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        # Room for a PDU header before the first byte, so that a PDU can be cut anew; see `mark`.
        self._start = self._end = self._kept = _PDU.size

    def mark(self, left: int) -> None:
        """Keep what follows, so that `rest` gives it whole; ``left`` bytes of its PDU follow.

        The PDU's header is written anew before it: what went before in that PDU is used up.
        """
        self._kept = self._start - _PDU.size
        _PDU.pack_into(self._buffer, self._kept, _P_DATA_TF, 0, left)

    def keep(self) -> None:
        """Keep what follows as it is."""
        self._kept = self._start

    def rest(self) -> bytes:
        """Take everything from the last `mark` or `keep`."""
        data = bytes(self._view[self._kept : self._end])
        self._start = self._end = self._kept = _PDU.size
        return data

    def peek(self, count: int) -> memoryview:
        """The next ``count`` bytes, read until they are there; they stay."""
        ends = 0.0
        while self._end - self._start < count:
            self._read(count)
            ends = ends or time.monotonic() + (self._connection.gettimeout() or BUFFER_BYTES)
            if time.monotonic() > ends and self._end - self._start < count:
                raise TimeoutError  # it comes byte by byte, to keep the connection for ever
        return self._view[self._start : self._start + count]

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes; good until the next call."""
        taken = self.peek(count)
        self._start += count
        return taken

    def take_some(self, limit: int) -> memoryview:
        """Between 1 and ``limit`` bytes, as many as are there; good until the next call.

        What was kept is let go: there is no way back into a data set that was taken.
        """
        self._kept = max(self._start - _PDU.size, 0)
        if self._start == self._end:
            self._read(1)
        count = min(limit, self._end - self._start)
        taken = self._view[self._start : self._start + count]
        self._start += count
        return taken

    def _read(self, count: int) -> None:
        if self._start == self._end and self._kept >= self._start - _PDU.size:
            self._move(self._start - self._kept)
        elif self._start + count > len(self._buffer):
            self._move(self._start - self._kept)
            if self._start + count > len(self._buffer):
                raise TooLong
        acknowledge_at_once(self._connection)
        try:
            got = self._connection.recv_into(self._view[self._end :])
        except TimeoutError:
            raise
        except OSError:
            raise Closed from None
        if not got:
            raise Closed
        self._end += got

    def _move(self, behind: int) -> None:
        """Bring what is kept and what is not taken to the front."""
        kept = bytes(self._view[self._kept : self._end])
        first = max(_PDU.size - behind, 0)
        self._view[first : first + len(kept)] = kept
        self._kept, self._start, self._end = first, first + behind, first + len(kept)
