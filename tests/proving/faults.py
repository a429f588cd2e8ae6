"""Kinds of faults on one host: each does its harm and undoes what can be undone."""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from node.archive.ingest.journal import JOURNAL
from node.archive.query.queries import Queries
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, start_storescp

_SHORTEST_S = 0.5
"""A pause, an outage or a failing disk lasts longer."""


@dataclass(slots=True, kw_only=True)
class Place:
    """A destination that can go away and come back under its address."""

    scp: Storescp

    def stop(self) -> None:
        """Be away; what had arrived stays."""
        self.scp.stop()

    def start(self) -> None:
        """Come back."""
        old = self.scp
        self.scp = start_storescp(old.folder, ae_title=old.ae_title, port=old.port)


class Target(Protocol):
    """A node as it is harmed and looked at: on one host, or on several."""

    def start(self) -> None:
        """Start what of it does not run."""

    def stop(self) -> object:
        """End it."""

    def ended(self) -> bool:
        """Whether something of it does not run."""

    def series(self) -> list[dict[str, Any]]:
        """The series it knows."""

    def queries(self) -> Queries:
        """What its database says."""

    def engine(self) -> sa.Engine:
        """Open its database."""

    @property
    def data(self) -> Path:
        """Its data folder."""

    @property
    def doors(self) -> list[tuple[str, int]]:
        """Host and port of each place where it can be reached."""


T = TypeVar("T", bound=Target)


@dataclass(slots=True, kw_only=True)
class Ground(Generic[T]):
    """Everything that can be harmed, and what was harmed so that nobody may expect it whole."""

    node: T
    places: Sequence[Place]
    switch: Path
    """While it lies there the disk fails."""
    dice: Random
    flipped: set[str] = field(default_factory=set)
    """SOP Instance UIDs, and paths, of files of which a bit was turned."""

    def wait(self, longest_s: float = 5.0) -> None:
        """Let it last."""
        threading.Event().wait(self.dice.uniform(_SHORTEST_S, longest_s))


Kinds = Mapping[str, tuple[Callable[[Ground[T]], str], int]]
"""What is done, and its weight."""


def kill(ground: Ground[Node]) -> str:
    """Kill one process."""
    children = ground.node.children()
    victim = ground.dice.choice(sorted(children)) if children else ""
    with suppress(ProcessLookupError):
        if victim:
            os.kill(children[victim], signal.SIGKILL)
    return victim.split("-")[0]


def kill_all(ground: Ground[Node]) -> str:
    """Kill the whole node, as a power cut does, and start it again."""
    ground.node.kill_supervisor()
    ground.node.start()
    return "node"


def pause(ground: Ground[Node]) -> str:
    """Stop one process for a while: a machine that swaps, a hypervisor that moves it."""
    children = ground.node.children()
    victim = ground.dice.choice(sorted(children)) if children else ""
    with suppress(ProcessLookupError):
        if victim:
            os.kill(children[victim], signal.SIGSTOP)
    ground.wait()
    with suppress(ProcessLookupError):
        if victim:
            os.kill(children[victim], signal.SIGCONT)
    return victim.split("-")[0]


def away(ground: Ground[T]) -> str:
    """Take a destination off the network for a while."""
    place = ground.dice.choice(list(ground.places))
    place.stop()
    ground.wait()
    place.start()
    return place.scp.ae_title


def failing(ground: Ground[T]) -> str:
    """Let the disk fail for a while."""
    ground.switch.touch()
    ground.wait()
    ground.switch.unlink()
    return "EIO"


def flip_instance(ground: Ground[T]) -> str:
    """Turn a bit of a received file."""
    return _flip(ground, "instances")


def flip_output(ground: Ground[T]) -> str:
    """Turn a bit of a made file."""
    return _flip(ground, "outputs")


def flip_journal(ground: Ground[Node]) -> str:
    """Turn a bit of what a killed acceptor had not filed."""
    ground.node.kill_supervisor()
    turn_in_journal(ground, ground.node.data)
    ground.node.start()
    return "segment"


def turn_in_journal(ground: Ground[T], data: Path) -> None:
    """Turn a bit of a segment that nobody has open."""
    segments = sorted((data / JOURNAL).glob("*.segment"))
    if segments:
        path = ground.dice.choice(segments)
        with suppress(FileNotFoundError):  # a worker has just filed what is in it
            used = path.read_bytes().rstrip(b"\0")
            _turn(path, ground.dice.randrange(max(1, len(used))), ground.dice)


def _flip(ground: Ground[T], where: str) -> str:
    files = sorted((ground.node.data / where).rglob("*.dcm"))
    if files:
        path = ground.dice.choice(files)
        with suppress(FileNotFoundError):
            _turn(path, ground.dice.randrange(path.stat().st_size), ground.dice)
            ground.flipped.add(str(path.relative_to(ground.node.data)))
    return where


def _turn(path: Path, at: int, dice: Random) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ (1 << dice.randrange(8))]))


KINDS: Kinds[Node] = {
    "kill": (kill, 6),
    "kill all": (kill_all, 1),
    "pause": (pause, 3),
    "destination away": (away, 3),
    "disk fails": (failing, 2),
    "bit of a received file": (flip_instance, 1),
    "bit of a made file": (flip_output, 1),
    "bit of the journal": (flip_journal, 1),
}
