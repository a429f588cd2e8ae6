"""Named places where a test may kill the process, to prove that nothing is lost there.

In service this costs one comparison: without ``PCTNODE_CRASH_AT`` nothing happens.
``PCTNODE_CRASH_AT=name`` kills the process with SIGKILL the first time it gets there;
``PCTNODE_CRASH_MARK`` names the file that says it has happened, so that the restarted process
passes; ``PCTNODE_CRASH_SIGNAL=SIGSTOP`` stops it there instead, until it is woken. Put
``reach("receive.renamed")`` between two effects whose order matters.
"""

import os
import signal
from pathlib import Path

ENVIRONMENT = "PCTNODE_CRASH_AT"
MARK = "PCTNODE_CRASH_MARK"
SIGNAL = "PCTNODE_CRASH_SIGNAL"
# Once: the environment of a process does not change, and these places are passed often.
_ASKED = os.environ.get(ENVIRONMENT)


def reach(name: str) -> None:
    """Die here when a test asked for it; ``name`` is ``<step>.<what has just been done>``."""
    if name == _ASKED and _first_time():
        os.kill(os.getpid(), signal.Signals[os.environ.get(SIGNAL, "SIGKILL")])


def _first_time() -> bool:
    mark = os.environ.get(MARK)
    if mark is None:
        return False
    try:
        with Path(mark).open("x") as file:
            file.write(str(os.getpid()))
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True
