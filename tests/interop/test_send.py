"""The SCU against real and difficult peers."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    RTDoseStorage,
)
from pynetdicom import AE, evt

from node.domain.errors import Rejected, Retryable
from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.association import Timeouts, associate
from node.scu.echo import echo
from node.scu.store import InstanceStatus, Outgoing, SendOutcome, Stored, propose, send
from tests.interop.receiving import Node, running_node
from tests.peers.fixtures import StartStorescp
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = [
    pytest.mark.interop,
    # pynetdicom drops a socket whose connection was refused without closing it; it is closed as
    # it is collected, at once.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning:pynetdicom.transport"),
]

HASTY = Timeouts(connect_s=3, associate_s=3, response_s=3)


def peer_at(port: int, title: str = "TPS") -> Peer:
    """A peer on this machine."""
    return Peer(
        name="tps",
        ae_title=AETitle(title),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )


@pytest.fixture
def series(tmp_path: Path) -> list[Outgoing]:
    """Five CT images in the archive."""
    return [outgoing(tmp_path / "sct" / f"{n}.dcm", number=n) for n in range(1, 6)]


def outgoing(path: Path, *, number: int = 1, compress: str = "") -> Outgoing:
    """A CT image written to ``path``, compressed when asked."""
    image = mr_image(number)
    image.SOPClassUID = CTImageStorage
    write_image(path, image)
    if compress:
        image = pydicom.dcmread(path)
        image.compress(compress, generate_instance_uid=False)
        image.save_as(path)
    return Outgoing(
        sop_class_uid=CTImageStorage,
        sop_instance_uid=str(image.SOPInstanceUID),
        transfer_syntax_uid=compress or ExplicitVRLittleEndian,
        path=path,
    )


def send_all(peer: Peer, files: list[Outgoing]) -> tuple[SendOutcome, list[InstanceStatus]]:
    """Send and keep every answer."""
    answers: list[InstanceStatus] = []
    outcome = send(peer, files, calling_ae="PCTNODE", on_status=answers.append, timeouts=HASTY)
    return outcome, answers


@contextmanager
def answering(respond: Callable[[evt.Event], int], **limits: int) -> Iterator[Peer]:
    """A storage SCP that answers what ``respond`` says; it takes CT in Explicit VR only."""
    entity = AE(ae_title="TPS")
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    for name, value in limits.items():
        setattr(entity, name, value)
    handlers = [(evt.EVT_C_STORE, respond)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield peer_at(server.server_address[1])
    finally:
        server.shutdown()


def test_archived_bytes_arrive_unchanged(
    series: list[Outgoing], start_storescp: StartStorescp
) -> None:
    """Storescp in bit-preserving mode receives the data sets as they lie in the archive."""
    server = start_storescp()

    outcome, answers = send_all(peer_at(server.port), series)

    assert outcome == SendOutcome(sent=5, warned=0, transcoded=0)
    assert [a.sop_instance_uid for a in answers] == [f.sop_instance_uid for f in series]
    assert {(a.status, a.stored) for a in answers} == {(0, Stored.STORED)}
    received = sorted(map(data_set_of, server.files()))
    assert received == sorted(data_set_of(f.path) for f in series)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, RLELossless])
def test_compressed_is_sent_as_it_is_where_it_is_taken(
    tmp_path: Path, start_storescp: StartStorescp, syntax: str
) -> None:
    """A peer that takes the archived syntax gets the archived bytes."""
    server = start_storescp()
    file = outgoing(tmp_path / "1.dcm", compress=syntax)

    outcome, _ = send_all(peer_at(server.port), [file])

    assert outcome.transcoded == 0
    assert data_set_of(server.files()[0]) == data_set_of(file.path)


@pytest.mark.parametrize(
    ("compress", "options", "syntax"),
    [
        (JPEGLSLossless, ["+xe"], ExplicitVRLittleEndian),
        (RLELossless, ["+xi"], ImplicitVRLittleEndian),
        ("", ["+xi"], ImplicitVRLittleEndian),
    ],
)
def test_it_is_transcoded_only_where_it_must(
    tmp_path: Path,
    start_storescp: StartStorescp,
    compress: str,
    options: list[str],
    syntax: str,
) -> None:
    """A peer without the archived syntax gets the same pixels and UID uncompressed."""
    server = start_storescp(name="plain", options=options)
    file = outgoing(tmp_path / "1.dcm", compress=compress)

    outcome, _ = send_all(peer_at(server.port), [file])

    received = pydicom.dcmread(server.files()[0])
    original = pydicom.dcmread(file.path)
    assert outcome.transcoded == 1
    assert received.file_meta.TransferSyntaxUID == syntax
    assert received.SOPInstanceUID == original.SOPInstanceUID
    assert (received.pixel_array == original.pixel_array).all()


def test_nobody_listens(free_port: Callable[[], int], series: list[Outgoing]) -> None:
    """A refused connection is retryable and says where nobody answered."""
    peer = peer_at(free_port())

    with pytest.raises(Retryable, match=f"TPS at 127.0.0.1:{peer.port}.*connection refused"):
        send_all(peer, series)


def test_a_name_that_does_not_resolve(series: list[Outgoing]) -> None:
    """A host that no name service knows is retryable and named."""
    peer = Peer(
        name="lost",
        ae_title=AETitle("LOST"),
        host="nowhere.invalid",
        port=104,
        may=frozenset(),
        proof="none",
    )

    with pytest.raises(Retryable, match=r"nowhere\.invalid"):
        send_all(peer, series)


def test_a_peer_that_does_not_know_us(tmp_path: Path, series: list[Outgoing]) -> None:
    """A permanent rejection is final and says what to register where."""
    for node in running_node(tmp_path / "var"):
        with pytest.raises(Rejected) as caught:
            send_all(peer_at(node.port, "PCTNODE"), series)

    assert caught.value.code == "ASSOCIATION_REJECTED"
    assert "does not know our AE title PCTNODE" in caught.value.message
    assert "Register PCTNODE at the peer" in caught.value.remedy


def test_a_wrong_called_title(tmp_path: Path, series: list[Outgoing]) -> None:
    """A peer that goes by another name is told from one that does not know us."""
    for node in running_node(tmp_path / "var"):
        with pytest.raises(Rejected, match="does not answer to the AE title TPS"):
            send_all(peer_at(node.port), series)


def test_a_peer_that_takes_no_such_class(tmp_path: Path, series: list[Outgoing]) -> None:
    """A node takes no doses; the sentence says so."""
    doses = [replace(file, sop_class_uid=RTDoseStorage) for file in series]
    for node in running_node(tmp_path / "var", "--accept-unknown"):
        with pytest.raises(Rejected) as caught:
            send_all(peer_at(node.port, "PCTNODE"), doses)

    assert caught.value.code == "NO_CONTEXT"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (0xA700, Retryable, "0xA700 (out of resources)"),
        (0xA900, Rejected, "0xA900 (data set does not match SOP class)"),
        (0xC123, Rejected, "0xC123 (cannot understand)"),
        (0x0124, Rejected, "0x0124 (not authorised)"),
    ],
)
def test_a_failed_instance_stops_the_series(
    series: list[Outgoing], status: int, error: type[Exception], words: str
) -> None:
    """The answers before the failure are kept, the failure too, and nothing is sent after it."""
    answers: list[InstanceStatus] = []

    def respond(event: evt.Event) -> int:
        return status if event.request.AffectedSOPInstanceUID == "1.2.3.4.3" else 0

    with answering(respond) as peer, pytest.raises(error) as caught:
        send(peer, series, calling_ae="PCTNODE", on_status=answers.append, timeouts=HASTY)

    assert [a.status for a in answers] == [0, 0, status]
    assert words in str(caught.value)
    assert "1.2.3.4.3" in str(caught.value)


def test_warnings_count_as_stored(series: list[Outgoing]) -> None:
    """Coercion and a duplicate are stored with a remark, and the series goes on."""
    statuses = iter([0x0000, 0xB000, 0xB007, 0x0111, 0x0000])

    with answering(lambda _event: next(statuses)) as peer:
        outcome, answers = send_all(peer, series)

    assert outcome.warned == 3
    assert [a.stored for a in answers].count(Stored.WARNED) == 3


def test_a_peer_that_aborts_in_the_middle(series: list[Outgoing]) -> None:
    """An abort is retryable; what was answered before is known."""
    answers: list[InstanceStatus] = []

    def respond(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == "1.2.3.4.3":
            event.assoc.abort()
        return 0

    with answering(respond) as peer, pytest.raises(Retryable, match=r"1\.2\.3\.4\.3"):
        send(peer, series, calling_ae="PCTNODE", on_status=answers.append, timeouts=HASTY)

    assert [a.sop_instance_uid for a in answers] == ["1.2.3.4.1", "1.2.3.4.2"]


def test_a_peer_that_falls_silent(series: list[Outgoing]) -> None:
    """A response that does not come within its time is retryable."""
    silence = threading.Event()
    hasty = Timeouts(connect_s=3, associate_s=3, response_s=0.5)

    def respond(_event: evt.Event) -> int:
        silence.wait(20)
        return 0

    with answering(respond) as peer:
        try:
            with pytest.raises(Retryable, match="did not answer"):
                send(peer, series, calling_ae="PCTNODE", on_status=print, timeouts=hasty)
        finally:
            silence.set()


def test_a_peer_that_is_full_of_associations(series: list[Outgoing]) -> None:
    """A transient rejection is retryable."""
    with (
        answering(lambda _event: 0, maximum_associations=1) as peer,
        associate(peer, propose(series), calling_ae="OTHER"),
        pytest.raises(Retryable, match="serves as many associations"),
    ):
        send_all(peer, series)


def test_something_that_is_no_dicom(series: list[Outgoing]) -> None:
    """A port that takes the connection and says nothing sensible is retryable, not a hang."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_http, args=(listener,), daemon=True).start()
        peer = peer_at(listener.getsockname()[1])

        with pytest.raises(Retryable, match="does not answer the association request"):
            send_all(peer, series)


def test_small_packets_are_not_held_back(series: list[Outgoing]) -> None:
    """The association's socket has TCP_NODELAY set; the contract of a point that is not public."""
    with (
        answering(lambda _event: 0) as peer,
        associate(peer, propose(series), calling_ae="PCTNODE") as association,
    ):
        connection = association.dul.socket.socket
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_empty_list_needs_no_association(free_port: Callable[[], int]) -> None:
    """When nothing is missing at the peer, nobody is called."""
    assert send_all(peer_at(free_port()), [])[0].sent == 0


def test_the_node_takes_what_the_node_sends(tmp_path: Path) -> None:
    """Our SCU and our SCP agree, pixel for pixel and status for status."""
    path = write_image(tmp_path / "mr" / "1.dcm", mr_image())
    file = Outgoing(
        sop_class_uid=str(mr_image().SOPClassUID),
        sop_instance_uid="1.2.3.4.1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        path=path,
    )
    for node in running_node(tmp_path / "var", "--accept-unknown"):
        outcome, _ = send_all(peer_at(node.port, "PCTNODE"), [file])
        stored = node.files()
        assert [data_set_of(p) for p in stored] == [data_set_of(path)]

    assert outcome.sent == 1


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP that lets anybody in."""
    yield from running_node(tmp_path / "var", "--accept-unknown")


def test_echo_says_how_it_went(node: Node, free_port: Callable[[], int]) -> None:
    """An echo is a result either way: answered, refused or unreachable."""
    good = echo(peer_at(node.port, "PCTNODE"), calling_ae="ME", timeout_s=5)
    wrong = echo(peer_at(node.port, "WRONG"), calling_ae="ME", timeout_s=5)
    nobody = echo(peer_at(free_port()), calling_ae="ME", timeout_s=5)

    assert good.ok
    assert not good.remedy
    assert not wrong.ok
    assert "does not answer to the AE title WRONG" in wrong.sentence
    assert not nobody.ok
    assert "connection refused" in nobody.sentence
    assert nobody.remedy


def _answer_http(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" + struct.pack(">I", 0))
