"""dicom3tools' validator of information objects."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.tools import need_tool

# Debian 12's dciodvfy is older than SyntheticData (0008,001C) and takes it for an unknown element.
KNOWN_ERRORS = ("0008,001c",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What dciodvfy says of one file."""

    errors: tuple[str, ...]
    """Errors but those in `KNOWN_ERRORS`."""
    warnings: tuple[str, ...]
    iod: str
    """Name of the information object definition it recognised; empty when none."""


def run_dciodvfy(path: Path) -> Verdict:
    """Validate one file against its information object definition."""
    done = subprocess.run(
        [need_tool("dciodvfy"), "-new", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("Error")]
    kinds = [line for line in lines if not line.startswith(("Error", "Warning"))]
    return Verdict(
        errors=tuple(line for line in errors if not _is_known(line)),
        warnings=tuple(line for line in lines if line.startswith("Warning")),
        iod=kinds[-1] if kinds else "",
    )


def _is_known(error: str) -> bool:
    return any(mark in error.lower() for mark in KNOWN_ERRORS)
