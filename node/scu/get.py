"""C-GET: fetch a series from a peer's archive on the association of the request."""

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyGet

from node.containment import Contained
from node.domain.errors import Rejected, Retryable
from node.domain.site import Peer
from node.log import get_logger
from node.scu.association import Timeouts, associate
from node.scu.services import MESSAGE_SYNTAXES

log = get_logger(__name__)

_PENDING = (0xFF00, 0xFF01)
_OUT_OF_RESOURCES = (0xA701, 0xA702)
NATIVE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def get_series(
    peer: Peer,
    study: str,
    series: str,
    sop_classes: Sequence[str],
    *,
    calling_ae: str,
    take: Callable[[Dataset], None],
    timeouts: Timeouts | None = None,
) -> None:
    """Have ``peer`` send a series back; ``take`` gets each data set as it comes, native.

    Raises `Retryable` when the peer is away or out of resources, `Rejected` when it refuses.
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = study, series
    contexts = [build_context(StudyGet, list(MESSAGE_SYNTAXES))]
    contexts += [build_context(sop_class, list(NATIVE_SYNTAXES)) for sop_class in sop_classes]
    roles = [build_role(sop_class, scp_role=True) for sop_class in sop_classes]

    def stored(event: evt.Event) -> int:
        # The edge of DIMSE: the peer hears that it was not taken, and so do we by its count.
        with Contained(log, "got_unreadable", peer=peer.name) as edge:
            take(event.dataset)
        return 0xC000 if edge.error else 0x0000

    last = Dataset()
    with associate(
        peer,
        contexts,
        calling_ae=calling_ae,
        timeouts=timeouts,
        roles=roles,
        handlers=[(evt.EVT_C_STORE, stored)],
    ) as association:
        if not any(c.abstract_syntax == StudyGet for c in association.accepted_contexts):
            raise Rejected(
                f"{peer.name} does not offer C-GET to us.",
                code="NO_CONTEXT",
                remedy='Allow it there for our AE title, or choose proof = "find".',
            )
        for status, _ in association.send_c_get(query, StudyGet):
            last = status
            if status.get("Status") not in _PENDING:
                break
    _require_ended(peer, last)


def _require_ended(peer: Peer, last: Dataset) -> None:
    """0xB000, some failed, is an end as well: what did not come is missing."""
    code = last.get("Status")
    if code is None or code in _PENDING:
        raise Retryable(
            f"{peer.name} broke the association off, or did not end the C-GET.",
            remedy="Look at the peer's log; the node asks again.",
        )
    if code in (0x0000, 0xB000):
        return
    sentence = f"{peer.name} answered the C-GET with 0x{code:04X}."
    if code in _OUT_OF_RESOURCES:
        raise Retryable(sentence, remedy="Look at the peer's log; the node asks again.")
    raise Rejected(sentence, code="GET_REFUSED", remedy="Allow C-GET there for our AE title.")
