"""The site: which peers the node knows and which routes it follows, as one checked value.

The same mapping shape is read from node.toml, from the database and from an import.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.domain.codes.table import CODES
from node.domain.errors import Rejected
from node.domain.findings import Severity
from node.domain.names import AETitle, ae_title
from node.domain.plan import ReleasePolicy
from node.domain.reading import Reader
from node.domain.storage import STORAGE_KINDS

MAY = ("send", "query")
PROOFS = ("none", "commitment", "find", "get")
ASK, ADOPT = "ask", "adopt"
CORRECTIONS = (ASK, ADOPT)
PATIENT_POSITIONS = ("HFS", "FFS", "HFP", "FFP", "HFDR", "HFDL", "FFDR", "FFDL")
WHEN_PATTERNS = (
    "body_part",
    "series_description",
    "protocol_name",
    "manufacturer",
    "scanner",
    "station_name",
    "sequence",
    "called_ae",
)
ACTIONS = {"refuse": Severity.REFUSE, "hold": Severity.HOLD, "warn": Severity.WARNING}
"""What a route may want done about a finding."""
_ACTION_OF = {severity: action for action, severity in ACTIONS.items()}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another application entity."""

    name: str
    ae_title: AETitle
    host: str
    """Name or address; associations it opens must come from there."""
    port: int
    """Where it listens."""
    may: frozenset[str]
    """What it may ask of us: ``send`` (C-STORE), ``query`` (query and retrieve)."""
    proof: str
    """What counts as delivered to it: none, commitment or find."""
    accept: tuple[str, ...] = ()
    """Kinds of object it may send (`node.domain.storage`); empty: every kind the node stores."""
    max_associations: int = 0
    """It may have open at one time; 0: as many as the node serves."""
    tls: bool = False
    """We call it over TLS, and it must call us so."""
    tls_name: str = ""
    """Name or address its certificate must stand for; empty: its host when we call it."""
    urgent: bool = False
    """Whether what it sends comes before what others sent."""
    count: bool = False
    """Ask it how many instances a series it sent has, before the series is worked on."""
    failover: str = ""
    """Name of the peer that gets what this one does not take; empty: nobody."""
    deliveries: int = 1
    """How many series at a time the node sends to it."""
    corrections: str = ASK
    """What is done when it sends images again that say another patient, study or content: ``ask``
    a person, or ``adopt`` it once all images of the series are there."""
    source: str = "file"
    """Where it was configured: ``file`` (read-only) or ``database``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The conditions of a route; an empty one always holds."""

    senders: tuple[str, ...]
    """Names of peers the series may come from."""
    patterns: Mapping[str, tuple[str, ...]]
    """Attribute to shell patterns, compared without case; one of them must match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which series get which model, where their sCT goes, and who releases it."""

    name: str
    when: When
    model: str
    deliver_to: tuple[str, ...]
    release: ReleasePolicy
    allow_derived: bool = False
    """Accept derived images (ImageType DERIVED), whose geometry the site vouches for."""
    assume_patient_position: str = "HFS"
    """PatientPosition of allowed derived images that lack one."""
    allow_patient_positions: tuple[str, ...] = ()
    """PatientPosition values accepted beyond HFS and FFS."""
    distortion_corrected: bool = False
    """The site has verified that this protocol's images are distortion-corrected in 3D."""
    actions: Mapping[str, Severity] = field(default_factory=dict)
    """Code of a finding to what the site wants done about it: refuse, hold or warn."""
    source: str = "file"
    """Where it was configured: ``file`` (read-only) or ``database``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All peers and routes; names and AE titles are unique, every reference resolves."""

    peers: tuple[Peer, ...]
    routes: tuple[Route, ...]

    def peer(self, name: str) -> Peer | None:
        """The peer called ``name``."""
        return next((p for p in self.peers if p.name == name), None)

    def archive(self, name: str) -> Peer:
        """The peer called ``name``, to pull from; `Rejected` when there is none or it may not."""
        peer = self.peer(name)
        if peer is None:
            able = ", ".join(p.name for p in self.peers if "send" in p.may)
            raise Rejected(
                f"Nothing was pulled: there is no peer {name[:64]!r}. "
                "An archive is asked under the name it has here.",
                code="UNKNOWN",
                remedy=f"Name one of those that may send: {able}." if able else
                'Add the archive to the peers, with may = ["send"].',
            )  # fmt: skip
        if "send" not in peer.may:
            raise Rejected(
                f"Nothing was pulled: {name} may not send to us. What it sent would be refused.",
                code="DESTINATION",
                remedy="Add send to what it may do.",
            )
        return peer

    def peers_titled(self, title: str) -> tuple[Peer, ...]:
        """The peers whose AE title is ``title``."""
        return tuple(p for p in self.peers if p.ae_title == title)


def read_site(root: Reader, *, source: str = "file", known: Site | None = None) -> Site:
    """Read ``[[peers]]`` and ``[[routes]]`` of ``root``; raise `BadSetting` at the first fault.

    ``known`` are peers and routes configured elsewhere that these join.
    """
    before = known or Site(peers=(), routes=())
    peers = list(before.peers)
    for reader in root.tables("peers"):
        peers.append(_read_peer(reader, peers, source))
    for reader, peer in zip(root.tables("peers"), peers[len(before.peers) :], strict=True):
        _check_failover(reader, peer, peers)
    routes = list(before.routes)
    for reader in root.tables("routes"):
        routes.append(_read_route(reader, peers, routes, source))
    return Site(peers=tuple(peers), routes=tuple(routes))


def peer_mapping(peer: Peer) -> dict[str, Any]:
    """``peer`` as the mapping `read_site` reads."""
    return {
        "name": peer.name,
        "ae_title": peer.ae_title,
        "host": peer.host,
        "port": peer.port,
        "may": sorted(peer.may),
        "proof": peer.proof,
        "urgent": peer.urgent,
        "failover": peer.failover,
        "count": peer.count,
        "deliveries": peer.deliveries,
        "corrections": peer.corrections,
        "accept": list(peer.accept),
        "max_associations": peer.max_associations,
        "tls": peer.tls,
        "tls_name": peer.tls_name,
    }


def route_mapping(route: Route) -> dict[str, Any]:
    """``route`` as the mapping `read_site` reads."""
    when: dict[str, Any] = {key: list(value) for key, value in route.when.patterns.items()}
    if route.when.senders:
        when["from"] = list(route.when.senders)
    return {
        "name": route.name,
        "when": when,
        "model": route.model,
        "deliver_to": list(route.deliver_to),
        "release": route.release.value,
        "allow_derived": route.allow_derived,
        "assume_patient_position": route.assume_patient_position,
        "allow_patient_positions": list(route.allow_patient_positions),
        "distortion_corrected": route.distortion_corrected,
        "findings": {code: _ACTION_OF[severity] for code, severity in route.actions.items()},
    }


def _read_peer(reader: Reader, before: Iterable[Peer], source: str) -> Peer:
    peer = Peer(
        name=_name(reader),
        ae_title=_title(reader),
        host=_host(reader),
        port=reader.integer("port", low=1, high=65535),
        may=frozenset(reader.texts("may", (), choices=MAY)),
        proof=reader.text("proof", "none", choices=PROOFS),
        urgent=reader.flag("urgent", False),
        failover=reader.text("failover", ""),
        count=reader.flag("count", False),
        deliveries=reader.integer("deliveries", 1, low=1, high=16),
        corrections=reader.text("corrections", ASK, choices=CORRECTIONS),
        accept=reader.texts("accept", (), choices=tuple(STORAGE_KINDS)),
        max_associations=reader.integer("max_associations", 0, high=1000),
        tls=reader.flag("tls", False),
        tls_name=reader.text("tls_name", ""),
        source=source,
    )
    reader.finish()
    for other in before:
        if other.name == peer.name:
            raise reader.fault(
                "name", f"{peer.name!r} is used twice.", "Give each peer its own name."
            )
        if other.ae_title == peer.ae_title:
            raise reader.fault(
                "ae_title",
                f"{peer.ae_title!r} is the AE title of peer {other.name!r} already.",
                "Give each peer its own AE title.",
            )
    return peer


def _check_failover(reader: Reader, peer: Peer, peers: Iterable[Peer]) -> None:
    others = [other.name for other in peers if other.name != peer.name]
    if peer.failover and peer.failover not in others:
        raise reader.fault(
            "failover",
            f"there is no other peer {peer.failover!r}.",
            f"Name one of: {', '.join(others) or 'none'}.",
        )


def _read_route(reader: Reader, peers: list[Peer], before: list[Route], source: str) -> Route:
    names = [p.name for p in peers]
    route = Route(
        name=_name(reader),
        when=_read_when(reader.table("when"), names),
        model=reader.text("model"),
        deliver_to=_known(reader, "deliver_to", names),
        release=ReleasePolicy(
            reader.text("release", "checks-passed", choices=[p.value for p in ReleasePolicy])
        ),
        allow_derived=reader.flag("allow_derived", False),
        assume_patient_position=reader.text(
            "assume_patient_position", "HFS", choices=PATIENT_POSITIONS
        ),
        allow_patient_positions=reader.texts(
            "allow_patient_positions", (), choices=PATIENT_POSITIONS
        ),
        distortion_corrected=reader.flag("distortion_corrected", False),
        actions=_read_actions(reader.table("findings")),
        source=source,
    )
    reader.finish()
    if any(other.name == route.name for other in before):
        raise reader.fault(
            "name", f"{route.name!r} is used twice.", "Give each route its own name."
        )
    return route


def _read_when(reader: Reader, peers: list[str]) -> When:
    senders = _known(reader, "from", peers)
    patterns = {key: reader.texts(key) for key in WHEN_PATTERNS if reader.has(key)}
    for key in WHEN_PATTERNS:  # so that `finish` can offer them all
        reader.texts(key, ())
    reader.finish()
    return When(senders=senders, patterns=patterns)


def _read_actions(reader: Reader) -> dict[str, Severity]:
    """``findings = { SLICES_THICK = "hold" }``: known codes, and none milder than it may be."""
    wanted: dict[str, Severity] = {}
    for code in reader.names():
        if code not in CODES:
            close = difflib.get_close_matches(code.upper(), CODES, n=1)
            raise reader.fault(
                code,
                "is not the code of a finding.",
                f"Did you mean {close[0]}?" if close else "docs/triage.md lists the codes.",
            )
        severity = ACTIONS[reader.text(code, choices=tuple(ACTIONS))]
        if not _may_be(code, severity):
            raise reader.fault(
                code,
                f"cannot be {_ACTION_OF[severity]!r}: it stands for images that cannot be used.",
                "Remove it; the finding is always refused.",
            )
        wanted[code] = severity
    reader.finish()
    return wanted


def _may_be(code: str, severity: Severity) -> bool:
    row, order = CODES[code], list(Severity)
    least = Severity.REFUSE if row.least == Severity.DROP else Severity(row.least)
    return order.index(severity) >= order.index(least)


def _known(reader: Reader, key: str, names: list[str]) -> tuple[str, ...]:
    wanted = reader.texts(key, ())
    for name in wanted:
        if name not in names:
            raise reader.fault(
                key,
                f"there is no peer {name!r}.",
                f"Add a [[peers]] entry of that name; known: {', '.join(names) or 'none'}.",
            )
    return wanted


def _name(reader: Reader) -> str:
    value = reader.text("name")
    if not _NAME.fullmatch(value):
        raise reader.fault(
            "name", f"{value!r} is not a name.", "Use letters, digits, dot, dash and underscore."
        )
    return value


def _title(reader: Reader) -> AETitle:
    value = reader.text("ae_title")
    try:
        return ae_title(value)
    except Rejected as error:
        raise reader.fault("ae_title", error.message, error.remedy) from None


def _host(reader: Reader) -> str:
    value = reader.text("host")
    if _HOST.fullmatch(value):
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise reader.fault(
            "host", f"{value!r} is neither a host name nor an address.", "Write 10.0.0.5 or a name."
        ) from None
