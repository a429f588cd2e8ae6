"""Reports on storage commitments that a peer asked of us and did not wait for."""

from collections.abc import Callable

from node.archive.query.commitments import Commitments, Result
from node.dicom import commitment as data
from node.domain.errors import NodeError, Retryable
from node.domain.site import Site
from node.flow import engine
from node.log import get_logger
from node.scu import commitment

log = get_logger(__name__)

_MOST_TRIES = 40
_LONGEST_S = 600.0


class ReportWork:
    """Makes one report; the next try is a row, not a sleeping workflow."""

    def __init__(
        self,
        commitments: Commitments,
        judge: Callable[[tuple[tuple[str, str], ...]], Result],
        site: Callable[[], Site],
        calling_ae: str,
    ) -> None:
        self._commitments = commitments
        self._judge = judge
        self._site = site
        self._calling_ae = calling_ae

    def run(self, commitment_id: int, number: int) -> str:
        """The workflow: one try."""
        return str(engine.step("report", self.attempt, commitment_id, number, retry_on=Retryable))

    def attempt(self, commitment_id: int, number: int) -> str:
        """Report on an association of ours."""
        owed = self._commitments.get(commitment_id)
        if owed is None or owed.tries != number:
            return "nothing to do"
        peer = self._site().peer(owed.peer)
        if peer is None:
            self._commitments.give_up(commitment_id, f"There is no peer {owed.peer} any more.")
            return "given up"
        result = self._judge(owed.instances)
        classes = {uid: sop_class for sop_class, uid in owed.instances}
        information = data.report(owed.transaction_uid, result.stored, result.failed, classes)
        try:
            commitment.report(
                peer, information, failures=bool(result.failed), calling_ae=self._calling_ae
            )
        except Retryable as error:
            return self._later(commitment_id, number, error)
        except NodeError as error:
            self._commitments.give_up(commitment_id, str(error))
            log.warning("commitment_report_refused", peer=peer.name, reason=error.message)
            return "given up"
        self._commitments.reported(commitment_id, result)
        log.info("commitment_reported", peer=peer.name, stored=len(result.stored))
        return "reported"

    def _later(self, commitment_id: int, number: int, error: Retryable) -> str:
        if number + 1 >= _MOST_TRIES:
            self._commitments.give_up(commitment_id, f"Given up after {number + 1} tries. {error}")
            return "given up"
        delay_s = min(_LONGEST_S, 5.0 * 2.0 ** min(number, 10))
        self._commitments.report_later(commitment_id, number, str(error), delay_s)
        return "later"
