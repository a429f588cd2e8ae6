"""How two versions of one SOP instance differ, by what hangs on the attribute that differs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Aspect(StrEnum):
    """What an attribute decides."""

    IDENTITY = "identity"
    """Whose image it is, and where it is filed."""
    GEOMETRY = "geometry"
    """Where it lies."""
    PIXELS = "pixels"
    """What it shows."""
    SCALING = "scaling"
    """What its numbers mean."""
    EXAMINATION = "examination"
    """What the checks and the routes judge it by."""
    OTHER = "other"
    """Nothing that the node does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One attribute that two versions do not say alike."""

    aspect: Aspect
    attribute: str
    """Keyword, or the tag where it has none; of a nested one, its own."""
    old: str
    """What the version says that came first; empty where it says nothing."""
    new: str

    @property
    def matters(self) -> bool:
        """Whether the node may not take one version for the other."""
        return self.aspect is not Aspect.OTHER

    def as_json(self) -> dict[str, str]:
        """Give JSON values."""
        return {
            "aspect": self.aspect.value,
            "attribute": self.attribute,
            "old": self.old,
            "new": self.new,
        }


def read_difference(value: Mapping[str, Any]) -> Difference:
    """Give back what `Difference.as_json` wrote."""
    return Difference(
        aspect=Aspect(value["aspect"]),
        attribute=value["attribute"],
        old=value["old"],
        new=value["new"],
    )


def what_matters(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Those for which one version may not be taken for the other."""
    return tuple(d for d in found if d.matters)
