"""Real series as they lie beside the checkout, packed."""

import tarfile
from pathlib import Path
from typing import Any


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack a tar archive into ``folder``; every file in it, in order."""
    # Python 3.11.2 of Debian 12 has no filter yet, and later ones warn without.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as packed:
        packed.extractall(folder, **safely)  # noqa: S202 - our own archives
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
