"""Which route a series takes, and why not the others."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.domain.instance import Instance
from node.domain.site import Route, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sent a series, as far as it is known."""

    peer: str | None
    """Name of the peer; None for an unknown one or a folder."""
    called_ae: str
    """AE title it called; empty for a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The first route whose conditions hold, and what kept the others."""

    route: Route | None
    reasons: dict[str, str]
    """Route name to the sentence that says why it was not taken."""


def choose(site: Site, header: Instance, sender: Sender) -> Choice:
    """The first matching route of ``site`` in its order."""
    reasons: dict[str, str] = {}
    for route in site.routes:
        reason = why_not(route, header, sender)
        if reason is None:
            return Choice(route=route, reasons=reasons)
        reasons[route.name] = reason
    return Choice(route=None, reasons=reasons)


def why_not(route: Route, header: Instance, sender: Sender) -> str | None:
    """None when every condition of ``route`` holds, else the first that does not, in words."""
    if route.when.senders and sender.peer is not None and sender.peer not in route.when.senders:
        return f"it came from {sender.peer}, not from {' or '.join(route.when.senders)}"
    if route.when.senders and sender.peer is None and sender.called_ae:
        return f"its sender is no known peer; the route asks for {' or '.join(route.when.senders)}"
    for attribute, patterns in route.when.patterns.items():
        value = sender.called_ae if attribute == "called_ae" else str(getattr(header, attribute))
        if patterns and not any(fnmatchcase(value.upper(), p.upper()) for p in patterns):
            return f"{attribute} is {value or 'empty'}, not {' or '.join(patterns)}"
    return None
