"""What `make unit` holds unit tests to."""

import socket
from typing import Any, NoReturn

import pytest


def _refuse(_socket: socket.socket, address: Any, *_: object) -> NoReturn:
    raise AssertionError(f"A test that uses the network ({address}) is to be marked long.")


@pytest.fixture(autouse=True)
def _without_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that opens a socket without saying so by its mark."""
    if request.node.get_closest_marker("long") is None:
        for name in ("bind", "connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, _refuse)
