"""Which of the silent connections makes room."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from node.scp.waiting_connections import Waiting


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connected sockets: ours and the other side's."""
    made = [socket.socketpair() for _ in range(40)]
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def closed(pair: tuple[socket.socket, socket.socket]) -> bool:
    """Whether our side was ended."""
    pair[1].setblocking(False)
    try:
        return pair[1].recv(1) == b""
    except BlockingIOError:
        return False


def test_the_oldest_of_the_address_with_the_most_makes_room(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """Ten places: of twelve connections two are let go, and not the lonely one that came first."""
    waiting = Waiting(10, lambda address: True)
    waiting.enter(pairs[0][0], "10.0.0.9")
    for ours, _ in pairs[1:12]:
        waiting.enter(ours, "10.0.0.1")

    assert [closed(pair) for pair in pairs[:12]] == [False, True, True] + [False] * 9
    assert waiting.count() == 10


def test_strangers_have_a_share(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Addresses of no peer push out each other, not a peer that is slow to speak."""
    waiting = Waiting(16, lambda address: address == "10.0.0.9")
    waiting.enter(pairs[0][0], "10.0.0.9")
    for number, (ours, _) in enumerate(pairs[1:31]):
        waiting.enter(ours, f"10.1.0.{number}")

    assert not closed(pairs[0])
    assert waiting.count() == 1 + 4
    assert sum(closed(pair) for pair in pairs[1:31]) == 26


def test_who_has_spoken_or_gone_has_no_place(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """Only silence counts."""
    waiting = Waiting(10, lambda address: True)
    for ours, _ in pairs[:3]:
        waiting.enter(ours, "10.0.0.1")
    spoken = SimpleNamespace(requestor=SimpleNamespace(primitive=object()), is_alive=lambda: True)
    waiting.became(pairs[0][0], spoken)
    waiting.leave(pairs[1][0])
    pairs[2][0].close()

    assert waiting.count() == 0
