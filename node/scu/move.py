"""C-MOVE: have a peer's archive send us a series."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as StudyMove

from node.domain.errors import Rejected, Retryable
from node.domain.site import Peer
from node.scu.association import Timeouts, associate
from node.scu.services import MESSAGE_SYNTAXES

_PENDING = (0xFF00, 0xFF01)
_WHY = {
    0xA701: "it cannot count the matches",
    0xA702: "it could not send them to us",
    0xA801: "it does not know the AE title {destination} as a destination",
    0xA900: "it does not take the identifier",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOutcome:
    """What the peer says it sent."""

    completed: int
    failed: int


def move_series(
    peer: Peer,
    study: str,
    series: str,
    *,
    destination: str,
    calling_ae: str,
    timeouts: Timeouts | None = None,
) -> MoveOutcome:
    """Have ``peer`` send a series to the AE title ``destination``; return when it says it has.

    Raises `Retryable` when it is away or out of resources, `Rejected` when it refuses.
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID, query.SeriesInstanceUID = study, series
    contexts = [build_context(StudyMove, list(MESSAGE_SYNTAXES))]
    last = Dataset()
    with associate(peer, contexts, calling_ae=calling_ae, timeouts=timeouts) as association:
        for status, _ in association.send_c_move(query, destination, StudyMove):
            last = status
            if status.get("Status") not in _PENDING:
                break
    return _outcome(peer, destination, last)


def _outcome(peer: Peer, destination: str, last: Dataset) -> MoveOutcome:
    code = last.get("Status")
    if code is None or code in _PENDING:
        raise Retryable(
            f"{peer.name} broke the association off, or did not end the move.",
            remedy="Look at the peer's log; ask again.",
        )
    completed = int(last.get("NumberOfCompletedSuboperations") or 0)
    completed += int(last.get("NumberOfWarningSuboperations") or 0)
    failed = int(last.get("NumberOfFailedSuboperations") or 0)
    if code in (0x0000, 0xB000):
        return MoveOutcome(completed=completed, failed=failed)
    why = _WHY.get(code, "it gives no reason we know").format(destination=destination)
    sentence = f"{peer.name} answered the move with 0x{code:04X}: {why}."
    remedy = f"Register {destination} there, with this machine's address and our DICOM port."
    if code in (0xA701, 0xA702):
        raise Retryable(sentence, remedy=remedy)
    raise Rejected(sentence, code="MOVE_REFUSED", remedy=remedy)
