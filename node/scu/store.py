"""C-STORE: send archived objects to a peer, as they lie, and keep each one's answer."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)
from pynetdicom.presentation import PresentationContext, build_context

from node.dicom.declared import require_decodable
from node.dicom.intact import DAMAGED, Digest, NotIntact, check_intact
from node.dicom.transcode import LOSSLESS, transcode
from node.domain.errors import Rejected, Retryable
from node.domain.site import Peer
from node.log import get_logger
from node.net import c_store_sender
from node.net.borrowed_socket import own_connection
from node.scu.association import Timeouts, associate

log = get_logger(__name__)

# Our own word for an instance the peer was never asked about (PS3.7 C.5.21).
_NOT_SENT = 0x0122
_FALLBACKS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
# Classes whose pixels a lossless codec takes: whole numbers of 8 or 16 bits.
_COMPRESSIBLE = (CTImageStorage, MRImageStorage, EnhancedMRImageStorage)


class Stored(StrEnum):
    """What a status says about the instance at the peer."""

    STORED = "stored"
    WARNED = "warned"
    """Stored, with a remark."""
    BUSY = "busy"
    """Not stored now; it may be later."""
    REFUSED = "refused"
    """Not stored, and sending it again will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One archived instance to send."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    path: Path
    """Of the Part 10 file."""
    digest: Digest | None = None
    """What the file must be; None where the caller has it from elsewhere."""

    def request(self, number: int, origin: "Origin | None" = None) -> c_store_sender.Request:
        """The C-STORE that sends it as it lies, the ``number``-th of its association."""
        return c_store_sender.Request(
            sop_class_uid=self.sop_class_uid,
            sop_instance_uid=self.sop_instance_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            path=self.path,
            digest=self.digest,
            message_id=_message_id(number),
            originator=(origin.ae_title, origin.message_id) if origin else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """What the peer answered for one instance."""

    sop_instance_uid: str
    status: int
    """DIMSE status."""
    stored: Stored
    sentence: str
    """The status in words, with the peer's comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The C-MOVE request a C-STORE is sent for (PS3.7 9.1.1.1.8)."""

    ae_title: str
    """Who asked."""
    message_id: int
    """Of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """Every instance is stored at the peer."""

    sent: int
    warned: int
    """How many of them with a warning."""
    transcoded: int
    """How many were not sent in their archived encoding."""


def send(
    peer: Peer,
    files: Sequence[Outgoing],
    *,
    calling_ae: str,
    on_status: Callable[[InstanceStatus], None],
    on_open: Callable[[], None] = lambda: None,
    timeouts: Timeouts | None = None,
) -> SendOutcome:
    """Send ``files`` in one association, in order; ``on_status`` gets each answer as it comes.

    ``on_open`` is called once the peer has let us in, before anything of them is sent.

    Stops at the first instance that is not stored: `Retryable` when the peer is away, breaks off
    or has no room; `Rejected` when it refuses us, the object class or the instance. What was
    answered before has been given to ``on_status``, so that a repeat sends the rest.
    """
    if not files:
        return SendOutcome(sent=0, warned=0, transcoded=0)
    warned = transcoded = 0
    timeouts = timeouts or Timeouts()
    with (
        associate(peer, propose(files), calling_ae=calling_ae, timeouts=timeouts) as association,
        as_they_lie(association, peer, files, timeouts) as straight,
    ):
        on_open()
        for number, file in enumerate(files, start=1):
            syntax = file.transfer_syntax_uid
            if straight:
                answer = straight(file, number)
            else:
                syntax = _choose(association, peer, file)
                answer = _send_one(association, peer, file, syntax, number)
            on_status(answer)
            _require_stored(peer, answer)
            warned += answer.stored is Stored.WARNED
            transcoded += syntax != file.transfer_syntax_uid
    log.info("instances_sent", peer=peer.name, instances=len(files), transcoded=transcoded)
    return SendOutcome(sent=len(files), warned=warned, transcoded=transcoded)


StoreOne = Callable[[Outgoing, int], InstanceStatus]
"""Sends one instance, the so many-th of its association."""


@contextmanager
def as_they_lie(
    association: Any,
    peer: Peer,
    files: Sequence[Outgoing],
    timeouts: Timeouts | None = None,
    origin: Origin | None = None,
) -> Iterator[StoreOne | None]:
    """How to send ``files`` past pynetdicom; None where one needs transcoding, and under TLS."""
    contexts = c_store_sender.contexts_of(association)
    if any((f.sop_class_uid, f.transfer_syntax_uid) not in contexts for f in files):
        yield None
        return
    try:
        with own_connection(association, (timeouts or Timeouts()).response_s) as connection:
            if connection is None:
                yield None
                return
            coming = [(f.path, f.digest) for f in files]
            with closing(c_store_sender.Wire(association, connection, coming=coming)) as straight:
                yield partial(_store_straight, straight, peer, origin)
    except _BrokenOff:
        if association.is_established:  # a peer that fell silent is waited for no longer
            association.abort()
        raise


def _store_straight(
    straight: c_store_sender.Wire, peer: Peer, origin: Origin | None, file: Outgoing, number: int
) -> InstanceStatus:
    try:
        response = straight.store(file.request(number, origin))
    except NotIntact as error:
        return not_sent(file, error)
    except c_store_sender.Ended as error:
        log.warning("association_lost", peer=peer.name, reason=str(error))
        raise _broken_off(peer, file) from None
    return answered(file, response.status, response.comment)


def store_one(
    association: Any, peer: Peer, file: Outgoing, number: int, origin: Origin | None = None
) -> InstanceStatus:
    """Send one instance as a sub-operation: what cannot be sent is an answer, not an end.

    Raises `Retryable` when the association breaks off.
    """
    try:
        syntax = _choose(association, peer, file)
        return _send_one(association, peer, file, syntax, number, origin)
    except Rejected as error:
        return not_sent(file, error)


def not_sent(file: Outgoing, error: Rejected) -> InstanceStatus:
    """What is told of an instance that the peer was never asked about."""
    return InstanceStatus(
        sop_instance_uid=file.sop_instance_uid,
        status=_NOT_SENT,
        stored=Stored.REFUSED,
        sentence=str(error),
    )


def propose(files: Sequence[Outgoing]) -> list[PresentationContext]:
    """One context for each class and each syntax it can be sent in.

    Each stands alone, because a peer picks one syntax of a context and would hide the others
    (PS3.8 9.3.3.2). Implicit VR Little Endian must always be offered (PS3.5 10.1).
    """
    wanted: dict[tuple[str, str], None] = {}
    for file in files:
        for syntax in _syntaxes(file):
            wanted[file.sop_class_uid, syntax] = None
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def classify(status: int) -> Stored:
    """What a C-STORE status means for the instance (PS3.4 B.2.3, PS3.7 C)."""
    if status == 0x0000:
        return Stored.STORED
    # 0x0111, duplicate SOP instance: the peer has it. Our UIDs derive from the content, so that
    # what it has is what we send; some archives answer so to every repeat.
    if status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0111, 0x0116):
        return Stored.WARNED
    if status & 0xFF00 == 0xA700:
        return Stored.BUSY
    return Stored.REFUSED


def syntaxes_of(sop_class_uid: str) -> list[str]:
    """What an object of a class can be turned into without loss, in our order."""
    compressed = LOSSLESS if sop_class_uid in _COMPRESSIBLE else ()
    return [str(syntax) for syntax in (*_FALLBACKS, *compressed)]


def _syntaxes(file: Outgoing) -> list[str]:
    """As it lies, native, compressed."""
    found = (file.transfer_syntax_uid, *syntaxes_of(file.sop_class_uid))
    return list(dict.fromkeys(found))


def _choose(association: Any, peer: Peer, file: Outgoing) -> str:
    """The accepted syntax to send ``file`` in: its own if there is one."""
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == file.sop_class_uid and context.as_scu
    }
    for syntax in _syntaxes(file):
        if syntax in accepted:
            return syntax
    class_name, syntax_name = UID(file.sop_class_uid).name, UID(file.transfer_syntax_uid).name
    raise Rejected(
        f"{peer.name} accepts no presentation context for {class_name}: neither {syntax_name} nor "
        "one it can be turned into without loss.",
        code="NO_CONTEXT",
        remedy=f"Allow {class_name} for our AE title at the peer.",
    )


def _send_one(
    association: Any,
    peer: Peer,
    file: Outgoing,
    syntax: str,
    number: int,
    origin: Origin | None = None,
) -> InstanceStatus:
    if not association.is_established:
        raise _broken_off(peer, file)
    if file.digest is not None:
        check_intact(file.path, file.digest)
    same = syntax == file.transfer_syntax_uid
    what = file.path if same else _transcoded(file, syntax)
    try:
        response = association.send_c_store(
            what,
            msg_id=_message_id(number),
            originator_aet=origin.ae_title if origin else None,
            originator_id=origin.message_id if origin else None,
        )
    except ValueError as error:
        raise _not_transcoded(file, str(error)) from None
    except (RuntimeError, AttributeError) as error:  # the association ended under our hands
        log.warning("association_lost", peer=peer.name, reason=type(error).__name__)
        raise _broken_off(peer, file) from None
    status = response.get("Status")
    if status is None:
        raise _broken_off(peer, file)
    return answered(file, status, str(response.get("ErrorComment") or "").strip())


def answered(file: Outgoing, status: int, comment: str) -> InstanceStatus:
    """What a status and its comment say about an instance."""
    return InstanceStatus(
        sop_instance_uid=file.sop_instance_uid,
        status=status,
        stored=classify(status),
        sentence=_in_words(status, comment),
    )


def _transcoded(file: Outgoing, syntax: str) -> Dataset:
    """The object in ``syntax``; of native ones pynetdicom writes the one of the context."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deviations of the source are not judged here
            dataset = pydicom.dcmread(file.path)
            require_decodable(dataset, whole=True)
            return transcode(dataset, syntax)
    except (ValueError, RuntimeError, AttributeError, NotImplementedError, Rejected) as error:
        raise _not_transcoded(file, str(error)) from None


def _not_transcoded(file: Outgoing, reason: str) -> Rejected:
    syntax = UID(file.transfer_syntax_uid).name
    return Rejected(
        f"{file.sop_instance_uid} ({syntax}) cannot be sent in a syntax the peer takes: {reason}.",
        code="NO_CONTEXT",
        remedy=f"Allow {syntax} at the peer.",
    )


def _require_stored(peer: Peer, answer: InstanceStatus) -> None:
    if answer.status == _NOT_SENT and answer.stored is Stored.REFUSED:
        raise Rejected(answer.sentence, code=DAMAGED)
    where = f"{peer.name} answered {answer.sentence} for {answer.sop_instance_uid}."
    if answer.stored is Stored.BUSY:
        raise Retryable(where, remedy="Free space at the peer; the node tries again.")
    if answer.stored is Stored.REFUSED:
        raise Rejected(where, code="STORE_REFUSED", remedy="Look at the peer's log.")


class _BrokenOff(Retryable):
    """The peer is gone in the middle."""


def _broken_off(peer: Peer, file: Outgoing) -> _BrokenOff:
    return _BrokenOff(
        f"{peer.name} broke the association off, or did not answer, at {file.sop_instance_uid}.",
        remedy="Look at the peer's log; the node tries again.",
    )


_MEANINGS = (
    (0xFFFF, 0x0000, "success"),
    (0xFFFF, 0x0110, "processing failure"),
    (0xFFFF, 0x0111, "duplicate SOP instance"),
    (0xFFFF, 0x0117, "invalid SOP instance"),
    (0xFFFF, 0x0122, "SOP class not supported"),
    (0xFFFF, 0x0124, "not authorised"),
    (0xFF00, 0xA700, "out of resources"),
    (0xFF00, 0xA900, "data set does not match SOP class"),
    (0xF000, 0xB000, "warning"),
    (0xF000, 0xC000, "cannot understand"),
)


def _in_words(status: int, comment: str) -> str:
    meaning = next((text for mask, value, text in _MEANINGS if status & mask == value), "unknown")
    return f"0x{status:04X} ({meaning}{': ' + comment if comment else ''})"


def _message_id(number: int) -> int:
    return (number - 1) % 0xFFFF + 1
