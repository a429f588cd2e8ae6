"""May this application entity open an association? One decision, without a socket."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from node.domain.errors import Rejected
from node.domain.names import ae_title
from node.domain.site import Peer

# PS3.8 table 9-21: result, source and reason of an A-ASSOCIATE-RJ.
PERMANENT, TRANSIENT = 1, 2
SERVICE_USER, PRESENTATION = 1, 3
NO_REASON, CALLING_UNKNOWN, CALLED_UNKNOWN = 1, 3, 7
LOCAL_LIMIT = 2  # of the presentation source


class Rule(StrEnum):
    """What an association was refused by."""

    CALLED = "called AE title"
    CALLING = "calling AE title"
    NOT_A_TITLE = "not an AE title"
    ADDRESS = "address of the peer"
    UNRESOLVED = "host of the peer not resolved"
    HANDSHAKE = "TLS handshake"
    TLS_NEEDED = "peer uses TLS"
    CERTIFICATE = "name in the certificate"
    PEER_LIMIT = "associations of the peer"
    NODE_LIMIT = "associations of the node"
    FAULT = "fault of the node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an A-ASSOCIATE-RQ says, and where it came from."""

    calling_ae: str
    """Without padding; what is not printable ASCII is written as an escape."""
    called_ae: str
    address: str
    """IP address of the connection."""
    implementation: str = ""
    """Implementation version name of the peer, else its class UID."""
    tls_version: str = ""
    """Empty without TLS."""
    certificate_names: tuple[str, ...] = ()
    """Names and addresses the peer's certificate stands for."""

    @property
    def tls(self) -> str:
        """TLS version and the certificate's first name, for the record."""
        return " ".join((self.tls_version, *self.certificate_names[:1])).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who may."""

    ae_titles: tuple[str, ...]
    """Titles the node answers to."""
    peers: tuple[Peer, ...]
    accept_unknown: bool
    """Let AE titles in that no peer has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Let in."""

    peer: Peer | None
    """None for an unknown AE title on a node that accepts them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Sent away."""

    rule: Rule
    result: int
    source: int
    reason: int
    sentence: str
    """The rule, and the value that arrived."""
    remedy: str


def admit(
    asked: Asked, policy: Policy, addresses_of: Callable[[str], frozenset[str]]
) -> Admitted | Refused:
    """Decide by called AE title, calling AE title, address and TLS, in this order.

    ``addresses_of`` gives the addresses of a host name, none when it cannot be resolved now.
    """
    if asked.called_ae not in policy.ae_titles:
        return _wrong_called(asked, policy)
    if not _is_title(asked.calling_ae):
        return _no_title(asked)
    named = [peer for peer in policy.peers if peer.ae_title == asked.calling_ae]
    if not named:
        if policy.accept_unknown:
            return Admitted(peer=None)
        return _unknown_calling(asked, policy)
    address = plain_address(asked.address)
    known = [(peer, {plain_address(a) for a in addresses_of(peer.host)}) for peer in named]
    for peer, addresses in known:
        if address in addresses:
            return _with_tls(asked, peer)
    if not any(addresses for _, addresses in known):
        return _unresolved(asked, named[0])
    return _wrong_address(asked, named[0])


def may_send(peer: Peer | None) -> bool:
    """Whether an admitted association may store: unknown ones may, peers when they are told so."""
    return peer is None or "send" in peer.may


def may_query(peer: Peer | None) -> bool:
    """Whether an admitted association may query and retrieve: only peers that are told so."""
    return peer is not None and "query" in peer.may


def peer_is_full(asked: Asked, peer: Peer) -> Refused:
    """Send away one more association than a peer may have."""
    return Refused(
        rule=Rule.PEER_LIMIT,
        result=TRANSIENT,
        source=PRESENTATION,
        reason=LOCAL_LIMIT,
        sentence=f"{_who(asked)} has as many associations open as peer {peer.name!r} may have: "
        f"{peer.max_associations}.",
        remedy="Let the sender end one, or raise max_associations of the peer.",
    )


def node_is_full(asked: Asked, limit: int) -> Refused:
    """Send away one more association than the node serves."""
    return Refused(
        rule=Rule.NODE_LIMIT,
        result=TRANSIENT,
        source=PRESENTATION,
        reason=LOCAL_LIMIT,
        sentence=f"{_who(asked)} came while this acceptor served as many associations as it may: "
        f"{limit}.",
        remedy="The sender may try again; raise [dicom] max_associations or acceptors.",
    )


def no_handshake(asked: Asked, why: str) -> Refused:
    """A connection to the TLS port that came to nothing: there is no association to answer."""
    return Refused(
        rule=Rule.HANDSHAKE,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=NO_REASON,
        sentence=f"A TLS connection from {asked.address} was not taken: {why}.",
        remedy="The sender needs TLS 1.2 or newer and a certificate of an authority in [dicom] "
        "tls.ca, and must trust the node's.",
    )


def fault_of_ours(asked: Asked) -> Refused:
    """Send away for now: what went wrong is in the log."""
    return Refused(
        rule=Rule.FAULT,
        result=TRANSIENT,
        source=SERVICE_USER,
        reason=NO_REASON,
        sentence=f"{_who(asked)} could not be checked.",
        remedy="See the node's log.",
    )


def _with_tls(asked: Asked, peer: Peer) -> Admitted | Refused:
    """A peer that uses TLS comes over TLS, with the certificate it was registered with."""
    if not peer.tls:
        return Admitted(peer=peer)
    if not asked.tls_version:
        return _not_allowed(
            asked,
            Rule.TLS_NEEDED,
            f"came without TLS, and peer {peer.name!r} has tls = true",
            "At the sender, use the node's TLS port; or set tls = false for the peer.",
        )
    wanted = peer.tls_name
    if wanted and wanted.lower() not in [name.lower() for name in asked.certificate_names]:
        has = ", ".join(asked.certificate_names) or "no name"
        return _not_allowed(
            asked,
            Rule.CERTIFICATE,
            f"showed a certificate for {has}; peer {peer.name!r} has tls_name = {wanted}",
            "Correct tls_name of the peer if that is its certificate; else find out who uses its "
            "AE title.",
        )
    return Admitted(peer=peer)


def _not_allowed(asked: Asked, rule: Rule, what: str, remedy: str) -> Refused:
    return Refused(
        rule=rule,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=NO_REASON,
        sentence=f"{_who(asked)} {what}.",
        remedy=remedy,
    )


def _wrong_called(asked: Asked, policy: Policy) -> Refused:
    called = f"AE title {asked.called_ae!r}" if asked.called_ae else "no AE title"
    return Refused(
        rule=Rule.CALLED,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=CALLED_UNKNOWN,
        sentence=f"{_who(asked)} called {called}; this node is {' or '.join(policy.ae_titles)}.",
        remedy=f"At the sender, set the called AE title to {policy.ae_titles[0]}.",
    )


def _no_title(asked: Asked) -> Refused:
    what = f"{asked.calling_ae!r} as" if asked.calling_ae else "no"
    return Refused(
        rule=Rule.NOT_A_TITLE,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=CALLING_UNKNOWN,
        sentence=f"A connection from {asked.address} gives {what} calling AE title; PS3.5 asks for "
        "1 to 16 printable ASCII characters without a backslash.",
        remedy="Set the sender's own AE title, and add a peer with it here.",
    )


def _unknown_calling(asked: Asked, policy: Policy) -> Refused:
    known = ", ".join(sorted(peer.ae_title for peer in policy.peers)) or "none"
    return Refused(
        rule=Rule.CALLING,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=CALLING_UNKNOWN,
        sentence=f"{_who(asked)} is no peer of this node, and unknown peers are refused; "
        f"known AE titles: {known}.",
        remedy=f"Add a peer with AE title {asked.calling_ae} and host {asked.address}, or correct "
        "the calling AE title at the sender.",
    )


def _wrong_address(asked: Asked, peer: Peer) -> Refused:
    return Refused(
        rule=Rule.ADDRESS,
        result=PERMANENT,
        source=SERVICE_USER,
        reason=CALLING_UNKNOWN,
        sentence=f"{_who(asked)} has the AE title of peer {peer.name!r}, whose host is "
        f"{peer.host}.",
        remedy=f"If {asked.address} is that peer, set its host to it; otherwise find out who uses "
        "its AE title.",
    )


def _unresolved(asked: Asked, peer: Peer) -> Refused:
    return Refused(
        rule=Rule.UNRESOLVED,
        result=TRANSIENT,
        source=SERVICE_USER,
        reason=NO_REASON,
        sentence=f"{_who(asked)} has the AE title of peer {peer.name!r}, whose host {peer.host} "
        "cannot be resolved now.",
        remedy="Repair the name service, or write the peer's host as an address.",
    )


def _who(asked: Asked) -> str:
    return f"{asked.calling_ae!r} at {asked.address}"


def _is_title(text: str) -> bool:
    try:
        ae_title(text)
    except Rejected:
        return False
    return True


def plain_address(text: str) -> str:
    """One spelling for an address, however the socket gave it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
