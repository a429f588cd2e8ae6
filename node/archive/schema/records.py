"""Values that go into the index and come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What one association brought of one study."""

    received: bool
    """Whether it came; else it was sent."""
    ae_title: str
    """Of the peer."""
    address: str
    """IP address or host name of the peer."""
    study_instance_uid: str
    patient_id: str
    classes: Mapping[str, int]
    """How many instances of each SOP class."""
    new: bool = True
    """Whether any of it was not there before."""
    whole: bool = True
    """Whether nothing of it was refused or left over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """One SOP instance whose bytes are durable."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    path: str
    """Of the Part 10 file, relative to the data folder."""
    size: int
    """Bytes of the file."""
    sha256: str
    """Of the data set as it came (or of the file: the receiver decides, and compares the same)."""
    received_at: datetime
    """When the last byte came, aware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The association, or the request, that an instance came with."""

    key: str
    """Names it among all there ever were."""
    holder: str
    """The process that has it; see `node.archive.evidence.holders`."""
    kind: str
    """``association`` or ``request``."""
    address: str
    opened_at: float
    """Seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedHeader:
    """What is indexed of the series an instance belongs to, and who sent it."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    series_description: str
    body_part: str
    modality: str
    calling_ae: str
    called_ae: str
    peer: str | None = None
    """Name of the peer that sent it; None for an unknown one."""
    values: Mapping[int, bytes] = field(default_factory=dict)
    """Raw values by tag, as `node.archive.headers.header_reader` reads them, for queries."""
    transfer_syntax_uid: str = ""
    """How they are encoded."""
    origin: Origin | None = None
    """What it came with; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A SOP instance that came again with other bytes, kept aside."""

    sop_instance_uid: str
    series_instance_uid: str
    path: str
    """Where the second version lies, relative to the data folder."""
    size: int
    sha256: str
    calling_ae: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRecord:
    """One association another AE opened, written when it ends or is refused."""

    opened_at: datetime
    closed_at: datetime
    calling_ae: str
    called_ae: str
    address: str
    """IP address it came from."""
    peer: str | None
    """Name of the peer; None for an unknown one."""
    accepted: bool
    sentence: str
    """How it ended, or why it was refused and what to do."""
    rule: str = ""
    """Which rule refused it (`node.scp.admission.Rule`); empty when it was let in."""
    remedy: str = ""
    """What to do about a refusal."""
    contexts: tuple[Mapping[str, Any], ...] = ()
    """Presentation contexts offered: sop_class, offered syntaxes, accepted syntax or why not."""
    implementation: str = ""
    """Implementation version name, or class UID, of the peer."""
    tls: str = ""
    """TLS version and the name in the peer's certificate; empty without TLS."""
    services: Mapping[str, int] = field(default_factory=dict)
    """Requests answered, by name: ``C-ECHO``, ``C-STORE`` and so on."""
    received_bytes: int = 0
    """Of data sets that arrived."""
    receiving_s: float = 0.0
    """From the acceptance to the last instance's answer; with the bytes, the throughput."""
    stored: int = 0
    """Instances stored."""
    duplicates: int = 0
    """Instances that were there already, byte for byte."""
    conflicts: int = 0
    """Instances kept aside."""
    failures: int = 0
    """Instances answered with a failure."""
    transfers: tuple[Transfer, ...] = ()
    """What arrived, by study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at one revision of a series."""

    id: int
    series_id: int
    series_instance_uid: str
    revision: int
    attempt: int
    workflow_id: str
    peer: str | None
    """Who sent the series, for the routes."""
    called_ae: str
    predecessor_series_uid: str | None
    """Series Instance UID of the sCT this one replaces; None for the first."""
    plan: Mapping[str, Any] | None
    """The plan as JSON values, recorded once; None before it is made."""
    created_at: datetime
    """When it was taken up: the time written into the sCT."""
    released: bool
    model: str | None = None
    """The model a person asked for instead of the route's; None where nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run that has neither ended nor been replaced."""

    id: int
    workflow_id: str
    turn: int
    """Its place among what waits: the lower, the sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One object the node made."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    number: int
    """InstanceNumber."""
    kind: str
    """``ct``."""
    stack: int
    """Which stack of the series it was made of, from 0."""
    path: str
    """Relative to the data folder."""
    size: int
    sha256: str
    """Of the file."""
    values: Mapping[int, bytes] = field(default_factory=dict)
    """Raw values by tag, as `header_reader` reads them, for queries; only on the way in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """The delivery of one run to one destination."""

    id: int
    run_id: int
    destination: str
    """Name of the peer."""
    state: str
    """A value of `node.domain.states.DeliveryState`."""
    attempts: int
    """Associations tried so far."""
    tries: int
    """Workflows asked for so far; part of the next one's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEntry:
    """A peer or route added at run time."""

    kind: str
    """``peer`` or ``route``."""
    name: str
    mapping: Mapping[str, Any] = field(default_factory=dict)
    """As `node.domain.site.read_site` reads it."""
    who: str
    at: datetime
