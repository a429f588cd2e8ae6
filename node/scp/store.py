"""C-STORE: the bytes as they came go to the receiver, its answer goes to the sender."""

from pydicom.dataset import Dataset
from pynetdicom import evt

from node.archive.receive import Outcome, ReceiveContext, Receiver
from node.domain.errors import NodeError, Rejected
from node.log import get_logger
from node.scp import status
from node.scp.admission import may_send
from node.scp.visits import Visit, Visits

log = get_logger(__name__)


class StoreHandler:
    """Answers C-STORE requests; one for all associations of a process."""

    def __init__(self, receiver: Receiver, visits: Visits) -> None:
        self._receiver = receiver
        self._visits = visits

    def __call__(self, event: evt.Event) -> Dataset:
        """Store the instance of ``event`` and return the status of the response."""
        visit = self._visits.of(event.assoc)
        try:
            return self._store(event, visit)
        except NodeError as error:
            answer = status.status_of(error)
            log.warning("instance_refused", status=f"{answer.code:04X}", sentence=error.message)
            if visit:
                visit.failed(error.message)
            return status.response(answer, error.message)
        except Exception:
            # The edge of DIMSE: whatever is wrong with us, the sender must hear a failure, keep
            # its instance and the association.
            log.exception("store_failed")
            if visit:
                visit.failed("a fault of the node, see its log")
            return status.response(status.PROCESSING_FAILURE, "Fault of the node, see its log.")

    def _store(self, event: evt.Event, visit: Visit | None) -> Dataset:
        peer = visit.peer if visit else None
        data_set = _data_set(event)
        if visit:
            visit.received(len(data_set))
        if not may_send(peer):
            raise Rejected(
                f"Peer {peer.name if peer else ''!r} may not send.",
                code="NOT_AUTHORISED",
                remedy="Add send to what the peer may do.",
            )
        context = ReceiveContext(
            transfer_syntax_uid=str(event.context.transfer_syntax),
            calling_ae=visit.asked.calling_ae if visit else event.assoc.requestor.ae_title,
            called_ae=visit.asked.called_ae if visit else event.assoc.acceptor.ae_title,
            sop_class_uid=str(event.request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID or ""),
            peer=peer.name if peer else None,
        )
        receipt = self._receiver.receive(data_set, context)
        if visit:
            visit.outcomes[receipt.outcome] += 1
        if receipt.outcome is Outcome.CONFLICT:
            comment = "Another object has this SOP Instance UID; kept aside."
            return status.response(status.CONFLICT, comment)
        return status.response(status.SUCCESS)


def _data_set(event: evt.Event) -> bytes:
    if event.request.DataSet is None:  # PS3.7 9.1.1.1: C-STORE carries a data set
        raise Rejected("The request has no data set.", code="DATA_MISSING", remedy="Send it again.")
    data: bytes = event.encoded_dataset(include_meta=False)
    return data
