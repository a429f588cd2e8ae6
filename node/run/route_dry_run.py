"""Tries routes on files that somebody uploaded, in a process of its own.

A file made to fill memory or time ends that process and nothing else.
"""

import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from node.config.settings import Settings
from node.domain.errors import Rejected

_MOST_S = 120
_MOST_BYTES = 4 * 2**30


def try_routes(
    settings: Settings, folder: Path, *, most_bytes: int = _MOST_BYTES
) -> list[dict[str, Any]]:
    """Which route each series of ``folder`` would take, and why not the others."""
    command = [sys.executable, "-m", "node", "routes", "try", str(folder), "--json"]
    if settings.file is not None:
        command += ["--config", str(settings.file)]
    try:
        done = subprocess.run(  # noqa: S603 - this very program
            command,
            capture_output=True,
            text=True,
            timeout=_MOST_S,
            check=False,
            stdin=subprocess.DEVNULL,
            preexec_fn=partial(_limit, most_bytes),
        )
    except subprocess.TimeoutExpired:
        raise _too_heavy(f"it was not read within {_MOST_S} s") from None
    if done.returncode not in (0, 3):
        last = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise _too_heavy(last[0].removeprefix("pctnode: "))
    rows: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return rows


def _limit(most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_S, _MOST_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _too_heavy(why: str) -> Rejected:
    return Rejected(
        f"The uploaded files could not be tried: {why.rstrip('.')}.",
        code="UPLOAD",
        remedy="Try one series at a time, as the scanner or PACS exports it.",
    )
