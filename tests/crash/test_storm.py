"""A short storm in the default run; ``make crash`` has the long one."""

import secrets
from pathlib import Path

import pytest

from tests.crash import storm
from tests.peers.fixtures import StartStorescp


@pytest.mark.interop
@pytest.mark.crash
def test_random_kills_lose_nothing_and_deliver_once(
    tmp_path: Path, start_storescp: StartStorescp
) -> None:
    """Some kills at random over all processes: the series are delivered once, bit for bit."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    destinations = [start_storescp(name="tps"), start_storescp(name="archive", ae_title="ARCHIVE")]
    under_fire = storm.begin(tmp_path, destinations, seed)
    try:
        under_fire.round(1, series=3, kills=4)
        assert "living" in under_fire.stuck()  # what a round that never ends would say
    finally:
        status = under_fire.node.stop()
    assert under_fire.kills.total() == 4
    assert status == 0
