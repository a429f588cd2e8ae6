"""What the node accepts as SCP, in one table: services, their SOP classes and transfer syntaxes.

A service is one line of `SERVICES`. Negotiation, the records of associations and the conformance
statement all read it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydicom import uid
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from node.domain.site import Peer
from node.domain.storage import STORAGE_KINDS, kind_of

# In our order of preference: of several syntaxes in one presentation context the first here is
# taken (PS3.8 9.3.3.2 leaves the choice to the acceptor). What is exact comes before what may not
# be, and what needs no decoder before what does.
TRANSFER_SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    uid.JPEGExtended12Bit,
    uid.JPEGBaseline8Bit,
)
# Objects without pixel data, and messages that are no objects: nothing to compress.
PLAIN_SYNTAXES = TRANSFER_SYNTAXES[:4]
MESSAGE_SYNTAXES = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
STORAGE_CLASSES = tuple(UID(u) for uids in STORAGE_KINDS.values() for u in uids)
QUERY_CLASSES = (
    StudyRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelFind,
)
NOT_SERVED = "is no class the node serves"
RETRIEVE_CLASSES = (
    StudyRootQueryRetrieveInformationModelMove,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelGet,
)
_WITHOUT_PIXELS = ("RTSTRUCT", "SR", "REG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """SOP classes that are accepted under one condition."""

    name: str
    """For people: the conformance statement, and why a context was refused."""
    sop_classes: tuple[UID, ...]
    syntaxes: tuple[UID, ...]
    right: str | None = None
    """What the peer must be allowed (``may``); None: every admitted peer."""
    peer_is_scp: bool = False
    """The peer takes the SCP role and we send on its association (C-GET, PS3.4 C.5.3)."""


def _storage(kind: str) -> Service:
    plain = kind in _WITHOUT_PIXELS
    return Service(
        name="Storage",
        sop_classes=tuple(UID(u) for u in STORAGE_KINDS[kind]),
        syntaxes=PLAIN_SYNTAXES if plain else TRANSFER_SYNTAXES,
        right="send",
    )


SERVICES: tuple[Service, ...] = (
    Service(name="Verification", sop_classes=(Verification,), syntaxes=MESSAGE_SYNTAXES),
    *(_storage(kind) for kind in STORAGE_KINDS),
    Service(name="Query", sop_classes=QUERY_CLASSES, syntaxes=MESSAGE_SYNTAXES, right="query"),
    Service(
        name="Retrieve", sop_classes=RETRIEVE_CLASSES, syntaxes=MESSAGE_SYNTAXES, right="query"
    ),
    Service(
        name="Storage Commitment",
        sop_classes=(StorageCommitmentPushModel,),
        syntaxes=MESSAGE_SYNTAXES,
        right="send",
    ),
    Service(
        name="Storage Commitment, reports to us",
        sop_classes=(StorageCommitmentPushModel,),
        syntaxes=MESSAGE_SYNTAXES,
        peer_is_scp=True,
    ),
    Service(
        name="Storage, as sub-operations of C-GET",
        sop_classes=STORAGE_CLASSES,
        syntaxes=TRANSFER_SYNTAXES,
        right="query",
        peer_is_scp=True,
    ),
)


def contexts_for(
    peer: Peer | None, *, peer_as_scp: Iterable[str] = ()
) -> list[PresentationContext]:
    """What ``peer`` (None: an unknown one that was let in) may negotiate.

    ``peer_as_scp`` are the SOP classes whose SCP role it asked for in this association.
    """
    if peer is None:
        return list(_contexts(("send",), (), frozenset(peer_as_scp)))
    return list(_contexts(tuple(sorted(peer.may)), peer.accept, frozenset(peer_as_scp)))


def supported_contexts() -> list[PresentationContext]:
    """Everything the node accepts as SCP from a peer that may do everything."""
    return list(_contexts(("query", "send"), (), frozenset()))


def why_refused(peer: Peer | None, sop_class_uid: str) -> str:
    """The rule that kept a context of ``sop_class_uid`` from being accepted, in words."""
    name = UID(sop_class_uid).name
    known = [s for s in SERVICES if sop_class_uid in s.sop_classes and not s.peer_is_scp]
    if not known:
        return f"{name} {NOT_SERVED}"
    if peer is not None and not any(s.right is None or s.right in peer.may for s in known):
        return f"{name}: peer {peer.name} may not {known[0].right}"
    kind = kind_of(sop_class_uid)
    if peer is not None and peer.accept and kind and kind not in peer.accept:
        return f"{name}: peer {peer.name} has accept = {', '.join(peer.accept)}"
    return f"{name}: none of its transfer syntaxes is accepted"


@lru_cache(maxsize=256)
def _contexts(
    may: tuple[str, ...], accept: tuple[str, ...], peer_as_scp: frozenset[str]
) -> tuple[PresentationContext, ...]:
    """Built once for each kind of peer: a context is checked at length when it is made."""
    found: dict[UID, tuple[tuple[UID, ...], bool, bool]] = {}
    for service in SERVICES:
        if service.right is not None and service.right not in may:
            continue
        for sop_class in service.sop_classes:
            if service.peer_is_scp:
                if sop_class not in peer_as_scp:
                    continue
            elif not _is_accepted(sop_class, accept):
                continue
            syntaxes, as_scu, as_scp = found.get(sop_class, ((), False, False))
            merged = tuple(dict.fromkeys((*syntaxes, *service.syntaxes)))
            found[sop_class] = (
                merged,
                as_scu or not service.peer_is_scp,
                as_scp or service.peer_is_scp,
            )
    return tuple(_context(sop_class, *values) for sop_class, values in found.items())


def _is_accepted(sop_class: str, accept: Sequence[str]) -> bool:
    return not accept or kind_of(sop_class) in (None, *accept)


def _context(
    sop_class: UID, syntaxes: Sequence[UID], peer_is_scu: bool, peer_is_scp: bool
) -> PresentationContext:
    context = build_context(sop_class, list(syntaxes))
    if peer_is_scp:  # PS3.7 D.3.3.4: roles are answered only where the peer asked for one
        context.scu_role, context.scp_role = peer_is_scu, peer_is_scp
    return context
