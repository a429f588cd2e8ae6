"""Values of a delivery: which try is due, what it has to send, what a destination answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.archive.schema.records import OutputFile


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDelivery:
    """A try that the engine should be asked for."""

    delivery_id: int
    destination: str
    number: int
    """Of the try, from 0."""
    workflow_id: str
    turn: int
    """Of the run it delivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryJob:
    """What one try has to send."""

    delivery_id: int
    destination: str
    attempts: int
    """Associations tried, this one included."""
    files: tuple[OutputFile, ...]
    """What the destination has not confirmed storing yet; where ``proof`` is wanted, everything."""
    total: int
    """Objects of the run."""
    via: str | None = None
    """Name of the peer that stands in for the destination; None: nobody does."""
    proof: str = ""
    """Proof that is wanted of what was sent; empty while it is still to be sent."""
    proof_tries: int = 0
    """Times that proof was looked for."""
    studies: Mapping[str, str] = field(default_factory=dict)
    """Study of each series of the run, where proof is wanted."""
    withdraws: bool = False
    """Whether it is the notice that the sCT must not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a destination said of one object."""

    sop_instance_uid: str
    status: int
    """DIMSE status of its C-STORE."""
    stored: bool
    """Whether the destination has it now."""
    sentence: str
