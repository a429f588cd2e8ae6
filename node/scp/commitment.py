"""Storage commitment as SCP, and the reports on what we asked others to commit to (PS3.4 J).

A request is kept durably before it is answered. The report goes out on the same association if the
peer keeps it open, else a worker makes it on a new one, again until it gets through.
"""

import time
from collections.abc import Callable
from typing import Any

from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from sqlalchemy.exc import SQLAlchemyError

from node.archive.files import Folder
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import Commitments, Pairs, Result, judge
from node.containment import Contained
from node.dicom import commitment
from node.domain.errors import NodeError, Rejected
from node.domain.wording import counted
from node.log import get_logger
from node.scp.admission import may_send
from node.scp.association_recorder import Visit, Visits
from node.scp.pynetdicom_hooks import is_quiet, respond

log = get_logger(__name__)

# How long a peer may take to release before the report goes out on its association; and when a
# worker takes over should this process die in between.
GRACE_S = 0.5
_TAKE_OVER_S = 30.0
# How long an acknowledged instance may be without its row, at the most.
_FILING_S = 1.0
_SUCCESS, _NOT_AUTHORISED, _FAILURE = 0x0000, 0x0124, 0x0110
_INVALID_ARGUMENT, _NO_SUCH_ACTION, _UNKNOWN_INSTANCE = 0x0115, 0x0123, 0x0112
_REQUEST, _ALL_STORED, _SOME_FAILED = 1, 1, 2
_Accepted = tuple[int, str, tuple[int, str, Result, dict[str, str]] | None]
"""Status and comment for who asked; number, transaction, result and classes of what was kept."""


class CommitmentService:
    """Serves N-ACTION and takes N-EVENT-REPORT; one for all associations of a process."""

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Folder,
        commitments: Commitments,
        visits: Visits,
        *,
        grace_s: float = GRACE_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._commitments = commitments
        self._visits = visits
        self._grace_s = grace_s
        self._now = now

    def action(self, association: Any, message: Any, context: Any) -> None:
        """Answer a request, then report if the association stays."""
        status, comment, kept = _FAILURE, "Fault of the node, see its log.", None
        # The edge of DIMSE: whatever is wrong with us, who asked must hear a failure.
        with Contained(log, "commitment_failed"):
            status, comment, kept = self._answer(association, message, context)
        self._respond(association, message, context, status, comment)
        if kept is not None:
            self._report(association, context, kept)

    def reported(self, event: evt.Event) -> tuple[int, None]:
        """Keep a peer's report on what we asked it to commit to."""
        visit = self._visits.of(event.assoc)
        peer = visit.peer.name if visit and visit.peer else ""
        status = _FAILURE
        # The edge of DIMSE: the peer must hear that its report was not kept, and send it again.
        with Contained(log, "commitment_report_failed"):
            status = self._keep_report(event.event_information, peer, visit)
        return status, None

    def _keep_report(self, information: Any, peer: str, visit: Visit | None) -> int:
        try:
            transaction, stored, failed = commitment.read_report(information)
            result = Result(stored=tuple(stored), failed=failed)
            known = self._commitments.arrived(transaction, peer, result)
        except NodeError as error:
            log.warning("commitment_unreadable", peer=peer, reason=error.message)
            return _INVALID_ARGUMENT
        log.info("commitment_arrived", peer=peer, stored=len(stored), failed=len(failed))
        if visit:
            visit.note(f"commitment report: {len(stored)} stored, {len(failed)} not")
        return _SUCCESS if known else _INVALID_ARGUMENT

    def _answer(self, association: Any, message: Any, context: Any) -> _Accepted:
        try:
            return self._accept(association, message, context)
        except SQLAlchemyError as error:
            log.warning("commitment_not_kept", reason=type(error).__name__)
            return _FAILURE, "The database does not answer.", None

    def _accept(self, association: Any, message: Any, context: Any) -> _Accepted:
        visit = self._visits.of(association)
        peer = visit.peer if visit else None
        if peer is None or not may_send(peer):
            return _NOT_AUTHORISED, "Only peers that may send get commitments.", None
        if message.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return _UNKNOWN_INSTANCE, "", None
        if message.ActionTypeID != _REQUEST:
            return _NO_SUCH_ACTION, "", None
        syntax = context.transfer_syntax[0]
        try:
            information = decode(
                message.ActionInformation, syntax.is_implicit_VR, syntax.is_little_endian
            )
            transaction, instances = commitment.read_request(information)
        except Rejected as error:
            return _INVALID_ARGUMENT, error.message, None
        if not instances:
            return _INVALID_ARGUMENT, "The request names no instance.", None
        owed = self._commitments.owe(
            transaction, peer.name, instances, report_in_s=_TAKE_OVER_S + self._grace_s
        )
        if visit:
            visit.note(f"commitment asked for {counted(len(instances), 'instance')}")
        classes = {uid: sop_class for sop_class, uid in instances}
        return (
            _SUCCESS,
            "",
            (owed, transaction, self._judge(instances), classes),
        )

    def _judge(self, instances: Pairs) -> Result:
        """Judge, more than once where something is missing.

        What another acceptor has just answered with Success has its row half a second later.
        """
        until = self._now() + _FILING_S
        result = judge(self._catalogue, self._folder, instances)
        while result.failed and self._now() < until:
            time.sleep(_FILING_S / 10)
            result = judge(self._catalogue, self._folder, instances)
        return result

    def _respond(
        self, association: Any, message: Any, context: Any, status: int, comment: str
    ) -> None:
        response = N_ACTION()
        response.MessageIDBeingRespondedTo = message.MessageID
        response.AffectedSOPClassUID = message.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = message.RequestedSOPInstanceUID
        response.ActionTypeID = message.ActionTypeID
        response.Status = status
        if comment:
            response.ErrorComment = comment[:64]
        respond(association, response, context)

    def _report(
        self, association: Any, context: Any, kept: tuple[int, str, Result, dict[str, str]]
    ) -> None:
        owed, transaction, result, classes = kept
        sent = False
        try:
            if self._stays(association):
                status, _ = association.send_n_event_report(
                    commitment.report(transaction, result.stored, result.failed, classes),
                    _SOME_FAILED if result.failed else _ALL_STORED,
                    StorageCommitmentPushModel,
                    StorageCommitmentPushModelInstance,
                )
                sent = status.get("Status") == _SUCCESS
        except (ValueError, RuntimeError, AttributeError) as error:
            log.info("commitment_report_put_off", reason=str(error))
        if sent:
            self._commitments.reported(owed, result)
        else:
            self._commitments.report_later(owed, -1, "To be reported on a new association.", 0.0)

    def _stays(self, association: Any) -> bool:
        """Whether the peer keeps the association open for the report."""
        until = self._now() + self._grace_s
        while self._now() < until:
            if not is_quiet(association):
                return False
            time.sleep(0.01)
        return is_quiet(association)
