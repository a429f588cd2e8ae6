from dataclasses import replace

import pytest

from node.domain.names import AETitle
from node.domain.site import Peer
from node.scp.admission import Admitted, Asked, Policy, Refused, Rule, admit, may_send


def peer(title: str, host: str = "10.0.0.5", may: tuple[str, ...] = ("send",)) -> Peer:
    """A peer of the site."""
    return Peer(
        name=title.lower(),
        ae_title=AETitle(title),
        host=host,
        port=104,
        may=frozenset(may),
        proof="none",
    )


def asked(calling: str = "PACS", called: str = "PCTNODE", address: str = "10.0.0.5") -> Asked:
    """An association request."""
    return Asked(calling_ae=calling, called_ae=called, address=address)


def addresses_of(host: str) -> frozenset[str]:
    """Names as a test's DNS knows them."""
    names = {"pacs.example": {"10.0.0.5", "fd00::5"}, "away.example": set()}
    return frozenset(names.get(host, {host}))


def decide(question: Asked, *peers: Peer, accept_unknown: bool = False) -> Admitted | Refused:
    """Admit with our two titles."""
    policy = Policy(ae_titles=("PCTNODE", "MRSCT"), peers=peers, accept_unknown=accept_unknown)
    return admit(question, policy, addresses_of)


@pytest.mark.parametrize(
    ("question", "host"),
    [
        (asked(), "10.0.0.5"),
        (asked(called="MRSCT"), "10.0.0.5"),
        (asked(), "pacs.example"),
        (asked(address="::ffff:10.0.0.5"), "10.0.0.5"),
        (asked(address="fd00:0::5"), "pacs.example"),
        (asked(address="fe80::1%eth0"), "fe80::1"),
    ],
)
def test_a_peer_from_its_own_address_is_let_in(question: Asked, host: str) -> None:
    """Title and address must fit, in whatever spelling the socket gives the address."""
    decision = decide(question, peer("PACS", host))

    assert isinstance(decision, Admitted)
    assert decision.peer is not None
    assert decision.peer.name == "pacs"


@pytest.mark.parametrize(
    ("question", "rejection", "words"),
    [
        (asked(called="OTHER"), (1, 1, 7), ["'OTHER'", "PCTNODE or MRSCT", "10.0.0.5"]),
        (asked(called="pctnode"), (1, 1, 7), ["'pctnode'"]),
        (asked(calling="NOBODY"), (1, 1, 3), ["'NOBODY'", "known AE titles: PACS"]),
        (asked(calling=""), (1, 1, 3), ["gives no calling AE title", "10.0.0.5"]),
        (asked(calling="PA\\xe9CS"), (1, 1, 3), ["xe9CS", "printable ASCII"]),
        (asked(called=""), (1, 1, 7), ["called no AE title"]),
        (asked(address="10.0.0.6"), (1, 1, 3), ["10.0.0.6", "'pacs'", "10.0.0.5"]),
    ],
)
def test_refusals_name_rule_value_and_remedy(
    question: Asked, rejection: tuple[int, int, int], words: list[str]
) -> None:
    """A refusal carries PS3.8's codes, the value that arrived and what to do."""
    decision = decide(question, peer("PACS"))

    assert isinstance(decision, Refused)
    assert (decision.result, decision.source, decision.reason) == rejection
    assert all(word in decision.sentence for word in words), decision.sentence
    assert decision.remedy.endswith(".")


def test_unknown_peers_may_be_accepted_but_not_impostors() -> None:
    """Accepting unknown titles does not let another host use a known one."""
    unknown = decide(asked(calling="NOBODY"), peer("PACS"), accept_unknown=True)
    impostor = decide(asked(address="10.0.0.6"), peer("PACS"), accept_unknown=True)

    assert unknown == Admitted(peer=None)
    assert isinstance(impostor, Refused)


def test_a_name_that_does_not_resolve_is_a_passing_refusal() -> None:
    """A name service that is away is no reason to tell the peer never to come again."""
    decision = decide(asked(), peer("PACS", "away.example"))

    assert isinstance(decision, Refused)
    assert (decision.result, decision.source, decision.reason) == (2, 1, 1)
    assert "away.example" in decision.sentence


def test_a_peer_may_send_only_when_told_so() -> None:
    """Permission comes from the peer; an unknown one that was let in has it."""
    assert may_send(peer("PACS"))
    assert not may_send(peer("TPS", may=("query",)))
    assert may_send(None)


def test_even_an_open_node_wants_a_title() -> None:
    """A blank title could never be told from another in the records."""
    decision = decide(asked(calling=""), accept_unknown=True)

    assert isinstance(decision, Refused)
    assert decision.rule is Rule.NOT_A_TITLE


@pytest.mark.parametrize(
    ("version", "names", "rule"),
    [
        ("", (), Rule.TLS_NEEDED),
        ("TLSv1.3", ("other.example",), Rule.CERTIFICATE),
        ("TLSv1.3", (), Rule.CERTIFICATE),
        ("TLSv1.3", ("PACS.example", "10.0.0.5"), None),
    ],
)
def test_a_peer_of_tls_comes_over_tls_with_its_certificate(
    version: str, names: tuple[str, ...], rule: Rule | None
) -> None:
    """Neither a plain connection nor another machine's certificate stands for the peer."""
    known = replace(peer("PACS"), tls=True, tls_name="pacs.example")

    decision = decide(replace(asked(), tls_version=version, certificate_names=names), known)

    assert (decision.rule if isinstance(decision, Refused) else None) is rule
