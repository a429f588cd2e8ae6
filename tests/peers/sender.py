"""A sender that stops where a test wants it to."""

import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import MRImageStorage

from tests.field.heads import encoded
from tests.peers import raw

_ABORT = struct.pack(">BBI4x", raw.ABORT, 0, 4)  # PS3.8 9.3.8
_MR = str(MRImageStorage)


class Sender:
    """One association that may send MR images; its end is the test's."""

    def __init__(self, port: int, *, calling: str = "PACS", called: str = "PCTNODE") -> None:
        self._open = ExitStack()
        begun = raw.associated(port, [_MR], called=called, calling=calling)
        self._peer, self._limit = self._open.enter_context(begun)

    def send(self, images: Sequence[FileDataset]) -> list[int | None]:
        """Send ``images``; the status of each, None once no answer comes."""
        return [self._status(number, image) for number, image in enumerate(images, start=1)]

    def release(self) -> bool:
        """End in order; whether it was answered."""
        with self._open:
            try:
                self._peer.sendall(raw.RELEASE)
                raw.receive_pdu(self._peer)
            except OSError:
                return False
        return True

    def abort(self) -> None:
        """Break off with an A-ABORT."""
        with self._open:
            self._peer.sendall(_ABORT)

    def drop(self) -> None:
        """Let the connection go without a word."""
        self._open.close()

    def _status(self, number: int, image: FileDataset) -> int | None:
        command = raw.store_command(_MR, image.SOPInstanceUID, number)
        try:
            self._peer.sendall(raw.message(command, encoded(image, implicit=False), self._limit))
            return raw.receive_status(self._peer)
        except OSError:
            return None


def read_all(files: Iterable[Path]) -> list[FileDataset]:
    """The data sets of ``files``."""
    return [pydicom.dcmread(path) for path in files]
