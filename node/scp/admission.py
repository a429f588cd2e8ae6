"""May this application entity open an association? One decision, without a socket."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from node.domain.site import Peer

# PS3.8 table 9-21: result, source and reason of an A-ASSOCIATE-RJ.
PERMANENT, TRANSIENT = 1, 2
SERVICE_USER, PRESENTATION = 1, 3
NO_REASON, CALLING_UNKNOWN, CALLED_UNKNOWN = 1, 3, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an A-ASSOCIATE-RQ says, and where it came from."""

    calling_ae: str
    called_ae: str
    address: str
    """IP address of the connection."""


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

    result: int
    source: int
    reason: int
    sentence: str
    """The rule, and the value that arrived."""
    remedy: str


def admit(
    asked: Asked, policy: Policy, addresses_of: Callable[[str], frozenset[str]]
) -> Admitted | Refused:
    """Decide by called AE title, calling AE title and address, in this order.

    ``addresses_of`` gives the addresses of a host name, none when it cannot be resolved now.
    """
    if asked.called_ae not in policy.ae_titles:
        return _wrong_called(asked, policy)
    named = [peer for peer in policy.peers if peer.ae_title == asked.calling_ae]
    if not named:
        if policy.accept_unknown:
            return Admitted(peer=None)
        return _unknown_calling(asked, policy)
    address = _plain_address(asked.address)
    known = [(peer, {_plain_address(a) for a in addresses_of(peer.host)}) for peer in named]
    for peer, addresses in known:
        if address in addresses:
            return Admitted(peer=peer)
    if not any(addresses for _, addresses in known):
        return _unresolved(asked, named[0])
    return _wrong_address(asked, named[0])


def may_send(peer: Peer | None) -> bool:
    """Whether an admitted association may store: unknown ones may, peers when they are told so."""
    return peer is None or "send" in peer.may


def may_query(peer: Peer | None) -> bool:
    """Whether an admitted association may query and retrieve: only peers that are told so."""
    return peer is not None and "query" in peer.may


def _wrong_called(asked: Asked, policy: Policy) -> Refused:
    return Refused(
        result=PERMANENT,
        source=SERVICE_USER,
        reason=CALLED_UNKNOWN,
        sentence=f"{_who(asked)} called AE title {asked.called_ae!r}; this node is "
        f"{' or '.join(policy.ae_titles)}.",
        remedy=f"At the sender, set the called AE title to {policy.ae_titles[0]}.",
    )


def _unknown_calling(asked: Asked, policy: Policy) -> Refused:
    known = ", ".join(sorted(peer.ae_title for peer in policy.peers)) or "none"
    return Refused(
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
        result=TRANSIENT,
        source=SERVICE_USER,
        reason=NO_REASON,
        sentence=f"{_who(asked)} has the AE title of peer {peer.name!r}, whose host {peer.host} "
        "cannot be resolved now.",
        remedy="Repair the name service, or write the peer's host as an address.",
    )


def _who(asked: Asked) -> str:
    return f"{asked.calling_ae!r} at {asked.address}"


def _plain_address(text: str) -> str:
    """One spelling for an address, however the socket gave it."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
