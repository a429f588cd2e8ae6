"""The conformance statement says what is negotiated: all of it, and nothing else."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import PresentationContext, build_context

from node import scu
from node.config.settings import load
from node.domain.names import AETitle
from node.domain.site import Peer
from node.domain.storage import STORAGE_KINDS
from node.run.app import conformance_statement
from node.scu.association import associate
from node.scu.echo import echo
from node.scu.store import Outgoing, propose
from tests.interop.receiving import Node, running_node

pytestmark = pytest.mark.interop

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
Pair = tuple[str, str]
CONTROL: Pair = ("1.2.840.10008.1.1", "1.2.840.10008.1.2")
"""Verification, which every association may negotiate."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP whose peer PACS may do everything."""
    yield from running_node(tmp_path_factory.mktemp("conformance") / "var")


def stated(role: str) -> set[Pair]:
    """(SOP class, transfer syntax) of every context accepted with the peer in the other role."""
    lists: dict[str, set[str]] = {}
    rows: list[tuple[str, str]] = []
    for line in DOCUMENT.read_text("utf-8").splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split(" | ")]
        if re.fullmatch(r"T\d+", cells[0]):
            lists.setdefault(cells[0], set()).add(cells[2])
        elif len(cells) == 6 and cells[4] == role:
            rows.append((cells[2], cells[3]))
    return {(sop_class, syntax) for sop_class, label in rows for syntax in lists[label]}


def accepted(node: Node, pairs: Iterable[Pair], *, as_scp: bool = False) -> set[Pair]:
    """Which of ``pairs``, and of `CONTROL`, the node accepts, each in a context of its own."""
    wanted, found = sorted(set(pairs) - {CONTROL}), set()
    for start in range(0, len(wanted), 100):
        part = [CONTROL, *wanted[start : start + 100]]
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in part]
        classes = {sop_class for sop_class, _ in part[1:]}
        roles = [build_role(c, scu_role=False, scp_role=True) for c in classes] if as_scp else []
        entity = AE(ae_title="PACS")
        association = entity.associate(
            "127.0.0.1", node.port, contexts=contexts, ae_title="PCTNODE", ext_neg=roles
        )
        assert association.is_established
        found |= {_pair(c) for c in association.accepted_contexts if not as_scp or c.as_scp}
        association.release()
    return found


def _pair(context: PresentationContext) -> Pair:
    return str(context.abstract_syntax), str(context.transfer_syntax[0])


def test_every_stated_context_is_negotiated(node: Node) -> None:
    """Each SOP class in each transfer syntax, one by one."""
    everything = stated("SCP")

    assert len(everything) > 100
    assert accepted(node, everything) == everything


def test_every_stated_context_of_c_get_is_negotiated(node: Node) -> None:
    """With the SCP role for the peer."""
    everything = stated("SCU")

    assert len(everything) > 100
    assert accepted(node, everything, as_scp=True) == everything


def test_nothing_else_is_negotiated(node: Node) -> None:
    """No other SOP class of the standard, and no other transfer syntax of a stated one."""
    said = stated("SCP")
    classes = {sop_class for sop_class, _ in said}
    kinds = ("SOP Class", "Meta SOP Class")
    standard = {uid for uid, entry in UID_dictionary.items() if entry[1] in kinds}
    other_classes = {(uid, "1.2.840.10008.1.2") for uid in standard - classes}
    other_syntaxes = {(c, str(t)) for c in classes for t in AllTransferSyntaxes} - said

    assert len(other_classes) > 200
    assert len(other_syntaxes) > 200
    assert accepted(node, other_classes | other_syntaxes) == {CONTROL}


def test_the_document_is_that_of_the_default_settings(tmp_path: Path) -> None:
    """Make it anew, in an empty folder: pctnode conformance > docs/conformance.md."""
    empty = tmp_path / "node.toml"
    empty.write_text("")

    assert DOCUMENT.read_text("utf-8") == conformance_statement(load(empty, {}))


def test_the_statement_follows_the_settings(tmp_path: Path) -> None:
    """Titles, ports, limits and openness are those of the site."""
    file = tmp_path / "node.toml"
    file.write_text(
        '[node]\nae_title = "SCT"\n[output]\nmark_synthetic = false\n[dicom]\nport = 4242\n'
        'unknown_peers = "accept"\nmax_associations = 7\nacceptors = 3\n'
        'called_ae_titles = ["MRSCT"]\ntls = { port = 2762, certificate = "a", key = "b", '
        'ca = "c", profile = "bcp195-modified" }\n'
    )

    text = conformance_statement(load(file, {}))

    for words in (
        "| AE titles | SCT, MRSCT |",
        "port 4242, and 2762 with TLS",
        "port 2762, profile `bcp195-modified`",
        "7 in each of 3 processes",
        "are accepted, and may store",
        "(0008,001C) is not written",
    ):
        assert words in text


def test_what_the_node_proposes_is_what_is_stated() -> None:
    """As SCU: echo, and storage of every kind of object."""
    asked: set[Pair] = set()

    def look(event: evt.Event) -> None:
        for context in event.assoc.requestor.primitive.presentation_context_definition_list:
            asked.update((str(context.abstract_syntax), str(t)) for t in context.transfer_syntax)

    entity = AE(ae_title="PEER")
    for uids in STORAGE_KINDS.values():
        for sop_class in uids:
            entity.add_supported_context(sop_class)
    entity.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_REQUESTED, look)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    peer = _peer(server.server_address[1])
    try:
        assert echo(peer, calling_ae="PCTNODE").ok
        files = [_object(uid) for uids in STORAGE_KINDS.values() for uid in uids]
        with associate(peer, propose(files), calling_ae="PCTNODE"):
            pass
    finally:
        server.shutdown()

    assert asked == {pair for pair in _stated_as_user() if pair[0] in {c for c, _ in asked}}


def test_every_class_named_in_the_code_of_the_user_is_stated() -> None:
    """Each presentation context that is built for a peer, and no class that none is built for."""
    built: set[str] = set()
    for path in Path(scu.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"node.scu.{path.stem}")
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "build_context":
                name = getattr(call.args[0], "id", "")
                if name != "sop_class":  # of the objects to send: the test above
                    built.add(str(getattr(module, name)))
    stored = {uid for uids in STORAGE_KINDS.values() for uid in uids}

    assert built
    assert built == {sop_class for sop_class, _ in _stated_as_user()} - stored


def _stated_as_user() -> set[Pair]:
    found: set[Pair] = set()
    for line in DOCUMENT.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 5 and cells[4].startswith("SCU"):
            found |= {(cells[2].strip("`"), t) for t in re.findall(r"`([\d.]+)`", cells[3])}
    return found


def _peer(port: int) -> Peer:
    return Peer(
        name="peer",
        ae_title=AETitle("PEER"),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )


def _object(sop_class: str) -> Outgoing:
    return Outgoing(
        sop_class_uid=sop_class,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path("nowhere"),
    )
