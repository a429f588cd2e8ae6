"""Hosts on one machine: network namespaces behind a bridge, whose cables can be pulled.

The test's own namespace is a host of that network too: there the peers stand. Addresses are of the
range that RFC 2544 keeps for such trials, which no real network has.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.peers.tools import need_tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A network namespace with one cable to the bridge."""

    name: str
    address: str
    cable: str
    """The bridge's end."""

    def command(self, words: Sequence[str]) -> list[str]:
        """``words`` as they run on it, under the process id they are started with."""
        return [need_tool("ip"), "netns", "exec", self.name, *words]


@dataclass(slots=True, kw_only=True)
class Network:
    """A bridge and its hosts; needs the rights to make them."""

    name: str = field(default_factory=lambda: f"pn{os.getpid() % 100_000}")
    prefix: str = field(default_factory=lambda: f"198.18.{os.getpid() % 250}")
    hosts: list[Host] = field(default_factory=list)

    @property
    def own(self) -> str:
        """Address of the test's namespace."""
        return f"{self.prefix}.1"

    def open(self) -> None:
        """Make the bridge; without the rights for it the test skips."""
        tool = need_tool("ip")
        made = subprocess.run(
            [tool, "link", "add", self.name, "type", "bridge"], capture_output=True, text=True
        )
        if made.returncode:
            pytest.skip(f"no network can be made here: {made.stderr.strip()}")
        _ip("address", "add", f"{self.own}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")

    def add(self) -> Host:
        """Make a host and plug it in."""
        number = len(self.hosts) + 11
        cable, end = f"{self.name}-{number}", f"{self.name}e{number}"
        host = Host(name=cable, address=f"{self.prefix}.{number}", cable=cable)
        _ip("netns", "add", host.name)
        self.hosts.append(host)
        _ip("link", "add", cable, "type", "veth", "peer", "name", end)
        _ip("link", "set", cable, "master", self.name, "up")
        _ip("link", "set", end, "netns", host.name)
        for words in (["lo", "up"], [end, "up"]):
            _ip("-n", host.name, "link", "set", *words)
        self.take(host, host.address)
        return host

    def take(self, host: Host, address: str) -> None:
        """Let the host have an address; whoever knew it of another host forgets."""
        end = host.cable.replace("-", "e")
        _ip("-n", host.name, "address", "replace", f"{address}/24", "dev", end)
        _ip("neigh", "flush", "to", address)
        for other in self.hosts:
            _ip("-n", other.name, "neigh", "flush", "to", address)

    def leave(self, host: Host, address: str) -> None:
        """Take an address from the host."""
        end = host.cable.replace("-", "e")
        _ip("-n", host.name, "address", "del", f"{address}/24", "dev", end)

    def pull(self, host: Host) -> None:
        """Pull the host's cable; what it sends is lost without a word, and so is what is sent."""
        _ip("link", "set", host.cable, "down")

    def plug(self, host: Host) -> None:
        """Plug it in again."""
        _ip("link", "set", host.cable, "up")

    def hide(self, host: Host, address: str) -> None:
        """Let everything that the host sends to ``address`` be lost without a word."""
        _ip("-n", host.name, "route", "add", "blackhole", f"{address}/32")

    def show(self, host: Host, address: str) -> None:
        """Undo `hide`."""
        _ip("-n", host.name, "route", "del", "blackhole", f"{address}/32")

    def close(self) -> None:
        """Remove hosts and bridge."""
        for host in self.hosts:
            _ip("netns", "del", host.name)
        self.hosts.clear()
        _ip("link", "del", self.name)


def _ip(*words: str) -> None:
    subprocess.run([need_tool("ip"), *words], check=True, capture_output=True, timeout=30)
