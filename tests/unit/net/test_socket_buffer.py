"""The receive buffer: what goes in comes out, however it arrives."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.net.socket_buffer import BUFFER_BYTES, Closed, Stream, TooLong


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: ours and the peer's end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ours, theirs


@settings(max_examples=30, deadline=None)
@given(
    takes=st.lists(st.integers(1, 3000), min_size=1, max_size=20),
    chunk=st.integers(1, 4096),
)
def test_every_byte_once_and_in_order(takes: list[int], chunk: int) -> None:
    """Takes of any size give the bytes that were sent in pieces of any size."""
    data = bytes(n % 251 for n in range(sum(takes)))
    ours, theirs = socket.socketpair()

    def send() -> None:
        for start in range(0, len(data), chunk):
            theirs.sendall(data[start : start + chunk])
        theirs.close()

    sender = threading.Thread(target=send)
    sender.start()
    with ours:
        stream, got = Stream(ours), b""
        for number, count in enumerate(takes):
            if number % 2:
                while count:
                    piece = bytes(stream.take_some(count))
                    got, count = got + piece, count - len(piece)
            else:
                stream.keep()
                assert bytes(stream.peek(count)) == data[len(got) : len(got) + count]
                got += bytes(stream.take(count))
        sender.join()
        with pytest.raises(Closed):
            stream.peek(1)

    assert got == data


def test_what_was_kept_is_given_back(ends: tuple[socket.socket, socket.socket]) -> None:
    """Bytes taken since `keep` come back whole, with those that were read beyond them."""
    ours, theirs = ends
    theirs.sendall(b"abcdefgh")
    stream = Stream(ours)
    stream.take(2)

    stream.keep()
    stream.take(3)

    assert stream.rest() == b"cdefgh"
    assert stream.rest() == b""


def test_a_pdu_is_cut_anew(ends: tuple[socket.socket, socket.socket]) -> None:
    """After `mark` the rest begins with a header for what is left of the PDU."""
    ours, theirs = ends
    theirs.sendall(b"\x04\0\0\0\0\x0aUSED12WXYZ")
    stream = Stream(ours)
    stream.take(6)
    stream.take_some(6)

    stream.mark(4)
    stream.take(2)

    assert stream.rest() == struct.pack(">BBI", 4, 0, 4) + b"WXYZ"


def test_a_long_stream_fits_a_fixed_buffer(ends: tuple[socket.socket, socket.socket]) -> None:
    """Data far beyond the buffer passes in slices, with something kept on the way."""
    ours, theirs = ends
    data = bytes(range(256)) * (3 * BUFFER_BYTES // 256)
    sender = threading.Thread(target=theirs.sendall, args=(data,))
    sender.start()
    stream, got = Stream(ours), b""

    while len(got) < len(data):
        got += bytes(stream.take_some(len(data) - len(got)))

    sender.join()
    assert got == data


def test_what_must_lie_in_one_piece_has_a_limit(ends: tuple[socket.socket, socket.socket]) -> None:
    """More than the buffer holds is an error, not a hang."""
    ours, theirs = ends
    theirs.sendall(b"x")

    with pytest.raises(TooLong):
        Stream(ours).peek(BUFFER_BYTES + 1)


def test_silence_is_a_time_out(ends: tuple[socket.socket, socket.socket]) -> None:
    """The socket's own time-out passes through."""
    ours, _theirs = ends
    ours.settimeout(0.01)

    with pytest.raises(TimeoutError):
        Stream(ours).peek(1)
