"""Which route a series takes, and why not the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.domain.instance import Instance
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
