"""Kinds of faults on several hosts: machines, cables, and the database."""

import signal

from tests.proving.faults import (
    Ground,
    Kinds,
    away,
    failing,
    flip_instance,
    flip_output,
    turn_in_journal,
)
from tests.proving.site import Machine, Site

# Longer than a lease, so that others take over what is held by who is only away.
_LONG_S = 12.0


def gone(ground: Ground[Site]) -> str:
    """Let a machine be gone for a while."""
    machine = _some(ground)
    machine.kill()
    ground.wait(_LONG_S)
    ground.node.start()
    return machine.role


def stands_still(ground: Ground[Site]) -> str:
    """Let a machine stand still, longer than its lease or not."""
    machine = _some(ground)
    machine.tell(signal.SIGSTOP)
    ground.wait(_LONG_S)
    machine.tell(signal.SIGCONT)
    return machine.role


def cut_off(ground: Ground[Site]) -> str:
    """Pull a machine's cable."""
    machine = _some(ground)
    ground.node.network.pull(machine.host)
    ground.wait(_LONG_S)
    ground.node.network.plug(machine.host)
    return machine.role


def blind(ground: Ground[Site]) -> str:
    """Let a machine reach everybody but the database."""
    machine, address = _some(ground), ground.node.database.address
    ground.node.network.hide(machine.host, address)
    ground.wait(_LONG_S)
    ground.node.network.show(machine.host, address)
    return machine.role


def database_restarts(ground: Ground[Site]) -> str:
    """Break every connection off, in order or as a crash does."""
    how = ground.dice.choice([signal.SIGINT, signal.SIGQUIT])
    ground.node.database.restart(how)
    return how.name


def database_hangs(ground: Ground[Site]) -> str:
    """Let the database answer nobody for a while."""
    server = ground.node.database.serving
    server.pause()
    ground.wait(_LONG_S)
    server.go_on()
    return "serving"


def database_fails_over(ground: Ground[Site]) -> str:
    """Kill the database; its follower, which lags, takes over."""
    ground.node.database.fail_over()
    return "serving"


def follower_away(ground: Ground[Site]) -> str:
    """Pull the follower's cable: no commit is answered meanwhile."""
    host = ground.node.database.following.host
    ground.node.network.pull(host)
    ground.wait()
    ground.node.network.plug(host)
    return "following"


def flip_journal(ground: Ground[Site]) -> str:
    """Turn a bit of what a killed acceptor had not filed."""
    machines = [m for m in ground.node.machines if m.role == "scp"]
    for machine in machines:  # all, so that nobody has a segment open
        machine.kill()
    turn_in_journal(ground, ground.node.data)
    ground.node.start()
    return "segment"


def _some(ground: Ground[Site]) -> Machine:
    return ground.dice.choice(ground.node.machines)


SITE_KINDS: Kinds[Site] = {
    "machine gone": (gone, 4),
    "machine stands still": (stands_still, 3),
    "machine cut off": (cut_off, 3),
    "no way to the database": (blind, 2),
    "database restarts": (database_restarts, 2),
    "database hangs": (database_hangs, 1),
    "database fails over": (database_fails_over, 2),
    "follower cut off": (follower_away, 1),
    "destination away": (away, 2),
    "disk fails": (failing, 2),
    "bit of a received file": (flip_instance, 1),
    "bit of a made file": (flip_output, 1),
    "bit of the journal": (flip_journal, 1),
}
