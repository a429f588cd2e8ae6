"""A storage server, by pynetdicom, that answers as the test says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, KeyObjectSelectionDocumentStorage

from tests.peers.waiting import free_port


@dataclass(slots=True)
class Picky:
    """What it was sent, and what it answers."""

    port: int
    answer: Callable[[int], int]
    """From the number of the request, from 1, to the status of the response."""
    pause_s: float = 0.0
    """Before each response."""
    ae_title: str = "PICKY"
    asked: list[str] = field(default_factory=list)
    """SOP Instance UID of each request."""
    kept: dict[str, bytes] = field(default_factory=dict)
    """Data set of each instance that was not refused, by SOP Instance UID."""

    def store(self, event: evt.Event) -> int:
        """Answer one C-STORE."""
        uid = str(event.request.AffectedSOPInstanceUID)
        self.asked.append(uid)
        threading.Event().wait(self.pause_s)
        status = self.answer(len(self.asked))
        if status == 0 or status & 0xF000 == 0xB000:
            self.kept[uid] = event.encoded_dataset(include_meta=False)
        return status

    @contextmanager
    def serving(self) -> Iterator["Picky"]:
        """Listen while the block runs."""
        ae = AE(ae_title=self.ae_title)
        for sop_class in (CTImageStorage, KeyObjectSelectionDocumentStorage):
            ae.add_supported_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        address = ("127.0.0.1", self.port)
        handlers = [(evt.EVT_C_STORE, self.store)]
        server = ae.start_server(address, block=False, evt_handlers=handlers)
        try:
            yield self
        finally:
            server.shutdown()


def picky(
    answer: Callable[[int], int] = lambda _number: 0, *, pause_s: float = 0.0, ae_title: str
) -> Picky:
    """A server on a free port, not started yet."""
    return Picky(port=free_port(), answer=answer, pause_s=pause_s, ae_title=ae_title)
