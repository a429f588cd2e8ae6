"""Misbehaving and honest peers at once: the honest lose nothing, and nothing is left behind.

``make soak``: 50 misbehaving and 4 honest peers for ten minutes; the default run is a short sample.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.test_network import POOL, data_set, echoes, memory_mb, open_files
from tests.interop.receiving import Node, running_node
from tests.peers.dcmtk import run_storescu
from tests.peers.tools import need_tool
from tests.peers.waiting import wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.soak.misbehaving import misbehave

pytestmark = pytest.mark.interop

SERIES = 5
WHOLE, SAMPLE = (600.0, 50, 4), (5.0, 8, 2)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP with room for all of them."""
    limits = '{"network_timeout_s": 10.0, "acse_timeout_s": 5.0, "max_associations": 100}'
    yield from running_node(tmp_path / "var", "--limits", limits)


class Honest:
    """A storescu that sends series after series and counts what was acknowledged."""

    def __init__(self, node: Node, folder: Path, name: int) -> None:
        self._node, self._folder, self._name = node, folder, name
        self.sent: list[Path] = []
        self.failures: list[str] = []

    def work(self, stop: threading.Event) -> None:
        """Send until ``stop``; at least once."""
        number = 0
        while number == 0 or not stop.is_set():
            number += 1
            series = f"1.2.3.{self._name}.{number}"
            folder = self._folder / f"{self._name}-{number}"
            files = [
                write_image(folder / f"{n}.dcm", mr_image(n, series=series))
                for n in range(1, SERIES + 1)
            ]
            done = run_storescu(self._node.port, [folder])
            if done.returncode == 0:
                self.sent += files
            else:
                self.failures.append(done.stderr[-500:])


def test_the_honest_lose_nothing(node: Node, tmp_path: Path, whole_soak: bool) -> None:
    """All they sent is acknowledged and lies in the archive, byte for byte; nothing leaks."""
    need_tool("storescu")
    lasting_s, bad, good = WHOLE if whole_soak else SAMPLE
    echoes(node)
    threads, files, memory = node.threads(), open_files(node), memory_mb(node)
    stop, image = threading.Event(), data_set()
    tried: Counter[str] = Counter()
    honest = [Honest(node, tmp_path / "sent", n) for n in range(1, good + 1)]
    workers = [threading.Thread(target=peer.work, args=(stop,)) for peer in honest]
    workers += [
        threading.Thread(
            target=misbehave, args=(node.port, seed, image, stop, lambda way: tried.update([way]))
        )
        for seed in range(bad)
    ]

    for worker in workers:
        worker.start()
    stopped_by = time.monotonic() + lasting_s
    while time.monotonic() < stopped_by and node.process.poll() is None:
        stop.wait(0.2)
    stop.set()
    for worker in workers:
        worker.join(300)

    assert node.process.poll() is None, node.log.read_text()[-2000:]
    assert [f for peer in honest for f in peer.failures] == []
    sent = {data_set_of(path) for peer in honest for path in peer.sent}
    assert sent <= {data_set_of(path) for path in node.files()}
    assert len(sent) == sum(len(peer.sent) for peer in honest) >= good * SERIES
    assert sum(tried.values()) >= bad
    wait_until(lambda: node.threads() <= threads + 4, "the threads to end", timeout_s=120)
    wait_until(lambda: open_files(node) <= files + POOL, "the files to close", timeout_s=120)
    assert memory_mb(node) < memory + 300
    assert node.files("tmp") == []
