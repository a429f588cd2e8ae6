"""What must hold before the node can take a series."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"


def readiness(
    *, port: int, models: Path, data: Path, watermark_bytes: int
) -> Callable[[], Mapping[str, str | None]]:
    """Make the checks `create_app` asks: each gives its reason, or None where it passes."""

    def checks() -> dict[str, str | None]:
        return {
            "dicom": None if _listening(port) else f"Nothing listens on DICOM port {port}.",
            "models": None
            if os.access(models, os.R_OK | os.X_OK)
            else f"The models folder {models} cannot be read.",
            "disk": _disk(data, watermark_bytes),
        }

    return checks


def readiness_alone(
    *, data: Path, watermark_bytes: int, alive: Callable[[], int]
) -> Callable[[], Mapping[str, str | None]]:
    """The checks of a host that serves pages alone; ``alive`` counts the workers of the others.

    Its front-ends have ports and its workers have models of their own, on other machines.
    """

    def checks() -> dict[str, str | None]:
        return {
            "workers": None if alive() else "No worker has given a sign of life lately.",
            "disk": _disk(data, watermark_bytes),
        }

    return checks


def _disk(data: Path, watermark_bytes: int) -> str | None:
    free = shutil.disk_usage(data).free
    if free >= watermark_bytes:
        return None
    return f"{free} bytes are free; at least {watermark_bytes} must be."


def _listening(port: int) -> bool:
    # The kernel's table, not a connection: that would leave an association behind at each check.
    for table in _TABLES:
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False
