"""Kinds of faults: each does its harm and undoes what can be undone."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from node.archive.ingest.journal import JOURNAL
from tests.crash.harness import Node
from tests.peers.dcmtk import Storescp, start_storescp

# How long a pause, an outage or a failing disk lasts.
_LASTS_S = (0.5, 5.0)


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


@dataclass(slots=True, kw_only=True)
class Ground:
    """Everything that can be harmed, and what was harmed so that nobody may expect it whole."""

    node: Node
    places: Sequence[Place]
    switch: Path
    """While it lies there the disk fails."""
    dice: Random
    flipped: set[str] = field(default_factory=set)
    """SOP Instance UIDs, and paths, of files of which a bit was turned."""
    alone: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever stops the whole node."""

    def wait(self) -> None:
        """Let it last."""
        threading.Event().wait(self.dice.uniform(*_LASTS_S))


def kill(ground: Ground) -> str:
    """Kill one process."""
    children = ground.node.children()
    victim = ground.dice.choice(sorted(children)) if children else ""
    with suppress(ProcessLookupError):
        if victim:
            os.kill(children[victim], signal.SIGKILL)
    return victim.split("-")[0]


def kill_all(ground: Ground) -> str:
    """Kill the whole node, as a power cut does, and start it again."""
    ground.node.kill_supervisor()
    ground.node.start()
    return "node"


def pause(ground: Ground) -> str:
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


def away(ground: Ground) -> str:
    """Take a destination off the network for a while."""
    place = ground.dice.choice(list(ground.places))
    place.stop()
    ground.wait()
    place.start()
    return place.scp.ae_title


def failing(ground: Ground) -> str:
    """Let the disk fail for a while."""
    ground.switch.touch()
    ground.wait()
    ground.switch.unlink()
    return "EIO"


def flip_instance(ground: Ground) -> str:
    """Turn a bit of a received file."""
    return _flip(ground, "instances")


def flip_output(ground: Ground) -> str:
    """Turn a bit of a made file."""
    return _flip(ground, "outputs")


def flip_journal(ground: Ground) -> str:
    """Turn a bit of what a killed acceptor had not filed."""
    ground.node.kill_supervisor()
    segments = sorted((ground.node.data / JOURNAL).glob("*.segment"))
    if segments:
        path = ground.dice.choice(segments)
        used = path.read_bytes().rstrip(b"\0")
        _turn(path, ground.dice.randrange(max(1, len(used))), ground.dice)
    ground.node.start()
    return "segment"


def _flip(ground: Ground, where: str) -> str:
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


KINDS: dict[str, tuple[Callable[[Ground], str], int]] = {
    "kill": (kill, 6),
    "kill all": (kill_all, 1),
    "pause": (pause, 3),
    "destination away": (away, 3),
    "disk fails": (failing, 2),
    "bit of a received file": (flip_instance, 1),
    "bit of a made file": (flip_output, 1),
    "bit of the journal": (flip_journal, 1),
}
"""Each with its weight."""
