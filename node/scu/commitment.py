"""Storage commitment as SCU: ask a peer to commit, and report to a peer that asked us (PS3.4 J)."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import build_role, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from node.dicom import commitment
from node.domain.errors import Rejected, Retryable
from node.domain.site import Peer
from node.log import get_logger
from node.scu.association import Timeouts, associate
from node.scu.services import MESSAGE_SYNTAXES

log = get_logger(__name__)

Arrived = Callable[[str, Sequence[tuple[str, str]], Mapping[str, int]], None]
"""Gets transaction UID, what is committed to, and the failure reasons."""
# PS3.4 J.3.2 and J.3.3: action type and event types.
_REQUEST, _ALL_STORED, _SOME_FAILED = 1, 1, 2
_UNKNOWN = 0x0115
_LOOK_S = 0.1


def ask(
    peer: Peer,
    transaction_uid: str,
    instances: Sequence[tuple[str, str]],
    *,
    calling_ae: str,
    arrived: Arrived,
    answered: Callable[[], bool],
    wait_s: float,
    timeouts: Timeouts | None = None,
) -> None:
    """Ask ``peer`` to commit; a report that comes on this association goes to ``arrived``.

    The association stays open ``wait_s`` for it, or until it is ``answered``: it may come to our
    SCP meanwhile, or later. Raises `Retryable`
    when the peer is away, `Rejected` when it does not take the request.
    """
    came = threading.Event()

    def on_report(event: evt.Event) -> tuple[int, Dataset | None]:
        try:
            arrived(*commitment.read_report(event.event_information))
        except Rejected as error:
            log.warning("commitment_unreadable", peer=peer.name, reason=error.message)
            return _UNKNOWN, None
        came.set()
        return 0x0000, None

    with associate(
        peer,
        [build_context(StorageCommitmentPushModel, list(MESSAGE_SYNTAXES))],
        calling_ae=calling_ae,
        timeouts=timeouts,
        handlers=[(evt.EVT_N_EVENT_REPORT, on_report)],
    ) as association:
        status, _ = association.send_n_action(
            commitment.request(transaction_uid, instances),
            _REQUEST,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
        _require_success(peer, status, "the request for storage commitment")
        _wait(association, lambda: came.is_set() or answered(), wait_s)


def report(
    peer: Peer,
    information: Dataset,
    *,
    failures: bool,
    calling_ae: str,
    timeouts: Timeouts | None = None,
) -> None:
    """Report to ``peer`` on an association of ours, on which we are the SCP of the service."""
    with associate(
        peer,
        [build_context(StorageCommitmentPushModel, list(MESSAGE_SYNTAXES))],
        calling_ae=calling_ae,
        timeouts=timeouts,
        roles=[build_role(StorageCommitmentPushModel, scp_role=True)],
    ) as association:
        try:
            status, _ = association.send_n_event_report(
                information,
                _SOME_FAILED if failures else _ALL_STORED,
                StorageCommitmentPushModel,
                StorageCommitmentPushModelInstance,
            )
        except ValueError:
            raise Rejected(
                f"{peer.name} does not let us be the SCP of storage commitment on our association.",
                code="COMMITMENT",
                remedy="Have it accept the role, or keep its own association open.",
            ) from None
        _require_success(peer, status, "the storage commitment report")


def _wait(association: Any, done: Callable[[], bool], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while association.is_established and time.monotonic() < until and not done():
        time.sleep(_LOOK_S)


def _require_success(peer: Peer, status: Dataset, what: str) -> None:
    code = status.get("Status")
    if code is None:
        raise Retryable(
            f"{peer.name} broke the association off, or did not answer {what}.",
            remedy="Look at the peer's log; the node tries again.",
        )
    if code & 0xF000 == 0xB000 or code in (0x0000, 0x0107, 0x0116):
        return
    sentence = f"{peer.name} answered {what} with status 0x{code:04X}."
    if code in (0x0110, 0x0213):  # processing failure, resource limitation: may pass
        raise Retryable(sentence, remedy="Look at the peer's log; the node tries again.")
    raise Rejected(
        sentence,
        code="COMMITMENT",
        remedy="Look at the peer's log, or choose another proof for it.",
    )
