"""One instance on a connection: long objects to slow peers."""

import socket
import struct
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.scu.wire import Request, Wire
from tests.interop.receiving import mr_image, write_image

# C-STORE-RSP, success, to message 1 (PS3.7 9.3.1.2).
_COMMAND = b"".join(
    struct.pack("<HHIH", 0, tag, 2, value)
    for tag, value in ((0x0100, 0x8001), (0x0120, 1), (0x0800, 0x0101), (0x0900, 0))
)
_ANSWER = struct.pack(">BBIIBB", 4, 0, len(_COMMAND) + 6, len(_COMMAND) + 2, 1, 3) + _COMMAND


def test_a_slow_peer_has_the_time_out_for_each_piece(tmp_path: Path) -> None:
    """It takes longer over the whole than its time-out, and never stops."""
    path = write_image(tmp_path / "large.dcm", mr_image(1, side=2048))
    context = SimpleNamespace(
        abstract_syntax=MRImageStorage,
        transfer_syntax=[ExplicitVRLittleEndian],
        context_id=1,
        as_scu=True,
    )
    association = SimpleNamespace(
        accepted_contexts=[context], dimse=SimpleNamespace(maximum_pdu_size=1 << 17)
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1.5)
        taken: list[int] = []
        peer = threading.Thread(target=take_slowly, args=(theirs, path.stat().st_size, taken))
        peer.start()
        began = time.monotonic()

        answer = Wire(association, ours).store(
            Request(
                sop_class_uid=MRImageStorage,
                sop_instance_uid="1.2.3.4.1",
                transfer_syntax_uid=ExplicitVRLittleEndian,
                path=path,
                message_id=1,
            )
        )
        took = time.monotonic() - began
        peer.join(60)

    assert answer.status == 0
    assert took > 1.5
    assert sum(taken) > path.stat().st_size - 1000


def take_slowly(connection: socket.socket, size: int, taken: list[int]) -> None:
    """Some kilobytes at a time, then the answer."""
    pause = threading.Event()
    while sum(taken) < size - 1000:
        taken.append(len(connection.recv(1 << 17)))
        pause.wait(0.03)
    connection.settimeout(0.5)
    try:
        while got := len(connection.recv(1 << 17)):
            taken.append(got)
    except TimeoutError:
        connection.sendall(_ANSWER)
