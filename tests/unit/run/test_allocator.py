"""What an acceptor frees after one image is there for the next."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys, threading
from node.run.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def images():
    for _ in range(400):
        data, copy = bytes(300_000), bytearray(300_000)
        del data, copy
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=images)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.long
def test_no_page_is_mapped_anew_for_each_image() -> None:
    """Two blocks of 300 kB an image: 146 pages, mapped once, or for each of 400 images."""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", _FAULTS, how], check=True, timeout=60,
                                capture_output=True, text=True).stdout)
        for how in ("keep", "give back")
    }  # fmt: skip

    assert faults["keep"] < 2_000
    assert faults["keep"] < faults["give back"]
