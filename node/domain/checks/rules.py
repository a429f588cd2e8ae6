"""What all acceptance checks share: the rules they apply and how they name slices."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from node.domain.findings import Finding, Severity
from node.domain.instance import Slice
from node.domain.stack import Stack

MAX_UIDS = 200
"""A finding names at most so many instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the route and the model allow; the defaults are the strictest."""

    allow_derived: bool = False
    assume_patient_position: str = "HFS"
    allow_patient_positions: tuple[str, ...] = ()
    distortion_corrected: bool = False
    least_slices: int = 10
    least_extent_mm: float = 80.0
    """Smallest extent along the normal: half a head's width cannot be completed."""
    thickest_mm: float = 7.0
    """Largest distance between slices the model was made for."""
    model: str = ""
    body_parts: tuple[str, ...] = ()
    """BodyPartExamined values the model was made for; empty: any."""
    region: str = ""
    """The same in a person's words."""
    field_strengths_t: tuple[float, ...] = ()
    """Field strengths the model was made for; empty: any."""
    echo_time_ms: tuple[float, float] | None = None
    """Echo times the model was made for; None: any."""
    repetition_time_ms: tuple[float, float] | None = None
    contrast_agent: bool = False
    """Whether the model was made for images with contrast agent, too."""
    least_fov_mm: float = 0.0
    """In-plane field of view that holds the whole region; 0: any."""
    actions: Mapping[str, Severity] = field(default_factory=dict)
    """What the route does about a code, where it wishes otherwise than the table."""


Check: TypeAlias = Callable[[Stack, Rules], Finding | None]


def place(s: Slice) -> str:
    """Where a slice lies, for a sentence."""
    where = " ".join(f"{round(v, 2) + 0.0:.6g}" for v in s.frame.position_mm or ())
    if s.instance.number_of_frames > 1:
        return f"frame {s.frame.number + 1} ({where})"
    number = s.instance.instance_number
    return f"image {number} ({where})" if number is not None else f"({where})"


def typed(image_type: Sequence[str]) -> str:
    """ImageType as DICOM writes it."""
    return "\\".join(image_type) or "missing"


def uids_of(slices: Sequence[Slice]) -> tuple[str, ...]:
    """SOP Instance UIDs, each once, at most `MAX_UIDS`."""
    return tuple(dict.fromkeys(s.instance.sop_instance_uid for s in slices))[:MAX_UIDS]
