"""Delivery of one run to one destination: one try is one workflow, the next is asked for later.

Waiting between tries is a time in our own row, not a sleeping workflow: it holds no slot, survives
restarts and upgrades, and a person may shorten it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy.exc import DBAPIError

from node.archive.evidence.damage import Guard, held_output
from node.archive.files import Folder
from node.archive.rows.delivery_values import Answer, DeliveryJob
from node.archive.schema.records import OutputFile
from node.archive.work.deliveries import LONGEST_WAIT_S, Deliveries
from node.crashpoints import reach
from node.dicom.intact import NotIntact
from node.domain.errors import Defect, NodeError, Retryable
from node.domain.site import Peer, Site
from node.flow import engine
from node.flow.destinations import Destination
from node.flow.proof import Prover
from node.log import get_logger
from node.scu.store import Outgoing

log = get_logger(__name__)

# A status is one durable commit; a crash between two of them sends at most so many again, and the
# same SOP instance sent again is the same SOP instance.
_RECORD_EVERY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRule:
    """When to try a destination again that was away."""

    first_s: float = 5.0
    factor: float = 2.0
    longest_s: float = LONGEST_WAIT_S
    attempts: int = 150
    """About a day; then a person must act."""
    before_failover: int = 3
    """Attempts at a destination that is away, before its failover gets the objects."""

    def delay_s(self, attempts: int) -> float:
        """How long to wait after so many attempts."""
        return min(self.longest_s, self.first_s * self.factor ** min(attempts - 1, 30))


class DeliveryWork:
    """Sends what is missing at a destination."""

    def __init__(
        self,
        *,
        folder: Folder,
        deliveries: Deliveries,
        site: Callable[[], Site],
        destinations: Mapping[str, Destination],
        retry: RetryRule,
        calling_ae: str,
        prover: Prover,
    ) -> None:
        self._folder = folder
        self._deliveries = deliveries
        self._site = site
        self._destinations = destinations
        self._retry = retry
        self._calling_ae = calling_ae
        self._prover = prover

    def run(self, delivery_id: int, number: int) -> str:
        """The workflow: one try. Its outcome is in the row of the delivery."""
        return str(engine.step("send", self.attempt, delivery_id, number, retry_on=Retryable))

    def attempt(self, delivery_id: int, number: int) -> str:
        """Send what the destination has not stored yet; a repeated try sends what is missing."""
        try:
            return self._attempt(delivery_id, number)
        except DBAPIError as error:
            # `orig` is the driver's own sentence; the whole error would carry the row's values.
            log.warning("delivery_without_database", delivery=delivery_id, reason=str(error.orig))
            raise Retryable("The database does not answer.") from error

    def _attempt(self, delivery_id: int, number: int) -> str:
        job = self._deliveries.begin(delivery_id, number)
        if job is None:
            return "nothing to do"
        reach("delivery.begun")
        try:
            return self._send(job, number)
        except _Stopped:
            log.info("delivery_halted", delivery=delivery_id)
            return "stopped"
        except Retryable as error:
            if self._diverted(job, number, error):
                return "diverted"
            return self._later(job, number, error)
        except NodeError as error:
            if self._diverted(job, number, error):
                return "diverted"
            log.warning("delivery_stopped", delivery=delivery_id, reason=error.message)
            return self._failed(job, number, str(error))
        except DBAPIError:
            raise
        except Exception:  # a worker's edge: one delivery must not stop the others
            log.exception("delivery_defect", delivery=delivery_id)
            sentence = "A defect of the node stopped the delivery; the log has the details."
            return self._failed(job, number, sentence)

    def _send(self, job: DeliveryJob, number: int) -> str:
        name = job.via or job.destination
        peer = self._site().peer(name)
        if peer is None:
            sentence = f"There is no peer {name} any more; add it and send again."
            return self._failed(job, number, sentence)
        if not job.total:
            return self._failed(job, number, "Not sent: its objects are not here any more.")
        if job.proof:
            return self._prover.look(job, peer, number)
        with _Answers(self._deliveries, job, number, peer) as answers:
            self._destinations["dicom"].send(
                peer,
                self._files(job),
                calling_ae=self._calling_ae,
                leaving=answers.leaving,
                answered=answers,
            )
        reach("delivery.sent")
        proof = "" if peer.proof == "none" else peer.proof
        stands = f", which stands in for {job.destination}" if job.via else ""
        sentence = f"{job.total} objects stored at {peer.name}{stands}."
        if proof:
            sentence += f" Waiting for the proof it asks for ({proof})."
        sentence += answers.remarks
        self._deliveries.sent(job.delivery_id, number, sentence, proof=proof)
        log.info("delivery_sent", delivery=job.delivery_id, destination=peer.name)
        reach("delivery.recorded")
        return "sent"

    def _diverted(self, job: DeliveryJob, number: int, error: NodeError) -> bool:
        """Turn to the peer that stands behind the destination, if there is one to turn to."""
        peer = self._site().peer(job.destination)
        tired = isinstance(error, Retryable) and job.attempts < self._retry.before_failover
        # A withdrawal goes to whoever has the sCT, and to nobody in his place.
        if peer is None or not peer.failover or job.via or job.proof or job.withdraws or tired:
            return False
        sentence = f"{error} Sent to {peer.failover} instead, which stands in for it."
        self._deliveries.divert(job.delivery_id, number, peer.failover, sentence)
        reach("delivery.diverted")
        log.warning("delivery_diverted", delivery=job.delivery_id, to=peer.failover)
        return True

    def _failed(self, job: DeliveryJob, number: int, sentence: str) -> str:
        self._deliveries.failed(job.delivery_id, number, sentence)
        return "failed"

    def _later(self, job: DeliveryJob, number: int, error: Retryable) -> str:
        if job.attempts >= self._retry.attempts:
            return self._failed(job, number, f"Given up after {job.attempts} attempts. {error}")
        delay_s = self._retry.delay_s(job.attempts)
        log.warning("delivery_later", delivery=job.delivery_id, delay_s=delay_s)
        sentence = f"{error} Attempt {job.attempts}; the next one in {delay_s:.0f} s."
        self._deliveries.later(job.delivery_id, number, sentence, delay_s)
        return "later"

    def _files(self, job: DeliveryJob) -> list[Outgoing]:
        return [
            Outgoing(
                sop_class_uid=f.sop_class_uid,
                sop_instance_uid=f.sop_instance_uid,
                transfer_syntax_uid=f.transfer_syntax_uid,
                path=self._intact(f),
                digest=held_output(f).digest,
            )
            for f in job.files
        ]

    def _intact(self, file: OutputFile) -> Path:
        """Where the object lies, byte for byte as it was made: no receiver could tell."""
        try:
            return Guard(self._deliveries.engine, self._folder).path(held_output(file))
        except NotIntact:
            raise Defect(
                f"The file of object {file.sop_instance_uid} is not what was made.",
                remedy="Run pctnode check --deep; restore it, or run the series again.",
            ) from None


class _Stopped(NodeError):
    """Somebody has stopped the delivery; its row says so."""


class _Answers:
    """Keeps what a destination answered, a few instances to a commit.

    Raises `_Stopped` once nothing more is to be sent.
    """

    def __init__(self, deliveries: Deliveries, job: DeliveryJob, number: int, peer: Peer) -> None:
        self._deliveries = deliveries
        self._job = job
        self._number = number
        self._peer = peer
        self._classes = {f.sop_instance_uid: f.sop_class_uid for f in job.files}
        self._stored: Counter[str] = Counter()
        self._remarks: list[str] = []
        self._count = 0
        self._new: list[Answer] = []

    @property
    def remarks(self) -> str:
        """A sentence about objects that were stored with a warning; empty without."""
        if not self._remarks:
            return ""
        return f" Remarks on {len(self._remarks)} of them, the last: {self._remarks[-1]}."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        if self._stored:
            self._deliveries.transferred(
                self._job.delivery_id,
                self._stored,
                str(self._peer.ae_title),
                self._peer.host,
                whole=self._stored.total() == len(self._job.files),
            )

    def leaving(self) -> None:
        """Write down where the objects may be from now on; `_Stopped` when they must not go."""
        job, peer = self._job, self._peer
        if not self._deliveries.leaving(job.delivery_id, self._number, peer.name, peer.host):
            raise _Stopped("The delivery was stopped.")
        reach("delivery.leaving")

    def __call__(self, answer: Answer) -> None:
        self._count += 1
        if answer.stored and answer.status:  # stored, and perhaps not as it was sent
            self._remarks.append(answer.sentence)
        if answer.stored:
            self._stored[self._classes[answer.sop_instance_uid]] += 1
        self._new.append(answer)
        if len(self._new) >= _RECORD_EVERY and not self._flush():
            raise _Stopped("The delivery was stopped.")
        if self._count == max(1, len(self._job.files) // 2):
            reach("delivery.partial")

    def _flush(self) -> bool:
        new, self._new = self._new, []
        return self._deliveries.record(self._job.delivery_id, self._number, new)
