"""Which route a series takes, and why not the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from node.domain.codes.table import CODES
from node.domain.findings import Finding, Severity, finding
from node.domain.instance import Instance
from node.domain.plan import ReleasePolicy
from node.domain.site import Route, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sent a series, as far as it is known."""

    peer: str | None
    """Name of the peer; None for an unknown one, and where it is not known who sent it."""
    called_ae: str
    """AE title it called; empty for what did not come by C-STORE."""
    whoever: bool = False
    """Whether routes of every sender are tried: for a folder of files."""


FOLDER = Sender(peer=None, called_ae="", whoever=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of a series one sender brought."""

    sender: Sender
    calling_ae: str
    instances: int

    @property
    def told(self) -> str:
        """The sender in a few words."""
        name = self.sender.peer or self.calling_ae or "?"
        return f"{name} → {self.sender.called_ae}" if self.sender.called_ae else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The first route whose conditions hold, and what kept the others."""

    route: Route | None
    reasons: dict[str, str]
    """Route name to the sentence that says why it was not taken."""
    findings: tuple[Finding, ...] = ()
    """What a person has to know where senders disagree."""


def choose(site: Site, header: Instance, sender: Sender) -> Choice:
    """The first matching route of ``site`` in its order."""
    reasons: dict[str, str] = {}
    for route in site.routes:
        reason = why_not(route, header, sender)
        if reason is None:
            return Choice(route=route, reasons=reasons)
        reasons[route.name] = reason
    return Choice(route=None, reasons=reasons)


def choose_for_all(site: Site, header: Instance, shares: Sequence[Share]) -> Choice:
    """The route of a series by everybody who sent instances of it, the most of them first.

    Where they lead to different routes the one of the most instances gives model and destinations,
    and the strictest word of any of them counts for everything else. A sender that no route is for
    strands nothing; it is told of.
    """
    choices = [(share, choose(site, header, share.sender)) for share in shares]
    routed = [(share, c.route) for share, c in choices if c.route is not None]
    if not routed:
        return choices[0][1]
    routes = tuple({route.name: route for _, route in routed}.values())
    strays = [share for share, c in choices if c.route is None]
    most = _most(routed)
    return Choice(
        route=strictest(most, routes),
        reasons=next(c.reasons for _, c in choices if c.route is most),
        findings=(*_differ(routed, routes), *_stray(strays, most)),
    )


def strictest(first: Route, routes: Sequence[Route]) -> Route:
    """Route ``first`` with what is allowed by all of ``routes`` and held by any of them."""
    if len(routes) == 1:
        return first
    order = list(ReleasePolicy)
    positions = [set(route.allow_patient_positions) for route in routes]
    same = len({route.assume_patient_position for route in routes}) == 1
    return replace(
        first,
        release=max((route.release for route in routes), key=order.index),
        # What a derived image without a position is taken for must be said by all alike.
        allow_derived=same and all(route.allow_derived for route in routes),
        allow_patient_positions=tuple(
            p for p in first.allow_patient_positions if all(p in other for other in positions)
        ),
        distortion_corrected=all(route.distortion_corrected for route in routes),
        actions=_gravest(routes),
    )


def _gravest(routes: Sequence[Route]) -> dict[str, Severity]:
    """What is to be done about each finding, by the gravest word; the table's where one has none.

    A code whose gravity depends on its check has its usual one there.
    """
    order = list(Severity)
    codes = {code for route in routes for code in route.actions}
    return {
        code: max(
            (route.actions.get(code, Severity(CODES[code].severity)) for route in routes),
            key=order.index,
        )
        for code in sorted(codes)
    }


def _most(routed: Sequence[tuple[Share, Route]]) -> Route:
    """The route of the most instances; of as many, the one whose sender comes first."""
    counts: dict[str, int] = {}
    for share, route in routed:
        counts[route.name] = counts.get(route.name, 0) + share.instances
    name = max(counts, key=lambda key: counts[key])
    return next(route for _, route in routed if route.name == name)


def _differ(routed: Sequence[tuple[Share, Route]], routes: Sequence[Route]) -> list[Finding]:
    if len(routes) == 1:
        return []
    leads = {(route.model, route.deliver_to) for route in routes}
    return [
        finding(
            "SENDERS_DIFFER",
            severity=Severity.HOLD if len(leads) > 1 else None,
            senders="; ".join(f"{s.told} ({s.instances}): {r.name}" for s, r in routed),
        )
    ]


def _stray(strays: Sequence[Share], route: Route) -> list[Finding]:
    if not strays:
        return []
    told = "; ".join(f"{share.told} ({share.instances})" for share in strays)
    return [finding("SENDER_STRAY", senders=told, route=route.name)]


def why_not(route: Route, header: Instance, sender: Sender) -> str | None:
    """None when every condition of ``route`` holds, else the first that does not, in words."""
    senders = route.when.senders
    if senders and not sender.whoever and sender.peer not in senders:
        wanted = " or ".join(senders)
        if sender.peer is None:
            return f"its sender is no known peer; the route asks for {wanted}"
        return f"it came from {sender.peer}, not from {wanted}"
    for attribute, patterns in route.when.patterns.items():
        values = _values(attribute, header, sender)
        if patterns and not _match(values, patterns):
            told = ", ".join(v for v in values if v) or "empty"
            return f"{attribute} is {told}, not {' or '.join(patterns)}"
    return None


def _match(values: Iterable[str], patterns: Iterable[str]) -> bool:
    wanted = [pattern.upper() for pattern in patterns]
    return any(fnmatchcase(value.upper(), pattern) for value in values for pattern in wanted)


def _values(attribute: str, header: Instance, sender: Sender) -> tuple[str, ...]:
    """What a series has for an attribute of a condition; one of them must match."""
    if attribute == "called_ae":
        return (sender.called_ae,)
    if attribute == "scanner":
        return (header.model_name,)
    if attribute == "sequence":  # PS3.3 C.8.3.1: what the vendor calls it, and its kinds
        return (header.sequence_name, *header.scanning_sequence)
    return (str(getattr(header, attribute)),)
