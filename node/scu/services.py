"""What the node asks of others, in one table: services, their SOP classes and transfer syntaxes.

The conformance statement reads it; a test compares it with what is really proposed.
"""

from dataclasses import dataclass

from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from node.domain.storage import STORAGE_KINDS
from node.scu.store import syntaxes_of

MESSAGE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedService:
    """SOP classes proposed in one activity."""

    name: str
    activity: str
    """What the association is opened for."""
    sop_classes: tuple[UID, ...]
    syntaxes: tuple[UID, ...]
    """One presentation context for each."""
    as_it_lies: bool = False
    """An object's own transfer syntax is proposed, too."""


def _storage(kind: str) -> UsedService:
    classes = tuple(UID(u) for u in STORAGE_KINDS[kind])
    return UsedService(
        name="Storage",
        activity="Deliver a synthetic CT; answer a C-MOVE",
        sop_classes=classes,
        syntaxes=tuple(UID(s) for s in syntaxes_of(classes[0])),
        as_it_lies=True,
    )


USED_SERVICES: tuple[UsedService, ...] = (
    UsedService(
        name="Verification",
        activity="Echo a peer, from page or command",
        sop_classes=(Verification,),
        syntaxes=MESSAGE_SYNTAXES,
    ),
    *(_storage(kind) for kind in STORAGE_KINDS),
    UsedService(
        name="Query",
        activity="Look up what was delivered; count a series; pull it",
        sop_classes=(StudyRootQueryRetrieveInformationModelFind,),
        syntaxes=MESSAGE_SYNTAXES,
    ),
    UsedService(
        name="Retrieve",
        activity="Pull a series",
        sop_classes=(StudyRootQueryRetrieveInformationModelMove,),
        syntaxes=MESSAGE_SYNTAXES,
    ),
    UsedService(
        name="Retrieve",
        activity='Compare what was delivered (`proof = "get"`)',
        sop_classes=(StudyRootQueryRetrieveInformationModelGet,),
        syntaxes=MESSAGE_SYNTAXES,
    ),
    UsedService(
        name="Storage Commitment",
        activity="Ask for commitment to what was delivered; report on what a peer asked for",
        sop_classes=(StorageCommitmentPushModel,),
        syntaxes=MESSAGE_SYNTAXES,
    ),
)
