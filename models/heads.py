"""Heads to measure a model on: a folder, a file or an archive of DICOM, or a pair's folder."""

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from node.dicom.folder import read_folder
from node.domain.volume import Unit, Volume
from node.infer.files import is_image_file, read_image

PAIR_MR = "mr_t1like.nii.gz"


def read_head(path: Path) -> Volume:
    """The one MR of ``path``."""
    if path.is_file() and is_image_file(path):
        return read_image(path, Unit.SIGNAL)
    if (path / PAIR_MR).is_file():
        return read_image(path / PAIR_MR, Unit.SIGNAL)
    if path.is_dir():
        return read_folder(path, "MR")
    with tempfile.TemporaryDirectory() as folder:
        # Python 3.11.2 of Debian 12 has no filter yet, and later ones warn without.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with tarfile.open(path) as packed:
            packed.extractall(folder, **safely)  # noqa: S202 - the reader's own archives
        return read_folder(Path(folder), "MR")


def name_of(path: Path) -> str:
    """A short name for a table: no folders, no suffixes."""
    return path.name.split(".")[0]
