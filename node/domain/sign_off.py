"""For which scanner and protocol a model is signed off: elsewhere its results are RESEARCH."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from node.domain.errors import Rejected
from node.domain.instance import Instance

RESEARCH = "RESEARCH"
"""What SeriesDescription of an sCT begins with where no sign-off stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What made the MR."""

    manufacturer: str
    scanner: str
    """ManufacturerModelName."""
    protocol: str
    """ProtocolName; the SeriesDescription of an MR that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a model is signed off for; ``*`` stands for anything, case does not count."""

    manufacturer: str
    scanner: str
    protocol: str

    def covers(self, source: Source) -> bool:
        """Whether every part fits; what an MR does not say fits nothing."""
        pairs = (
            (self.manufacturer, source.manufacturer),
            (self.scanner, source.scanner),
            (self.protocol, source.protocol),
        )
        return all(told and fnmatchcase(told.upper(), asked.upper()) for asked, told in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOff:
    """A person's word that a model may leave as more than RESEARCH."""

    id: int
    scope: Scope


def source_of(header: Instance) -> Source:
    """What made the MR of that header."""
    return Source(
        manufacturer=header.manufacturer.strip(),
        scanner=header.model_name.strip(),
        protocol=header.protocol_name.strip() or header.series_description.strip(),
    )


def checked_scope(**parts: str) -> Scope:
    """A scope that names something in each part; `Rejected` for one that would cover anything."""
    trimmed = {name: " ".join(text.split()) for name, text in parts.items()}
    for name, text in trimmed.items():
        if not any(c.isalnum() for c in text) or len(text) > 64:
            raise Rejected(
                f"The {name} of a sign-off names nothing.",
                code="SCOPE",
                remedy="Name manufacturer, scanner and protocol, each with 64 characters at most.",
            )
    return Scope(**trimmed)


def covering(sign_offs: Iterable[SignOff], source: Source) -> int | None:
    """The id of the first sign-off that covers ``source``; None: its sCT is RESEARCH."""
    return next((s.id for s in sign_offs if s.scope.covers(source)), None)


def is_research(plan: dict[str, Any]) -> bool:
    """Whether a recorded plan's sCT says that it is RESEARCH."""
    return str(plan.get("status_label", RESEARCH)).startswith(RESEARCH)
