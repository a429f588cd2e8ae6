"""Waiting for what happens elsewhere: a condition is polled until a deadline, never slept on."""

import itertools
import os
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


# Below the ports that the system gives to outgoing connections, which would take one between the
# look and the server's start; each process of a parallel run counts through a part of its own.
_FIRST, _PARTS, _SIZE = 10_000, 16, 1_400
_counter = itertools.count(os.getpid() * 61)


def free_port() -> int:
    """Port of the loopback interface that nobody has now and that no other test is given."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
    for turn in itertools.islice(_counter, _SIZE):
        port = _FIRST + part * _SIZE + turn % _SIZE
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def wait_until(
    condition: Callable[[], T],
    what: str,
    *,
    timeout_s: float = 20.0,
    every_s: float = 0.02,
) -> T:
    """Return the first true value of ``condition``; fail with ``what`` at the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(every_s)


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0
