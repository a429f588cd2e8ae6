"""A storage client that costs next to nothing: requests are encoded before the clock starts.

One process for each association, so that no client waits for another's interpreter.
"""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

from tests.peers import raw
from tests.phantoms.sent_series import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a run went."""

    instances: int
    seconds: float
    """From the first byte of the first instance to the last response."""
    failures: int
    """Responses that were not Success."""

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.instances / self.seconds


def send_series(
    port: int, series: Sequence[Sequence[Instance]], *, called: str, calling: str = "PACS"
) -> Sent:
    """Send each of ``series`` in an association of its own, all at once."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(series) + 1)
    results: Any = context.SimpleQueue()
    children = [
        context.Process(target=_child, args=(port, instances, called, calling, barrier, results))
        for instances in series
    ]
    for child in children:
        child.start()
    barrier.wait(raw.TIMEOUT_S)
    started = time.monotonic()
    ended = [results.get() for _ in children]
    for child in children:
        child.join()
    return Sent(
        instances=sum(len(s) for s in series),
        seconds=max(at for at, _ in ended) - started,
        failures=sum(failures for _, failures in ended),
    )


def _child(
    port: int,
    instances: Sequence[Instance],
    called: str,
    calling: str,
    barrier: Barrier,
    results: Any,
) -> None:
    at, failures = 0.0, len(instances)
    classes = [instances[0].sop_class_uid]
    try:
        with raw.associated(port, classes, called=called, calling=calling) as (peer, limit):
            messages = [_message(n, i, limit) for n, i in enumerate(instances, start=1)]
            barrier.wait(raw.TIMEOUT_S)
            for message in messages:
                peer.sendall(message)
                failures -= raw.receive_status(peer) == 0
            at = time.monotonic()
            peer.sendall(raw.RELEASE)
            raw.receive_pdu(peer)
    finally:
        results.put((at, failures))


def _message(number: int, instance: Instance, limit: int) -> bytes:
    command = raw.store_command(instance.sop_class_uid, instance.sop_instance_uid, number)
    return raw.message(command, instance.data_set, limit)
