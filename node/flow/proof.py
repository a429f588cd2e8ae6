"""Proof of delivery: that a destination has, by its own word, what was sent to it.

``commitment`` asks for storage commitment (PS3.4 J), ``find`` asks for each series' instances,
``get`` fetches them and compares. What the peer does not have, or has otherwise, is sent again.
"""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath

import pydicom
from pydicom.dataset import Dataset

from node.archive.evidence.damage import held_output
from node.archive.files import Folder
from node.archive.query.commitments import Commitments, Result
from node.archive.rows.delivery_values import DeliveryJob
from node.archive.schema.records import OutputFile
from node.archive.work.deliveries import Deliveries
from node.dicom.equivalence import differences
from node.dicom.intact import read_intact
from node.domain.errors import Defect, Retryable
from node.domain.site import Peer
from node.log import get_logger
from node.scu import commitment
from node.scu.find import find_instances
from node.scu.get import get_series

log = get_logger(__name__)

_WORDS = {
    "find": "found there",
    "commitment": "committed to",
    "get": "fetched back, the same",
}
# An archive may index what it has answered with Success a moment later.
_LOOKED_UP = ("find", "get")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRule:
    """How long a peer may take over its proof."""

    stay_s: float = 5.0
    """How long the association of a commitment request stays open for the report."""
    look_s: float = 10.0
    """Between two looks for a proof, longer the longer it takes."""
    ask_again_s: float = 900.0
    """Silence after which a commitment is asked for anew."""
    tries: int = 100
    """Looks without a proof after which a person must act."""
    resends: int = 5
    """Times that what is missing at the peer is sent again."""


class Prover:
    """Looks for the proof of one delivery; its outcome is in the delivery's row."""

    def __init__(
        self,
        deliveries: Deliveries,
        commitments: Commitments,
        rule: ProofRule,
        calling_ae: str,
        folder: Folder,
    ) -> None:
        self._deliveries = deliveries
        self._commitments = commitments
        self._rule = rule
        self._calling_ae = calling_ae
        self._folder = folder

    def look(self, job: DeliveryJob, peer: Peer, number: int) -> str:
        """Ask for or look at the proof; raises what the peer's refusal is."""
        try:
            missing = self._not_there(job, peer, number)
        except Retryable as error:
            return self._later(job, peer, number, str(error))
        if missing is None:
            waiting = f"{peer.name} has not reported on its storage commitment yet."
            return self._later(job, peer, number, waiting)
        if not missing:
            sentence = f"{job.total} objects stored at {peer.name} and {_WORDS[job.proof]}."
            self._deliveries.confirmed(job.delivery_id, number, sentence)
            log.info("delivery_confirmed", delivery=job.delivery_id, destination=peer.name)
            return "confirmed"
        if job.proof in _LOOKED_UP and job.proof_tries < 3:
            return self._later(job, peer, number, f"{peer.name} does not list {len(missing)} yet.")
        return self._missing(job, peer, number, missing)

    def _not_there(self, job: DeliveryJob, peer: Peer, number: int) -> list[str] | None:
        if job.proof == "find":
            return self._by_find(job, peer)
        if job.proof == "get":
            return self._by_get(job, peer)
        return self._committed(job, peer, number)

    def _by_find(self, job: DeliveryJob, peer: Peer) -> list[str]:
        missing: list[str] = []
        for study, series, files in _by_series(job):
            there = find_instances(peer, study, series, calling_ae=self._calling_ae)
            missing += sorted({f.sop_instance_uid for f in files} - there)
        return missing

    def _by_get(self, job: DeliveryJob, peer: Peer) -> list[str]:
        missing: list[str] = []
        for study, series, files in _by_series(job):
            wanted = {f.sop_instance_uid: f for f in files}

            def take(got: Dataset, wanted: dict[str, OutputFile] = wanted) -> None:
                uid = str(got.SOPInstanceUID)
                if uid in wanted and self._is_same(wanted[uid], got):
                    del wanted[uid]

            classes = sorted({f.sop_class_uid for f in files})
            get_series(peer, study, series, classes, calling_ae=self._calling_ae, take=take)
            missing += sorted(wanted)
        return missing

    def _is_same(self, file: OutputFile, got: Dataset) -> bool:
        path = self._folder.path(PurePosixPath(file.path))
        sent = pydicom.dcmread(BytesIO(read_intact(path, held_output(file).digest)))
        found = differences(sent, got)
        if found:
            log.warning("delivery_differs", instance=file.sop_instance_uid, attributes=found[:20])
        return not found

    def _committed(self, job: DeliveryJob, peer: Peer, number: int) -> list[str] | None:
        """What the peer does not commit to; None while it has not said."""
        asked = self._commitments.asked(job.delivery_id)
        if asked is None or (asked.result is None and asked.age_s > self._rule.ask_again_s):
            self._ask(job, peer, number)
            asked = self._commitments.asked(job.delivery_id)
        if asked is None or asked.result is None:
            return None
        stored = {uid for _, uid in asked.result.stored}
        return [f.sop_instance_uid for f in job.files if f.sop_instance_uid not in stored]

    def _ask(self, job: DeliveryJob, peer: Peer, number: int) -> None:
        pairs = [(f.sop_class_uid, f.sop_instance_uid) for f in job.files]
        transaction = _transaction_uid(self._calling_ae, job, number)
        self._commitments.ask(transaction, peer.name, job.delivery_id, pairs)

        def arrived(uid: str, stored: Sequence[tuple[str, str]], failed: Mapping[str, int]) -> None:
            result = Result(stored=tuple(stored), failed=dict(failed))
            self._commitments.arrived(uid, peer.name, result)

        commitment.ask(
            peer,
            transaction,
            pairs,
            calling_ae=self._calling_ae,
            arrived=arrived,
            answered=lambda: self._is_answered(job),
            wait_s=self._rule.stay_s,
        )

    def _is_answered(self, job: DeliveryJob) -> bool:
        asked = self._commitments.asked(job.delivery_id)
        return asked is not None and asked.result is not None

    def _missing(self, job: DeliveryJob, peer: Peer, number: int, missing: list[str]) -> str:
        self._commitments.forget(job.delivery_id)
        sentence = f"{peer.name} says it does not have {len(missing)} of {job.total} objects"
        if job.proof == "get":
            sentence = f"{peer.name} did not give {len(missing)} of {job.total} objects as sent"
        log.warning("delivery_missing", delivery=job.delivery_id, missing=len(missing))
        if job.attempts > self._rule.resends:
            sentence += f" after {job.attempts} attempts. Look at the peer's log."
            self._deliveries.failed(job.delivery_id, number, sentence)
            return "failed"
        self._deliveries.missing(
            job.delivery_id, number, missing, f"{sentence}; they are sent again."
        )
        return "missing"

    def _later(self, job: DeliveryJob, peer: Peer, number: int, why: str) -> str:
        if job.proof_tries >= self._rule.tries:
            sentence = f"Sent, and not confirmed after {job.proof_tries} looks: {why}"
            self._deliveries.failed(job.delivery_id, number, sentence)
            return "failed"
        delay_s = self._rule.look_s * min(2.0 ** (job.proof_tries // 2), 30.0)
        sentence = f"{job.total} objects stored at {peer.name}, not confirmed yet: {why}"
        self._deliveries.unproved(job.delivery_id, number, sentence, delay_s)
        return "unproved"


def _by_series(job: DeliveryJob) -> Iterator[tuple[str, str, list[OutputFile]]]:
    """Study, series and files of each series that was sent."""
    files: dict[str, list[OutputFile]] = defaultdict(list)
    for file in job.files:
        files[file.series_instance_uid].append(file)
    for series, wanted in files.items():
        study = job.studies.get(series)
        if study is None:
            raise Defect(f"The study of series {series} is not known.")
        yield study, series, wanted


def _transaction_uid(calling_ae: str, job: DeliveryJob, number: int) -> str:
    """PS3.5 B.2; derived, so that a repeated step asks for the same transaction."""
    first = job.files[0].sop_instance_uid if job.files else ""
    words = "\0".join(("commitment", calling_ae, str(job.delivery_id), str(number), first))
    digest = hashlib.sha256(words.encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
