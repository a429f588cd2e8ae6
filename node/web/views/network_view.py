"""Systems, associations and routes as the page and the interface show them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from node.domain.site import Peer, Route, Site, peer_mapping, route_mapping

Item = dict[str, Any]
# Rules of `node.scp.admission`, as they stand in the association's row.
CALLING_UNKNOWN, WRONG_ADDRESS = "calling AE title", "address of the peer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What a person can do about a refused association with one click and a look."""

    kind: str
    """``add`` or ``host``; its text is ``network.remedy.<kind>``."""
    href: str
    name: str
    """What the button names."""


def peer_item(peer: Peer, echoes: Mapping[str, Item], contacts: Mapping[str, str]) -> Item:
    """A system: its settings, what came of our last echo, and when it last called us."""
    echo = echoes.get(peer.name)
    return peer_mapping(peer) | {
        "source": peer.source,
        "echo": None
        if echo is None
        else {"ok": echo["ok"], "sentence": echo["sentence"], "at": echo["at"].isoformat()},
        "last_contact": contacts.get(peer.name),
    }


def route_item(route: Route) -> Item:
    """A route and where it was configured."""
    return route_mapping(route) | {"source": route.source}


def with_remedies(associations: Iterable[Item], site: Site) -> list[Item]:
    """Associations, each with the remedy that would let it in now; None where there is none."""
    return [a | {"fix": None if a["accepted"] else _remedy(a, site)} for a in associations]


def unused_name(title: str, site: Site) -> str:
    """A peer name for an AE title that no peer has yet."""
    wanted = "".join(c if c.isalnum() or c in "._-" else "-" for c in title.lower()).strip("._-")
    names = {p.name for p in site.peers}
    base = wanted or "system"
    numbered = (base if n == 1 else f"{base}-{n}" for n in range(1, 1000))
    return next(name for name in numbered if name not in names)


def _remedy(association: Item, site: Site) -> Remedy | None:
    title, address, rule = (association[k] for k in ("calling_ae", "address", "rule"))
    peers: Sequence[Peer] = site.peers_titled(title)
    if rule == CALLING_UNKNOWN and not peers:
        query = urlencode({"ae_title": title, "host": address})
        return Remedy(kind="add", href=f"/network/systems/new?{query}", name=title)
    ours = [p for p in peers if p.source == "database" and p.host != address]
    if rule == WRONG_ADDRESS and ours:
        query = urlencode({"host": address})
        return Remedy(kind="host", href=f"/network/systems/{ours[0].name}?{query}", name=address)
    return None
