"""TLS as provider and user, with DCMTK's TLS tools and with clients that should not be let in."""

import json
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pydicom
import pytest

from node.domain.errors import Misconfigured, Retryable
from node.domain.names import AETitle
from node.domain.site import Peer
from node.net.tls import Tls, TlsFiles
from node.scu import association
from node.scu.echo import echo
from node.scu.store import Outgoing, send
from tests.interop.receiving import Node, running_node, start_node
from tests.interop.scp_process import PACS
from tests.peers.dcmtk import run_echoscu, run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.pki import Authority, Identity
from tests.peers.waiting import wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = [
    pytest.mark.interop,
    # pynetdicom drops a socket whose handshake failed without closing it.
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),
]

PEERS = [
    PACS,
    {**PACS, "name": "tls", "ae_title": "TLS", "tls": True},
    {**PACS, "name": "named", "ae_title": "NAMED", "tls": True, "tls_name": "named.example"},
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The hospital's authority."""
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def scanner(authority: Authority) -> Identity:
    """A peer's certificate."""
    return authority.issue("scanner")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Node]:
    """An SCP with a port for TLS."""
    ours = authority.issue("node", hosts=["node.example"])
    files = {"certificate": str(ours.certificate), "key": str(ours.key), "ca": str(ours.ca)}
    folder = tmp_path_factory.mktemp("tls") / "var"
    yield from running_node(folder, "--peers", json.dumps(PEERS), "--tls", json.dumps(files))


@pytest.fixture
def seen(node: Node) -> int:
    """How many associations there were before the test."""
    return len(node.associations(0))


@pytest.mark.parametrize("profile", ["+px", "+py", "+pz"])
def test_dcmtk_sends_over_tls_in_every_profile(
    node: Node, seen: int, scanner: Identity, tmp_path: Path, profile: str
) -> None:
    """Storescu and echoscu with a certificate are served; the record names version and subject."""
    image = mr_image(series=f"1.2.3.{ord(profile[-1])}")
    sent = write_image(tmp_path / "mr" / "1.dcm", image)
    options = scanner.dcmtk(profile)

    echoed = run_echoscu(node.tls_port, calling="TLS", options=options)
    stored = run_storescu(node.tls_port, [sent.parent], calling="TLS", options=options)

    assert echoed.returncode == 0, echoed.stderr
    assert stored.returncode == 0, stored.stderr
    assert data_set_of(sent) in [data_set_of(p) for p in node.files()]
    version = "TLSv1.2" if profile == "+pz" else "TLSv1.3"  # DCMTK's extended one offers 1.2
    node.associations(seen + 2)
    assert _newest(node, "tls") == f"{version} 127.0.0.1"


@pytest.mark.parametrize("kind", ["no certificate", "wrong authority", "ended"])
def test_without_a_good_certificate_nobody_is_let_in(
    node: Node, seen: int, authority: Authority, tmp_path: Path, kind: str
) -> None:
    """The connection ends in the handshake, and the record says why."""
    options = {
        "no certificate": ["+tla", "-ic"],
        "wrong authority": Authority(tmp_path / "other", "Other CA").issue("x").dcmtk("-ic"),
        "ended": authority.issue("old", days=-1).dcmtk(),
    }[kind]

    done = run_echoscu(node.tls_port, calling="TLS", options=options)

    assert done.returncode != 0
    accepted, sentence, *_ = node.associations(seen + 1)[-1]
    assert not accepted
    said = {
        "no certificate": "it showed no certificate",
        "wrong authority": "its certificate is not accepted",
        "ended": "certificate has expired",
    }[kind]
    assert said in sentence


def test_a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(
    tmp_path: Path, authority: Authority
) -> None:
    """Without a restart; who is on no list is let in before and after."""
    ours, good, lost = (authority.issue(name) for name in ("crl-node", "kept", "lost"))
    files = {
        "certificate": str(ours.certificate), "key": str(ours.key), "ca": str(ours.ca),
        "crl": str(authority.revoke()),
    }  # fmt: skip
    node = start_node(tmp_path / "var", "--peers", json.dumps(PEERS), "--tls", json.dumps(files))
    try:
        before = run_echoscu(node.tls_port, calling="TLS", options=lost.dcmtk())
        authority.revoke(lost)
        after = run_echoscu(node.tls_port, calling="TLS", options=lost.dcmtk())
        kept = run_echoscu(node.tls_port, calling="TLS", options=good.dcmtk())
        accepted, sentence, *_ = node.associations(3)[1]
    finally:
        node.stop()

    assert (before.returncode, kept.returncode) == (0, 0)
    assert after.returncode != 0
    assert not accepted
    assert "revoked" in sentence


def test_tls_1_1_is_refused_to_a_client_that_can_speak_it(
    node: Node, seen: int, scanner: Identity
) -> None:
    """The same client gets through to a server that allows TLS 1.1, and not to the node."""
    client = _old_client(scanner)
    with _old_server(scanner) as (port, spoken):
        with _connected(client, port) as control:
            control.sendall(b"x")
            wait_until(lambda: spoken == ["TLSv1.1"], "the control server to be spoken to")
        assert control.version() in (None, "TLSv1.1")

    with pytest.raises(ssl.SSLError):
        _connected(client, node.tls_port)

    assert "it speaks no TLS 1.2 or newer" in node.associations(seen + 1)[-1][1]


def test_a_tls_peer_is_not_taken_without_tls(node: Node, seen: int) -> None:
    """Its AE title on the plain port is somebody else's, as far as anyone can tell."""
    done = run_echoscu(node.port, calling="TLS")

    assert done.returncode != 0
    assert "came without TLS" in node.associations(seen + 1)[-1][1]


def test_a_certificate_of_another_machine_does_not_stand_for_a_peer(
    node: Node, seen: int, authority: Authority, scanner: Identity
) -> None:
    """A peer with a name is who its certificate says, not who it says it is."""
    named = authority.issue("named", hosts=["named.example"])

    wrong = run_echoscu(node.tls_port, calling="NAMED", options=scanner.dcmtk())
    right = run_echoscu(node.tls_port, calling="NAMED", options=named.dcmtk())

    assert wrong.returncode != 0
    assert right.returncode == 0, right.stderr
    sentences = [s for _, s, *_ in node.associations(seen + 2)[seen:]]
    assert any("tls_name = named.example" in s for s in sentences)


def test_noise_and_silence_on_the_tls_port_do_no_harm(node: Node, scanner: Identity) -> None:
    """Plain DICOM, HTTP and connections that never shake hands hold up nobody."""
    silent = [socket.create_connection(("127.0.0.1", node.tls_port), 10) for _ in range(20)]
    for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(200), b"\x01\x00\x00\x00\x00\x44" + bytes(68)):
        with socket.create_connection(("127.0.0.1", node.tls_port), 10) as peer:
            peer.sendall(noise)
    plain = run_echoscu(node.tls_port, calling="PACS")

    assert plain.returncode != 0
    assert run_echoscu(node.tls_port, calling="TLS", options=scanner.dcmtk()).returncode == 0
    for connection in silent:
        connection.close()


def test_a_handshake_has_its_time(tmp_path: Path, authority: Authority) -> None:
    """Connections that say nothing, or a byte now and then, are closed and leave no thread."""
    ours = authority.issue("hasty")
    files = {"certificate": str(ours.certificate), "key": str(ours.key), "ca": str(ours.ca)}
    limits = '{"acse_timeout_s": 1.0}'
    for node in running_node(tmp_path / "var", "--tls", json.dumps(files), "--limits", limits):
        before = node.threads()
        slow = [socket.create_connection(("127.0.0.1", node.tls_port), 20) for _ in range(8)]
        for connection in slow[:4]:
            connection.sendall(b"\x16")  # RFC 8446 5.1: a handshake record begins so
        ends = [connection.recv(1) for connection in slow]
        wait_until(partial(_at_rest, node, before), "the threads to end")
        for connection in slow:
            connection.close()
        sentences = {s for _, s, *_ in node.associations(8)}

    assert ends == [b""] * 8
    assert all("not finished in time" in sentence for sentence in sentences)


def test_a_renewed_certificate_is_shown_to_the_next_caller(
    tmp_path: Path, scanner: Identity, authority: Authority
) -> None:
    """Without a restart; an association that is open goes on."""
    ours = authority.issue("renewed")
    files = {"certificate": str(ours.certificate), "key": str(ours.key), "ca": str(ours.ca)}
    client = ssl.create_default_context(cafile=str(scanner.ca))
    client.load_cert_chain(scanner.certificate, scanner.key)
    for node in running_node(tmp_path / "var", "--tls", json.dumps(files)):
        with _connected(client, node.tls_port) as first:
            authority.issue("renewed")
            with _connected(client, node.tls_port) as second:
                before, after = (s.getpeercert(binary_form=True) for s in (first, second))

    assert before != after
    assert after == ssl.PEM_cert_to_DER_cert(ours.certificate.read_text())


@pytest.fixture
def identity(authority: Authority) -> Iterator[Identity]:
    """Make this process a node with a certificate."""
    ours = authority.issue("caller")
    files = TlsFiles(certificate=ours.certificate, key=ours.key, ca=ours.ca)
    association.secure_with(Tls(files))
    yield ours
    association.secure_with(None)


def tps_at(port: int, *, name: str = "") -> Peer:
    """A planning system that uses TLS."""
    return Peer(
        name="tps",
        ae_title=AETitle("TPS"),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
        tls=True,
        tls_name=name,
    )


@pytest.mark.usefixtures("identity")
def test_the_node_sends_over_tls(
    tmp_path: Path, authority: Authority, start_storescp: StartStorescp
) -> None:
    """Storescp behind TLS gets the archived bytes, and it asked for our certificate."""
    server = start_storescp(options=authority.issue("tps").dcmtk("-rc"))
    path = write_image(tmp_path / "1.dcm", mr_image())
    meta = pydicom.dcmread(path).file_meta
    file = Outgoing(
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        path=path,
    )

    outcome = send(tps_at(server.port), [file], calling_ae="PCTNODE", on_status=lambda _s: None)

    assert outcome.sent == 1
    assert data_set_of(server.files()[0]) == data_set_of(path)


@pytest.mark.usefixtures("identity")
def test_a_peer_that_is_not_who_it_should_be_gets_nothing(
    tmp_path: Path, authority: Authority, start_storescp: StartStorescp
) -> None:
    """A wrong name, a wrong authority and a peer without TLS are told apart, and retried."""
    good = start_storescp(name="good", options=authority.issue("tps").dcmtk())
    false = start_storescp(
        name="false", options=Authority(tmp_path / "pki", "Other CA").issue("tps").dcmtk("-ic")
    )
    plain = start_storescp(name="plain")

    said = {
        name: echo(peer, calling_ae="PCTNODE", timeout_s=5).sentence
        for name, peer in {
            "right": tps_at(good.port),
            "wrong name": tps_at(good.port, name="tps.example"),
            "false": tps_at(false.port),
            "plain": tps_at(plain.port),
        }.items()
    }

    assert "answers as TPS" in said["right"]
    assert "certificate is not accepted (Hostname mismatch" in said["wrong name"]
    assert "certificate is not accepted" in said["false"]
    assert "cannot be reached" in said["plain"]


def test_without_a_certificate_of_its_own_the_node_says_so() -> None:
    """A peer that uses TLS is never called without it."""
    with pytest.raises(Misconfigured, match="the node has no certificate"):
        send(tps_at(1), [_any_file()], calling_ae="PCTNODE", on_status=lambda _s: None)


def test_a_refused_certificate_of_ours_is_told(
    authority: Authority, tmp_path: Path, start_storescp: StartStorescp
) -> None:
    """The planning system does not trust our authority: retried, with the reason."""
    stranger = Authority(tmp_path / "pki", "Stranger CA").issue("stranger")
    server = start_storescp(options=authority.issue("tps").dcmtk("-rc"))
    files = TlsFiles(certificate=stranger.certificate, key=stranger.key, ca=authority.file)
    association.secure_with(Tls(files))
    try:
        with pytest.raises(Retryable, match=r"TLS|reset|closed"):
            send(tps_at(server.port), [_any_file()], calling_ae="X", on_status=lambda _s: None)
    finally:
        association.secure_with(None)


def _any_file() -> Outgoing:
    return Outgoing(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path("nowhere"),
    )


def _at_rest(node: Node, threads: int) -> bool:
    return node.threads() <= threads


def _newest(node: Node, column: str) -> str:
    rows = node.rows(f"select {column} from associations order by id desc limit 1")  # noqa: S608
    return str(rows[0][0]) if rows else ""


def _connected(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname="127.0.0.1")
    except OSError:
        plain.close()
        raise


def _old_client(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _make_old(context)
    context.load_verify_locations(identity.ca)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def _make_old(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 speaks TLS 1.1 only so
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1


class _old_server:  # noqa: N801 - reads as the function it stands for
    """A server that speaks TLS 1.1, for one connection; its port and what was spoken."""

    def __init__(self, identity: Identity) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _make_old(self._context)
        self._context.load_cert_chain(identity.certificate, identity.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._spoken: list[str | None] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> tuple[int, list[str | None]]:
        self._thread.start()
        return self._listener.getsockname()[1], self._spoken

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with self._context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)
            self._spoken.append(secured.version())
