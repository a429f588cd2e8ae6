"""The limit of a peer, over several processes."""

import subprocess
import sys
from pathlib import Path

from node.scp.association_slots import Places

HOLD = """
import sys
from pathlib import Path
from node.scp.association_slots import Places
held = Places(Path(sys.argv[1])).take("pacs", 2)
print("held" if held else "full", flush=True)
sys.stdin.read()
"""


def test_places_are_taken_and_freed(tmp_path: Path) -> None:
    """As many as the limit says, for each peer by itself; freeing twice is freeing once."""
    places = Places(tmp_path)
    first, second = places.take("pacs", 2), places.take("pacs", 2)

    assert first is not None
    assert second is not None
    assert places.take("pacs", 2) is None
    assert places.take("tps", 1) is not None
    first.free()
    first.free()
    assert places.take("pacs", 2) is not None


def test_another_process_counts_and_its_death_frees(tmp_path: Path) -> None:
    """Acceptors share the limit; the kernel frees what a killed one held."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline().strip() == "held"
    places = Places(tmp_path)
    mine = places.take("pacs", 2)

    assert mine is not None
    assert places.take("pacs", 2) is None
    other.kill()
    other.communicate()
    assert places.take("pacs", 2) is not None
