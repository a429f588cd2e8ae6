"""One instance on a connection: long objects to slow peers."""

import os
import socket
import struct
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.net.c_store_sender import Ended, Request, Wire
from tests.phantoms.small_mr import mr_image, write_image

# C-STORE-RSP, success, to message 1 (PS3.7 9.3.1.2).
_COMMAND = b"".join(
    struct.pack("<HHIH", 0, tag, 2, value)
    for tag, value in ((0x0100, 0x8001), (0x0120, 1), (0x0800, 0x0101), (0x0900, 0))
)
_ANSWER = struct.pack(">BBIIBB", 4, 0, len(_COMMAND) + 6, len(_COMMAND) + 2, 1, 3) + _COMMAND


def association_of(image: str = MRImageStorage) -> SimpleNamespace:
    """What `Wire` asks an association for."""
    context = SimpleNamespace(
        abstract_syntax=image,
        transfer_syntax=[ExplicitVRLittleEndian],
        context_id=1,
        as_scu=True,
    )
    return SimpleNamespace(
        accepted_contexts=[context], dimse=SimpleNamespace(maximum_pdu_size=1 << 17)
    )


def request_for(path: Path) -> Request:
    """The first message."""
    return Request(
        sop_class_uid=MRImageStorage,
        sop_instance_uid="1.2.3.4.1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        path=path,
        message_id=1,
    )


def open_files() -> set[str]:
    """What this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one of the listing itself
            found.add(str(link.readlink()))
    return found


@pytest.mark.long
def test_a_slow_peer_has_the_time_out_for_each_piece(tmp_path: Path) -> None:
    """It takes longer over the whole than its time-out, and never stops."""
    path = write_image(tmp_path / "large.dcm", mr_image(1, side=2048))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1.5)
        taken: list[int] = []
        peer = threading.Thread(target=take_slowly, args=(theirs, path.stat().st_size, taken))
        peer.start()
        began = time.monotonic()

        answer = Wire(association_of(), ours).store(request_for(path))
        took = time.monotonic() - began
        peer.join(60)

    assert answer.status == 0
    assert took > 1.5
    assert sum(taken) > path.stat().st_size - 1000


def test_the_next_file_is_opened_in_advance_and_closed(tmp_path: Path) -> None:
    """While the answer is awaited the next one is open; nothing stays open in the end."""
    first, second = (write_image(tmp_path / f"{n}.dcm", mr_image(n)) for n in (1, 2))
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        closing(Wire(association_of(), ours, coming=[(first, None), (second, None)])) as wire,
    ):
        theirs.sendall(_ANSWER)
        assert wire.store(request_for(first)).status == 0
        assert str(second) in open_files()
        assert str(first) not in open_files()

    assert str(second) not in open_files()


def test_a_file_that_is_cut_off_ends_the_connection(tmp_path: Path) -> None:
    """After half a message nothing more may be said: the peer would take it for pixels."""
    path = write_image(tmp_path / "large.dcm", mr_image(1, side=2048))
    ours, theirs = socket.socketpair()
    with ours, theirs, closing(Wire(association_of(), ours)) as wire:
        ours.settimeout(10)
        cut = threading.Thread(target=_cut, args=(theirs, path))
        cut.start()
        with pytest.raises(Ended, match="cut off"):
            wire.store(request_for(path))
        cut.join(10)
        with pytest.raises(OSError, match="Broken pipe"):
            ours.sendall(b"more")


def _cut(connection: socket.socket, path: Path) -> None:
    connection.recv(1)  # sending has begun, and waits for room
    os.truncate(path, 1 << 20)
    while connection.recv(1 << 17):
        pass


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
