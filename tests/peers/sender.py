"""A sender that stops where a test wants it to: pynetdicom as SCU."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE


def open_association(port: int, *, calling: str = "PACS", called: str = "PCTNODE") -> Any:
    """An association that may send MR images; its end is the test's."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(MRImageStorage, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    association = entity.associate("127.0.0.1", port, ae_title=called)
    assert association.is_established
    return association


def read_all(files: Iterable[Path]) -> list[Dataset]:
    """The data sets of ``files``."""
    return [pydicom.dcmread(path) for path in files]


def send(association: Any, images: Sequence[Dataset]) -> list[int | None]:
    """Send ``images``; the status of each, None where no answer came."""
    return [_send(association, image) for image in images]


def _send(association: Any, image: Dataset) -> int | None:
    if not association.is_established:
        return None
    status: int | None = association.send_c_store(image).get("Status")
    return status
