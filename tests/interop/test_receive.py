"""The SCP as real clients and broken ones meet it."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import RTDoseStorage

from tests.interop.receiving import Node, running_node, start_node
from tests.peers.dcmtk import run_echoscu, run_storescu
from tests.peers.tools import need_tool
from tests.peers.waiting import wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.realdata import unpack

pytestmark = pytest.mark.interop

COMPRESSED = {
    "philips-mprage-24slices-deflated": "-xd",
    "philips-mprage-24slices-jpeg-ls-lossless": "-xt",
    "philips-mprage-24slices-jpeg2000-lossless": "-xv",
    "philips-mprage-24slices-rle": "-xr",
    "philips-mprage-jpeg-lossless-sv1-full-series": "-xs",
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP that knows PACS."""
    yield from running_node(tmp_path / "var")


@pytest.fixture(scope="module")
def lasting_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP for tests that look at nothing it stores."""
    yield from running_node(tmp_path_factory.mktemp("lasting") / "var")


def series(folder: Path, count: int = 5) -> Path:
    """A folder with a small MR series."""
    for number in range(1, count + 1):
        write_image(folder / f"{number}.dcm", mr_image(number))
    return folder


def test_echo_is_answered(node: Node) -> None:
    """Verification of a known peer succeeds and is recorded."""
    done = run_echoscu(node.port)

    assert done.returncode == 0, done.stderr
    assert node.associations(1) == [(1, "Released.", 0, 0, 0, 0)]


def test_a_series_is_stored_and_again_changes_nothing(node: Node, tmp_path: Path) -> None:
    """Storescu sends a series twice; it is stored once, byte for byte, and both succeed."""
    sent = series(tmp_path / "mr")

    runs = [run_storescu(node.port, [sent]) for _ in range(2)]

    assert [r.returncode for r in runs] == [0, 0], runs
    assert sorted(map(data_set_of, node.files())) == sorted(map(data_set_of, sent.iterdir()))
    assert node.associations(2) == [
        (1, "Released. 5 stored.", 5, 0, 0, 0),
        (1, "Released. 5 duplicate.", 0, 5, 0, 0),
    ]
    assert node.rows("select instances, peer, calling_ae from series") == [(5, "pacs", "PACS")]


@pytest.mark.realdata
@pytest.mark.parametrize("name", COMPRESSED)
def test_every_syntax_is_stored_as_it_came(
    node: Node, real_data: Path, tmp_path: Path, name: str
) -> None:
    """Real compressed series lie in the archive with the bytes and syntax they were sent in."""
    sent = unpack(real_data / "mr-compressed" / f"{name}.tar.xz", tmp_path / "mr")

    done = run_storescu(node.port, [tmp_path / "mr"], options=[COMPRESSED[name]])

    assert done.returncode == 0, done.stderr[-2000:]
    assert len(node.files()) == len(sent)
    by_uid = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID: p for p in sent}
    for path in node.files():
        stored = pydicom.dcmread(path, stop_before_pixels=True)
        original = pydicom.dcmread(by_uid[stored.SOPInstanceUID], stop_before_pixels=True)
        assert stored.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        if not original.file_meta.TransferSyntaxUID.is_deflated:  # storescu deflates anew
            assert _from_pixels(path) == _from_pixels(by_uid[stored.SOPInstanceUID])


def _from_pixels(path: Path) -> bytes:
    # storescu writes sequences of undefined length anew; pixel data it passes as it is.
    return bytes(pydicom.dcmread(path).PixelData)


def test_an_unknown_peer_is_refused_with_the_reason(node: Node, tmp_path: Path) -> None:
    """Storescu is told that its AE title is unknown, and the record says what to do."""
    done = run_storescu(node.port, [series(tmp_path / "mr")], calling="NOBODY")

    assert done.returncode != 0
    assert "Rejected Permanent, Source: Service User" in done.stderr
    assert "Calling AE Title Not Recognized" in done.stderr
    ((accepted, sentence, *counts),) = node.associations(1)
    assert not accepted
    assert "'NOBODY' at 127.0.0.1 is no peer" in sentence
    assert "Add a peer with AE title NOBODY and host 127.0.0.1" in sentence
    assert counts == [0, 0, 0, 0]
    assert node.files() == []


def test_a_wrong_called_title_is_refused_with_the_reason(node: Node) -> None:
    """Echoscu is told that it called an AE title that is not ours."""
    done = run_echoscu(node.port, called="ELSEWHERE")

    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stderr
    assert "'ELSEWHERE'" in node.associations(1)[0][1]


def test_a_class_nobody_serves_has_no_context(node: Node, tmp_path: Path) -> None:
    """A dose is refused at the negotiation, where the sender can see why."""
    image = mr_image()
    image.SOPClassUID = RTDoseStorage
    write_image(tmp_path / "dose" / "1.dcm", image)

    done = run_storescu(node.port, [tmp_path / "dose"])

    assert done.returncode != 0
    assert "No valid Presentation Context ID" in done.stderr
    assert node.files() == []


def test_other_bytes_get_a_warning_and_lie_aside(node: Node, tmp_path: Path) -> None:
    """The second object of one UID is answered with a warning; the first stays."""
    first = write_image(tmp_path / "a" / "1.dcm", mr_image(fill=1))
    second = write_image(tmp_path / "b" / "1.dcm", mr_image(fill=2))
    run_storescu(node.port, [tmp_path / "a"])

    done = run_storescu(node.port, [tmp_path / "b"], options=["-d"])

    assert "0xb000" in done.stderr.lower() or "Coercion" in done.stderr
    assert list(map(data_set_of, node.files())) == [data_set_of(first)]
    assert list(map(data_set_of, node.files("conflicts"))) == [data_set_of(second)]


def test_below_the_watermark_the_sender_hears_out_of_resources(tmp_path: Path) -> None:
    """With too little disk nothing is stored and storescu is told to come again."""
    node = start_node(tmp_path / "var", "--min-free-bytes", str(1 << 60))
    try:
        done = run_storescu(node.port, [series(tmp_path / "mr", 1)])

        assert "OutOfResources" in done.stderr, done.stderr
        assert node.files() == node.files("tmp") == []
        assert "GB free" in node.associations(1)[0][1]
    finally:
        node.stop()


def test_an_abort_in_mid_transfer_leaves_nothing_half_written(node: Node, tmp_path: Path) -> None:
    """A sender that disappears inside an instance leaves no file; the node serves the next one."""
    with _associated(node) as peer:
        peer.sendall(_half_an_instance())
        # PS3.8 9.3.8: A-ABORT by the service user
        peer.sendall(struct.pack(">BBI4B", 7, 0, 4, 0, 0, 0, 0))
    with _associated(node) as peer:
        peer.sendall(_half_an_instance())  # and one that just goes

    done = run_storescu(node.port, [series(tmp_path / "mr")])

    assert done.returncode == 0, done.stderr
    sentences = [sentence for _, sentence, *_ in node.associations(3)]
    assert sorted(sentences) == [
        "Aborted by the peer.",
        "Released. 5 stored.",
        "The connection broke.",
    ]
    assert len(node.files()) == 5
    assert node.files("tmp") == []


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + bytes(200),
        b"\x01\x00\x00\x00\x00\x44" + b"\xff" * 68,
        b"\x04\x00\x00\x00\x00\x08" + bytes(8),
        bytes(3),
        b"",
    ],
    ids=["http", "huge", "garbage", "early-data", "three-zeros", "nothing"],
)
def test_what_is_not_dicom_does_no_harm(lasting_node: Node, noise: bytes) -> None:
    """Bytes that are no DICOM end the connection; the next echo is answered."""
    with socket.create_connection(("127.0.0.1", lasting_node.port), timeout=10) as peer:
        peer.sendall(noise)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass

    assert run_echoscu(lasting_node.port).returncode == 0


def test_a_pdu_that_stops_half_way_times_out(tmp_path: Path) -> None:
    """A sender that stops inside a PDU does not hold its association for ever."""
    node = start_node(tmp_path / "var", "--limits", '{"network_timeout_s": 1.0}')
    before = node.threads()
    try:
        with _associated(node) as peer:
            peer.sendall(_half_an_instance() + b"\x04\x00\x00\x00\x10")

            # The peer's silence is seen between PDUs or within one, whichever comes first.
            ended = node.associations(1)[0][1]
            wait_until(lambda: node.threads() <= before, "the threads to end")

        assert ended in {
            "The connection broke.",
            "Aborted by the node: the peer was silent too long.",
        }
    finally:
        node.stop()


def test_a_silent_association_is_aborted(tmp_path: Path) -> None:
    """An association without a word is ended by us, and the record says so."""
    node = start_node(tmp_path / "var", "--limits", '{"network_timeout_s": 1.0}')
    try:
        with _associated(node):
            assert "silent too long" in node.associations(1)[0][1]
    finally:
        node.stop()


def test_a_hundred_quick_connections(node: Node) -> None:
    """A burst of connections is taken at once and leaves no thread behind."""
    before = node.threads()

    peers = [socket.create_connection(("127.0.0.1", node.port), timeout=10) for _ in range(100)]
    for peer in peers:
        peer.close()

    assert run_echoscu(node.port).returncode == 0
    wait_until(lambda: node.threads() <= before + 2, "the threads to end")


def test_too_many_associations_are_refused_for_now(tmp_path: Path) -> None:
    """Beyond the limit an association is refused as transient, and let in once there is room."""
    node = start_node(tmp_path / "var", "--limits", '{"max_associations": 1}')
    try:
        with _associated(node):
            refused = run_echoscu(node.port)
        node.associations(2)
        again = run_echoscu(node.port)

        assert "Rejected Transient" in refused.stderr, refused.stderr
        assert "Local Limit Exceeded" in refused.stderr
        assert again.returncode == 0, again.stderr
    finally:
        node.stop()


def test_sigterm_lets_a_transfer_finish(node: Node, tmp_path: Path) -> None:
    """A stop drains: the association under way ends in order, new ones are not taken."""
    with _associated(node) as peer:
        node.process.terminate()
        wait_until(lambda: _refuses(node.port), "the port to close")
        # PS3.8 9.3.6: A-RELEASE-RQ is answered with an A-RELEASE-RP (type 6)
        peer.sendall(struct.pack(">BBI4x", 5, 0, 4))
        assert peer.recv(10)[0] == 6

    assert node.process.wait(30) == 0
    assert node.associations(1) == [(1, "Released.", 0, 0, 0, 0)]


def test_a_garbage_data_set_is_answered_with_a_failure(node: Node) -> None:
    """A data set cut in the middle of an element is refused, and the association goes on."""
    need_tool("storescu")
    with _associated(node) as peer:
        peer.sendall(_store_request() + _data_pdu(b"\x08\x00\x16\x00UI\x20\x001.2", last=True))
        status = _status_of_response(peer)

    assert status == 0xC000
    assert "in the middle of element (0008,0016)" in node.associations(1)[0][1]
    assert node.files() == []


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _associated(node: Node) -> socket.socket:
    """A raw connection with an accepted association: MR in Explicit LE, context 1."""
    peer = socket.create_connection(("127.0.0.1", node.port), timeout=20)
    peer.sendall(_associate_request())
    header = _exactly(peer, 6)
    assert header[0] == 2, f"PDU type {header[0]}"  # A-ASSOCIATE-AC
    _exactly(peer, struct.unpack(">I", header[2:])[0])
    return peer


def _associate_request() -> bytes:
    """PS3.8 9.3.2: A-ASSOCIATE-RQ from PACS to PCTNODE."""

    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(body)) + body

    context = b"\x01\0\0\0" + item(0x30, b"1.2.840.10008.5.1.4.1.1.4")
    context += item(0x40, b"1.2.840.10008.1.2.1")
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4.5")
    body = struct.pack(">HH16s16s32x", 1, 0, b"PCTNODE".ljust(16), b"PACS".ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _store_request() -> bytes:
    """PS3.7 9.3.1: C-STORE-RQ for 1.2.3.4.1, as one PDU."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    body = element(0x0002, b"1.2.840.10008.5.1.4.1.1.4") + element(0x0100, b"\x01\0")
    body += element(0x0110, b"\x01\0") + element(0x0700, b"\0\0") + element(0x0800, b"\x01\0")
    body += element(0x1000, b"1.2.3.4.1")
    command = element(0x0000, struct.pack("<I", len(body))) + body
    return _pdu(command, control=3)


def _data_pdu(data: bytes, *, last: bool) -> bytes:
    return _pdu(data, control=2 if last else 0)


def _pdu(fragment: bytes, *, control: int) -> bytes:
    value = struct.pack(">IBB", len(fragment) + 2, 1, control) + fragment
    return struct.pack(">BBI", 4, 0, len(value)) + value


def _half_an_instance() -> bytes:
    return _store_request() + _data_pdu(bytes(8000), last=False)


def _status_of_response(peer: socket.socket) -> int:
    header = _exactly(peer, 6)
    body = _exactly(peer, struct.unpack(">I", header[2:])[0])
    at = body.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", body, at + 8)[0])


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        got = peer.recv(count - len(data))
        assert got, "the node closed the connection"
        data += got
    return data
