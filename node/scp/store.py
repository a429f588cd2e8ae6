"""C-STORE: the bytes as they came go to the receiver, its answer goes to the sender."""

from collections.abc import Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import evt

from node.archive.files import Spool
from node.archive.headers import header_reader
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Outcome, Receiver
from node.crashpoints import reach
from node.domain.door import CUT_OFF, Ending, refusal_code
from node.domain.errors import Defect, NodeError, Rejected
from node.log import get_logger
from node.scp import status
from node.scp.admission import may_send
from node.scp.association_recorder import Visit, Visits
from node.scp.status import Answer

log = get_logger(__name__)

# Of a data set that is refused or cut off: the UID of its series lies well before.
BEGINNING_BYTES = 64 << 10
_FAULT = Defect("a fault of the node, see its log")


class StoreHandler:
    """Answers C-STORE requests; one for all associations of a process."""

    def __init__(self, receiver: Receiver, visits: Visits) -> None:
        self.receiver = receiver
        self._visits = visits

    def __call__(self, event: evt.Event) -> Dataset:
        """Store the instance of ``event`` and return the status of the response."""
        context = self.context(
            event.assoc,
            str(event.context.transfer_syntax),
            str(event.request.AffectedSOPClassUID or ""),
            str(event.request.AffectedSOPInstanceUID or ""),
        )
        answer = self.answer(event.assoc, context, lambda: _data_set(event))
        return status.response(answer.status, answer.comment)

    def context(
        self, association: Any, transfer_syntax_uid: str, sop_class_uid: str, sop_instance_uid: str
    ) -> ReceiveContext:
        """How an instance of ``association`` arrives."""
        visit = self._visits.of(association)
        peer = visit.peer if visit else None
        return ReceiveContext(
            transfer_syntax_uid=transfer_syntax_uid,
            calling_ae=visit.asked.calling_ae if visit else association.requestor.ae_title,
            called_ae=visit.asked.called_ae if visit else association.acceptor.ae_title,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            peer=peer.name if peer else None,
            origin=visit.offering.origin if visit and visit.offering else None,
        )

    def wait_filed(self) -> None:
        """Wait until what was acknowledged can be found, before anything else is answered."""
        self.receiver.wait_filed()

    def will_abort(self, association: Any, how: str) -> None:
        """Say in the record why the node aborts ``association``."""
        visit = self._visits.of(association)
        if visit:
            visit.abort, visit.ending = how, Ending.STOPPED

    def will_release(self, association: Any) -> None:
        """Write down that the sender is done, before it is answered."""
        visit = self._visits.of(association)
        if visit and visit.offering:
            visit.offering.end(Ending.RELEASED, "Released.")
            reach("store.released")

    def cut_off(self, association: Any, context: ReceiveContext, begun: bytes) -> None:
        """Remember an instance of which only the beginning came."""
        visit = self._visits.of(association)
        if visit and visit.offering:
            named = header_reader.names_in(begun, context.transfer_syntax_uid)
            visit.offering.refused(
                named.sop_instance_uid or context.sop_instance_uid or "",
                CUT_OFF,
                "The association ended in the middle of the data set.",
                named.series_instance_uid,
                named.patient_id,
            )

    def answer(
        self, association: Any, context: ReceiveContext, data_set: Callable[[], bytes | Spool]
    ) -> Answer:
        """Store what ``data_set`` gives; every fault, of the sender or ours, becomes a status."""
        visit = self._visits.of(association)
        arrived: list[bytes | Spool] = []
        try:
            return self._store(visit, context, data_set, arrived)
        except NodeError as error:
            answer = Answer(status.status_of(error), error.message)
            log.warning(
                "instance_refused", status=f"{answer.status.code:04X}", sentence=error.message
            )
            self._refused(visit, context, arrived, error)
            return answer
        except Exception:  # the edge of DIMSE: the sender must hear a failure and keep its image
            log.exception("store_failed")
            self._refused(visit, context, arrived, _FAULT)
            return Answer(status.PROCESSING_FAILURE, "Fault of the node, see its log.")

    def _store(
        self,
        visit: Visit | None,
        context: ReceiveContext,
        data_set: Callable[[], bytes | Spool],
        arrived: list[bytes | Spool],
    ) -> Answer:
        peer = visit.peer if visit else None
        data = data_set()
        arrived.append(data)
        if visit:
            visit.received(data.size if isinstance(data, Spool) else len(data))
        if not may_send(peer):
            raise Rejected(
                f"Peer {peer.name if peer else ''!r} may not send.",
                code="NOT_AUTHORISED",
                remedy="Add send to what the peer may do.",
            )
        receipt = self.receiver.receive(data, context)
        if visit:
            visit.took(receipt)
        if receipt.outcome is Outcome.CONFLICT:
            return Answer(status.CONFLICT, "Contradicts what is held under this UID; kept aside.")
        return Answer(status.SUCCESS)

    def _refused(
        self,
        visit: Visit | None,
        context: ReceiveContext,
        arrived: Sequence[bytes | Spool],
        error: NodeError,
    ) -> None:
        """Remember an instance that is answered with a failure, and of which series it is."""
        if visit is None:
            return
        visit.failed(error.message)
        if visit.offering:
            begun = _beginning(arrived[0]) if arrived else b""
            named = header_reader.names_in(begun, context.transfer_syntax_uid)
            visit.offering.refused(
                # Where command and data set disagree the object is what it says itself.
                named.sop_instance_uid or context.sop_instance_uid or "",
                refusal_code(error),
                error.message,
                named.series_instance_uid,
                named.patient_id,
            )


def _beginning(data: bytes | Spool) -> bytes:
    return data.beginning(BEGINNING_BYTES) if isinstance(data, Spool) else data


def _data_set(event: evt.Event) -> bytes:
    if event.request.DataSet is None:  # PS3.7 9.1.1.1: C-STORE carries a data set
        raise Rejected("The request has no data set.", code="DATA_MISSING", remedy="Send it again.")
    data: bytes = event.encoded_dataset(include_meta=False)
    return data
