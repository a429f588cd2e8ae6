"""The receive loop on a real node: odd but legal bytes, wrong ones, and other services between."""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import MRImageStorage

from node.scp.store_receiver import MEMORY_BYTES
from tests.bench.client import send_series
from tests.interop.receiving import Node, running_node
from tests.peers import raw
from tests.peers.dcmtk import run_storescu
from tests.peers.waiting import wait_until
from tests.phantoms.sent_series import Kind, new_series
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = pytest.mark.interop
MR = str(MRImageStorage)
COMMAND, LAST = raw.COMMAND, raw.LAST


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP that knows PACS."""
    yield from running_node(tmp_path / "var")


def encoded(image: Dataset) -> bytes:
    """``image`` in Explicit VR Little Endian, without File Meta Information."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, image)
    return buffer.getvalue()


def command_for(image: Dataset) -> bytes:
    """The request to store ``image``."""
    return raw.store_command(MR, image.SOPInstanceUID)


def stored(node: Node) -> list[bytes]:
    """Data sets in the archive, once a release says that all of them have their files."""
    with raw.associated(node.port, [raw.VERIFICATION]) as (peer, _):
        peer.sendall(raw.RELEASE)
        raw.receive_pdu(peer)
    return sorted(map(data_set_of, node.files()))


def cuts(command: bytes, data: bytes) -> dict[str, bytes]:
    """One request, cut in every way PS3.8 allows."""
    half, third = len(command) // 2, len(data) // 3
    return {
        "all in one PDU": raw.pdu(raw.value(command, COMMAND | LAST), raw.value(data, LAST)),
        "command in two PDUs": raw.pdu(raw.value(command[:half], COMMAND))
        + raw.pdu(raw.value(command[half:], COMMAND | LAST), raw.value(data[:9], 0))
        + raw.pdu(raw.value(data[9:], LAST)),
        "many values in a PDU": raw.pdu(raw.value(command, COMMAND | LAST))
        + raw.pdu(raw.value(data[:third], 0), raw.value(b"", 0), raw.value(data[third:], LAST)),
        "an empty last value": raw.pdu(raw.value(command, COMMAND | LAST))
        + raw.pdu(raw.value(data, 0))
        + raw.pdu(raw.value(b"", LAST)),
    }


def test_every_legal_way_to_cut_a_request(node: Node) -> None:
    """However command and data set are cut into PDUs, the bytes are stored as they were."""
    images = [mr_image(number) for number in range(1, 5)]
    with raw.associated(node.port, [MR]) as (peer, _):
        for n, image in enumerate(images):
            request = list(cuts(command_for(image), encoded(image)).values())[n]
            peer.sendall(request)
            assert raw.receive_status(peer) == 0

    assert stored(node) == sorted(map(encoded, images))


def test_byte_by_byte(node: Node) -> None:
    """A request that dribbles in is a request."""
    image = mr_image(side=2)
    with raw.associated(node.port, [MR]) as (peer, limit):
        for byte in raw.message(command_for(image), encoded(image), limit):
            peer.sendall(bytes([byte]))
        assert raw.receive_status(peer) == 0

    assert stored(node) == [encoded(image)]


def test_requests_that_do_not_wait_for_answers(node: Node) -> None:
    """Several requests in one write, with an echo among them, are answered one by one."""
    images = [mr_image(number) for number in (1, 2)]
    with raw.associated(node.port, [MR, raw.VERIFICATION]) as (peer, limit):
        one, two = (raw.message(command_for(i), encoded(i), limit) for i in images)
        peer.sendall(one + raw.pdu(raw.value(raw.echo_command(), COMMAND | LAST, 3)) + two)
        assert [raw.receive_status(peer) for _ in range(3)] == [0, 0, 0]

    assert stored(node) == sorted(map(encoded, images))


def test_an_echo_in_the_same_pdu_as_the_end_of_a_data_set(node: Node) -> None:
    """What is left of a PDU is served by pynetdicom as if it had come alone."""
    image = mr_image()
    with raw.associated(node.port, [MR, raw.VERIFICATION]) as (peer, _):
        peer.sendall(
            raw.pdu(
                raw.value(command_for(image), COMMAND | LAST),
                raw.value(encoded(image), LAST),
                raw.value(raw.echo_command(), COMMAND | LAST, 3),
            )
        )
        assert [raw.receive_status(peer) for _ in range(2)] == [0, 0]
        peer.sendall(raw.RELEASE)
        assert raw.receive_pdu(peer)[0] == raw.RELEASE_RP

    assert node.associations(1)[0][:3] == (1, "Released. 1 stored.", 1)


def test_echoes_and_stores_by_turns(node: Node) -> None:
    """The association goes to and fro between loop and pynetdicom as often as the peer likes."""
    with raw.associated(node.port, [MR, raw.VERIFICATION]) as (peer, limit):
        for number in range(1, 11):
            image = mr_image(number)
            peer.sendall(raw.message(command_for(image), encoded(image), limit))
            assert raw.receive_status(peer) == 0
            peer.sendall(raw.pdu(raw.value(raw.echo_command(number), COMMAND | LAST, 3)))
            assert raw.receive_status(peer) == 0

    assert len(node.files()) == 10


WRONG = {
    "data without a command": raw.pdu(raw.value(b"1234", LAST)),
    "a command inside a data set": raw.pdu(
        raw.value(raw.store_command(MR, "1.2.3.4.1"), COMMAND | LAST),
        raw.value(b"12345678", 0),
        raw.value(raw.echo_command(), COMMAND | LAST),
    ),
    "another context inside a data set": raw.pdu(
        raw.value(raw.store_command(MR, "1.2.3.4.1"), COMMAND | LAST), raw.value(b"1234", 0, 3)
    ),
    "a value longer than its PDU": struct.pack(">BBI", 4, 0, 20) + struct.pack(">IBB", 99, 1, 3),
    "a value of no length": struct.pack(">BBI", 4, 0, 6) + struct.pack(">IBB", 0, 1, 3),
    "a command without end": raw.pdu(raw.value(bytes(20_000), COMMAND)),
    "a context that was not accepted": raw.pdu(
        raw.value(raw.store_command(MR, "1.2.3.4.1"), COMMAND | LAST, 9),
        raw.value(b"1234", LAST, 9),
    ),
    "an unknown kind of PDU": struct.pack(">BBI", 9, 0, 4) + bytes(4),
    "a PDU of gigabytes": struct.pack(">BBI", 4, 0, 0xFFFFFFF0) + bytes(4),
}


@pytest.mark.parametrize("bytes_", WRONG.values(), ids=WRONG)
def test_a_broken_protocol_ends_the_association_alone(lasting: Node, bytes_: bytes) -> None:
    """The association ends, nothing is left of it, and the next one is served."""
    before, files = lasting.threads(), lasting.files()
    with raw.associated(lasting.port, [MR]) as (peer, _):
        peer.sendall(bytes_)
        answer = peer.recv(4096)

    assert answer[:1] in (b"", bytes([raw.ABORT]))

    with raw.associated(lasting.port, [raw.VERIFICATION]) as (peer, _):
        peer.sendall(raw.pdu(raw.value(raw.echo_command(), COMMAND | LAST)))
        assert raw.receive_status(peer) == 0
    assert lasting.files() == files
    wait_until(lambda: lasting.threads() <= before, "the threads to end")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that outlives what it is sent."""
    yield from running_node(tmp_path_factory.mktemp("lasting") / "var")


def test_a_long_data_set_goes_to_the_disk_while_it_arrives(node: Node) -> None:
    """Beyond what is kept in memory the bytes are the same, and a second time changes nothing."""
    image = mr_image(side=1100)
    assert len(encoded(image)) > MEMORY_BYTES
    with raw.associated(node.port, [MR]) as (peer, limit):
        request = raw.message(command_for(image), encoded(image), limit)
        for _ in range(2):
            peer.sendall(request)
            assert raw.receive_status(peer) == 0
        peer.sendall(raw.RELEASE)

    assert node.associations(1)[0][2:4] == (1, 1)
    columns = "received, study_instance_uid, patient_id, classes, new, whole"
    ((*told, classes, new, whole),) = node.rows(f"select {columns} from transfers")  # noqa: S608
    assert (told, json.loads(classes)) == ([1, "1.2.3", "P1"], {str(image.SOPClassUID): 2})
    assert (new, whole) == (1, 1)
    assert stored(node) == [encoded(image)]
    assert node.files("tmp") == []
    ((digest,),) = node.rows("select sha256 from instances")
    assert digest[:16] in node.files()[0].name


@pytest.mark.parametrize(
    ("uid", "status"), [("1.2.3.4.99", 0xA900), ("../../evil", 0x0117)], ids=["other", "no-uid"]
)
def test_a_long_data_set_that_is_refused_leaves_nothing(node: Node, uid: str, status: int) -> None:
    """A command that does not fit its data set is answered, and the association goes on."""
    long, short = mr_image(1, side=1100), mr_image(2)
    with raw.associated(node.port, [MR]) as (peer, limit):
        peer.sendall(raw.message(raw.store_command(MR, uid), encoded(long), limit))
        assert raw.receive_status(peer) == status
        peer.sendall(raw.message(command_for(short), encoded(short), limit))
        assert raw.receive_status(peer) == 0

    assert stored(node) == [encoded(short)]
    assert node.files("tmp") == node.files("conflicts") == []


def test_an_abort_inside_a_long_data_set_leaves_nothing(node: Node) -> None:
    """The file that was growing is gone."""
    image = mr_image(side=1100)
    with raw.associated(node.port, [MR]) as (peer, limit):
        request = raw.message(command_for(image), encoded(image), limit)
        peer.sendall(request[: MEMORY_BYTES + 200_000])
        wait_until(lambda: node.files("tmp"), "the file to grow")

    wait_until(lambda: not node.files("tmp"), "the file to go")
    assert node.associations(1)[0][1] == "The connection broke."
    assert node.files() == []


def test_a_sender_with_nagle_is_not_kept_waiting(node: Node, tmp_path: Path) -> None:
    """Stock storescu, delayed ACKs and all: far below the 40 ms an instance that a stall costs."""
    for number in range(1, 61):
        write_image(tmp_path / "mr" / f"{number}.dcm", mr_image(number))
    for _ in range(4):
        done = run_storescu(node.port, [tmp_path / "mr"], environment=dict(os.environ))
        assert done.returncode == 0, done.stderr
    node.associations(4)

    # Duplicates are not written again, so that the disk has no part in the later ones.
    took_s = min(s for (s,) in node.rows("select closed_at - opened_at from associations"))
    assert took_s < 60 * 0.040 / 2


def test_many_senders_at_once_share_the_syncs(node: Node) -> None:
    """Associations side by side: every instance is there, once, and so is its row."""
    kind = Kind(name="tiny", sop_class_uid=MR, instances=25, side=16)
    sent = [new_series(kind) for _ in range(6)]

    result = send_series(node.port, sent, called="PCTNODE")

    assert result.failures == 0
    assert stored(node) == sorted(i.data_set for s in sent for i in s)
    assert node.rows("select instances from series") == [(25,)] * 6
    assert node.files("tmp") == []


def test_pynetdicom_alone_does_the_same(tmp_path: Path) -> None:
    """The fallback stores and echoes without the loop."""
    for node in running_node(tmp_path / "var", "--stock"):
        image = mr_image()
        with raw.associated(node.port, [MR, raw.VERIFICATION]) as (peer, limit):
            peer.sendall(raw.message(command_for(image), encoded(image), limit))
            assert raw.receive_status(peer) == 0
            peer.sendall(raw.pdu(raw.value(raw.echo_command(), COMMAND | LAST, 3)))
            assert raw.receive_status(peer) == 0
            peer.sendall(raw.RELEASE)
        assert stored(node) == [encoded(image)]
        assert node.associations(1)[0][:2] == (1, "Released. 1 stored.")
