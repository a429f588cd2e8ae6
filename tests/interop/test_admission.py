"""Who is let in, what is kept of each association, and how a refusal reads, with real peers."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from tests.interop.receiving import Node, running_node, start_node
from tests.interop.scp_process import PACS
from tests.peers.dcmtk import run_echoscu, run_storescu
from tests.phantoms.small_mr import mr_image, write_image

pytestmark = pytest.mark.interop

OTHERS = [
    {**PACS, "name": "tps", "ae_title": "TPS", "may": ["query"]},
    {**PACS, "name": "ct", "ae_title": "CT", "accept": ["CT", "RTSTRUCT"]},
    {**PACS, "name": "one", "ae_title": "ONE", "max_associations": 1},
    {**PACS, "name": "far", "ae_title": "FAR", "host": "192.0.2.7"},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP with peers of every sort and two titles."""
    peers = json.dumps([PACS, *OTHERS])
    folder = tmp_path_factory.mktemp("admission") / "var"
    yield from running_node(folder, "--peers", peers, "--titles", "PCTNODE", "MRSCT")


@pytest.fixture
def seen(node: Node) -> int:
    """How many associations there were before the test."""
    return len(node.associations(0))


def record(node: Node, count: int) -> dict[str, Any]:
    """The newest association, once there are ``count``."""
    node.associations(count)
    columns = "accepted, sentence, rule, remedy, contexts, services, received_bytes, calling_ae"
    query = f"select {columns}, implementation, receiving_s from associations order by id desc"  # noqa: S608
    names = [*columns.split(", "), "implementation", "receiving_s"]
    row = dict(zip(names, node.rows(query)[0], strict=True))
    return row | {name: json.loads(row[name]) for name in ("contexts", "services")}


def send_one(node: Node, folder: Path, sop_class: str, calling: str) -> int:
    """Send one object of a class with storescu, which offers no other; its exit status."""
    image = mr_image(series=f"1.2.{uuid4().int}")
    image.SOPClassUID = sop_class
    write_image(folder / "1.dcm", image)
    return run_storescu(node.port, [folder], calling=calling, options=["-R"]).returncode


def test_everything_about_an_association_is_kept(node: Node, seen: int, tmp_path: Path) -> None:
    """Contexts offered and accepted, what arrived and how fast, and whose software it was."""
    assert send_one(node, tmp_path / "mr", MRImageStorage, "PACS") == 0

    kept = record(node, seen + 1)

    assert kept["accepted"]
    assert kept["implementation"].startswith("OFFIS_DCMTK")
    assert kept["services"] == {"C-STORE": 1}
    assert kept["received_bytes"] > 2048
    assert 0 < kept["receiving_s"] < 60
    assert {c["sop_class"] for c in kept["contexts"]} == {MRImageStorage}
    assert all(c["offered"] and c["accepted"] in c["offered"] for c in kept["contexts"])


@pytest.mark.parametrize(
    ("calling", "sop_class", "words"),
    [
        ("TPS", MRImageStorage, "MR Image Storage: peer tps may not send"),
        ("CT", SegmentationStorage, "Segmentation Storage: peer ct has accept = CT, RTSTRUCT"),
    ],
)
def test_a_class_a_peer_may_not_send_is_refused_in_negotiation(
    node: Node, seen: int, tmp_path: Path, calling: str, sop_class: str, words: str
) -> None:
    """The sender sees it before a byte is sent, and the record says by which rule."""
    assert send_one(node, tmp_path / "x", sop_class, calling) != 0

    kept = record(node, seen + 1)

    assert words in kept["sentence"]
    assert all(c["why"] and not c["accepted"] for c in kept["contexts"])
    assert kept["received_bytes"] == 0


@pytest.mark.parametrize("sop_class", [CTImageStorage, RTStructureSetStorage])
def test_a_class_a_peer_may_send_is_kept(
    node: Node, seen: int, tmp_path: Path, sop_class: str
) -> None:
    """A planning CT and its structures are stored for later comparison."""
    before = len(node.files())

    assert send_one(node, tmp_path / "x", sop_class, "CT") == 0

    assert record(node, seen + 1)["services"] == {"C-STORE": 1}
    assert len(node.files()) == before + 1


@pytest.mark.parametrize(
    ("calling", "called", "rule", "words", "remedy"),
    [
        ("NOBODY", "PCTNODE", "calling AE title", "'NOBODY' at 127.0.0.1", "Add a peer"),
        ("PACS", "ELSE", "called AE title", "'ELSE'; this node is PCTNODE or MRSCT", "PCTNODE"),
        ("FAR", "PCTNODE", "address of the peer", "whose host is 192.0.2.7", "set its host to it"),
    ],
)
def test_each_refusal_names_rule_value_and_remedy(
    node: Node, seen: int, calling: str, called: str, rule: str, words: str, remedy: str
) -> None:
    """One sentence a person can act on."""
    assert run_echoscu(node.port, calling=calling, called=called).returncode != 0

    kept = record(node, seen + 1)

    assert not kept["accepted"]
    assert kept["rule"] == rule
    assert words in kept["sentence"]
    assert remedy in kept["remedy"]
    assert kept["contexts"][0]["name"] == "Verification SOP Class"


def test_every_title_of_the_node_is_answered(node: Node, seen: int) -> None:
    """A node may be called by several names."""
    assert run_echoscu(node.port, called="MRSCT").returncode == 0
    assert record(node, seen + 1)["services"] == {"C-ECHO": 1}


def test_a_peer_has_no_more_associations_than_its_limit(node: Node, seen: int) -> None:
    """The second is refused for now while the first lasts; other peers are not touched."""
    with ExitStack() as first:
        connection = first.enter_context(socket.create_connection(("127.0.0.1", node.port), 20))
        assert answer(connection, b"PCTNODE", b"ONE")[0] == 2
        refused = run_echoscu(node.port, calling="ONE")
        others = run_echoscu(node.port, calling="PACS")
    node.associations(seen + 3)
    again = run_echoscu(node.port, calling="ONE")

    assert "Local Limit Exceeded" in refused.stderr
    assert others.returncode == 0
    assert again.returncode == 0, again.stderr
    sentences = [s for accepted, s, *_ in node.associations(seen + 4)[seen:] if not accepted]
    assert sentences == [
        "'ONE' at 127.0.0.1 has as many associations open as peer 'one' may have: 1. "
        "Let the sender end one, or raise max_associations of the peer."
    ]


@pytest.mark.parametrize(
    ("called", "calling", "expected"),
    [
        (b"PCTNODE".ljust(16), b"PACS".ljust(16), (2,)),
        (b"PCTNODE".ljust(16, b"\0"), b"PACS".ljust(16, b"\0"), (2,)),
        (b"  PCTNODE       ", b"   PACS         ", (2,)),
        (b"PCTNODE".ljust(16), b" " * 16, (3, 1, 1, 3)),
        (b"PCTNODE".ljust(16), b"\0" * 16, (3, 1, 1, 3)),
        (b" " * 16, b"PACS".ljust(16), (3, 1, 1, 7)),
        (b"PCTNODE".ljust(16), "PÄCS".encode("latin-1").ljust(16), (3, 1, 1, 3)),
        (b"PCTNODE".ljust(16), "PÄCS".encode().ljust(16), (3, 1, 1, 3)),
        (b"PCTNODE".ljust(16), b"PA\\CS".ljust(16), (3, 1, 1, 3)),
        (b"PCTN\xd6DE".ljust(16), b"PACS".ljust(16), (3, 1, 1, 7)),
    ],
)
def test_strange_titles_get_an_answer_not_an_abort(
    node: Node, seen: int, called: bytes, calling: bytes, expected: tuple[int, ...]
) -> None:
    """Padding of any kind is no part of a title; what is no title is refused with the reason."""
    with socket.create_connection(("127.0.0.1", node.port), 20) as connection:
        answered = answer(connection, called, calling)
        assert answered == expected

    assert record(node, seen + 1)["accepted"] == (expected == (2,))


def test_an_open_node_takes_unknown_titles(tmp_path: Path) -> None:
    """Unknown peers are let in where the site says so, and kept under their title."""
    node = start_node(tmp_path / "var", "--accept-unknown")
    try:
        assert run_echoscu(node.port, calling="ANYBODY").returncode == 0
        assert record(node, 1)["calling_ae"] == "ANYBODY"
    finally:
        node.stop()


def answer(connection: socket.socket, called: bytes, calling: bytes) -> tuple[int, ...]:
    """Ask for an association with verification; (2,) or (3, result, source, reason)."""

    def item(kind: int, body: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(body)) + body

    # PS3.8 9.3.2
    context = b"\x01\0\0\0" + item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4.5")
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16), calling.ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    connection.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
    header = connection.recv(6, socket.MSG_WAITALL)
    rest = connection.recv(struct.unpack(">I", header[2:])[0], socket.MSG_WAITALL)
    return (header[0], *rest[1:4]) if header[0] == 3 else (header[0],)


def test_a_client_that_offers_everything_is_told_its_rule_first(
    node: Node, seen: int, tmp_path: Path
) -> None:
    """Of 120 classes refused, those that a setting of the peer keeps out are named first."""
    write_image(tmp_path / "x" / "1.dcm", mr_image())

    assert run_storescu(node.port, [tmp_path / "x"], calling="CT").returncode != 0

    kept = record(node, seen + 1)
    assert len(kept["contexts"]) > 100
    assert "contexts not accepted: " in kept["sentence"]
    assert "peer ct has accept = CT, RTSTRUCT" in kept["sentence"].split("; ")[0]
    assert "more." in kept["sentence"]
