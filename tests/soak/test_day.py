"""A short day in the default run; ``make day`` has the whole one."""

from pathlib import Path

import pytest

from tests.peers.tools import need_tool
from tests.soak import day


@pytest.mark.interop
def test_a_day_is_delivered_and_nothing_is_left(tmp_path: Path) -> None:
    """Some series in bursts, one destination away: delivered to both, the disk explained."""
    need_tool("storescu")
    need_tool("storescp")
    begun = day.begin(tmp_path)
    try:
        begun.run(series=8, day_s=16.0)
        took = {name: begun.latencies_s(name) for name in ("tps", "tps2")}
        left_over_mb = begun.left_over_mb()
        looks = begun.looks
    finally:
        status = day.end(begun)

    assert status == 0
    assert {name: len(found) for name, found in took.items()} == {"tps": 8, "tps2": 8}
    assert left_over_mb <= day.MOST_LEFT_OVER_MB
    assert {"supervisor", "scp-0", "scp-1", "worker-0", "web-0"} <= looks[-1].processes.keys()
