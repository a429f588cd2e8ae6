"""C-GET and C-MOVE: archived instances go out as they lie, each answer is counted.

Both are served here rather than by pynetdicom's generators, which decode and encode every data set
and know neither our peers nor how we open associations.
"""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode
from sqlalchemy.exc import SQLAlchemyError

from node.archive.evidence.damage import Guard, Held
from node.archive.files import Folder
from node.archive.query.catalogue import Catalogue, FoundInstance, Leaving
from node.archive.rows.whereabouts import How, Place, of_peer
from node.containment import Contained
from node.domain.errors import NodeError, Rejected
from node.domain.site import Peer
from node.domain.wording import counted
from node.log import get_logger
from node.scp import pynetdicom_hooks, query_status
from node.scp.association_recorder import Visits
from node.scp.c_get_sender import Wire
from node.scp.pynetdicom_hooks import is_cancelled, respond
from node.scp.query import read_query, require_query, unique_keys
from node.scp.status import Status
from node.scu.association import associate
from node.scu.store import (
    InstanceStatus,
    Origin,
    Outgoing,
    Stored,
    as_they_lie,
    not_sent,
    propose,
    store_one,
)

log = get_logger(__name__)

# Pending responses are optional (PS3.4 C.4.2.1.5); a person watching wants some.
_PENDING_EVERY_S = 0.5
# The counts of sub-operations are US.
_MOST = 0xFFFF


@dataclass(slots=True)
class Tally:
    """How the sub-operations went so far."""

    remaining: int
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    """SOP Instance UIDs."""

    def count(self, answer: InstanceStatus) -> None:
        """One more has been answered."""
        self.remaining -= 1
        if answer.stored is Stored.STORED:
            self.completed += 1
        elif answer.stored is Stored.WARNED:
            self.warned += 1
        else:
            self.failed.append(answer.sop_instance_uid)

    def fail(self, uids: Iterable[str]) -> None:
        """These will not be tried any more."""
        missed = list(uids)
        self.remaining -= len(missed)
        self.failed += missed

    def status(self) -> Status:
        """How the whole went (PS3.4 C.4.2.1.5)."""
        if not self.failed and not self.warned:
            return query_status.SUCCESS
        if not self.completed and not self.warned:
            return query_status.NOT_PERFORMED
        return query_status.SOME_FAILED


@dataclass(slots=True)
class _Request:
    """A C-GET or C-MOVE in hand."""

    association: Any
    message: Any
    context: Any
    connection: socket.socket | None = None
    """Where to write past pynetdicom's thread; None: by it."""
    leaving: Leaving | None = None
    """Whether what was found may still go, and where it goes."""
    withheld: int = 0
    """Instances that were not sent for that."""

    def begin(self, place: Place) -> None:
        """Write down where sCTs among what was found may be from now on."""
        if self.leaving:
            self.leaving.begin(place)

    def identifier(self) -> Dataset:
        syntax = self.context.transfer_syntax[0]
        raw = self.message.Identifier or BytesIO()
        dataset: Dataset = decode(raw, syntax.is_implicit_VR, syntax.is_little_endian)
        return dataset

    def cancelled(self) -> bool:
        return is_cancelled(self.association, self.message.MessageID)

    def answer(self, status: Status, tally: Tally | None = None, comment: str = "") -> None:
        """Send a response: pending, or the final one with the UIDs that failed."""
        response = type(self.message)()
        response.MessageID = self.message.MessageID
        response.MessageIDBeingRespondedTo = self.message.MessageID
        response.AffectedSOPClassUID = self.message.AffectedSOPClassUID
        response.Status = status.code
        if comment:
            response.ErrorComment = comment.encode("ascii", "replace").decode("ascii")[:64]
        if tally is not None:
            if status in (query_status.PENDING, query_status.CANCELLED):
                response.NumberOfRemainingSuboperations = tally.remaining
            response.NumberOfCompletedSuboperations = tally.completed
            response.NumberOfWarningSuboperations = tally.warned
            response.NumberOfFailedSuboperations = len(tally.failed)
            if tally.failed and status is not query_status.PENDING:
                response.Identifier = BytesIO(self._failed(tally.failed))
        respond(self.association, response, self.context, self.connection)

    def _failed(self, uids: Sequence[str]) -> bytes:
        syntax, identifier = self.context.transfer_syntax[0], Dataset()
        identifier.FailedSOPInstanceUIDList = list(uids)
        return bytes(encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian) or b"")


class Retriever:
    """Serves C-GET and C-MOVE; one for all associations of a process."""

    def __init__(
        self,
        catalogue: Catalogue,
        folder: Folder,
        visits: Visits,
        *,
        peers: Callable[[], Sequence[Peer]],
        ae_title: str,
    ) -> None:
        self._catalogue = catalogue
        self._folder = folder
        self._visits = visits
        self._peers = peers
        self._ae_title = ae_title

    def get(self, association: Any, message: Any, context: Any) -> None:
        """Send what is asked for on the same association (PS3.4 C.4.3)."""
        request = _Request(association, message, context)

        def send(peer: Peer, files: Sequence[Outgoing], tally: Tally) -> bool:
            request.begin(of_peer(peer.name, How.GET, peer.host))
            with pynetdicom_hooks.own_connection(association) as connection:
                if connection is not None:
                    with closing(Wire(association, connection, files)) as wire:
                        if all(map(wire.takes, files)):
                            request.connection = connection
                            return _send_all(request, files, tally, wire.store, wire.look)
            return _send_all(request, files, tally, partial(store_one, association, peer))

        self._serve(request, "C-GET", send)

    def move(self, association: Any, message: Any, context: Any) -> None:
        """Send what is asked for to a known peer, on an association of ours (PS3.4 C.4.2)."""
        request = _Request(association, message, context)

        def send(_peer: Peer, files: Sequence[Outgoing], tally: Tally) -> bool:
            target = self._destination(str(message.MoveDestination or "").strip())
            origin = Origin(ae_title=association.requestor.ae_title, message_id=message.MessageID)
            with associate(target, propose(files), calling_ae=self._ae_title) as outgoing:
                request.begin(of_peer(target.name, How.MOVE, target.host))
                one = partial(store_one, outgoing, target, origin=origin)
                with as_they_lie(outgoing, target, files, origin=origin) as straight:
                    return _send_all(request, files, tally, straight or one)

        self._serve(request, "C-MOVE", send)

    def _serve(
        self, request: _Request, name: str, send: Callable[[Peer, Sequence[Outgoing], Tally], bool]
    ) -> None:
        # The edge of DIMSE: whatever is wrong with us, who asked must hear a failure.
        with Contained(log, "retrieve_failed") as edge:
            try:
                self._carry_out(request, name, send)
            except NodeError as error:
                code = query_status.status_of(error)
                log.warning("retrieve_refused", status=f"{code.code:04X}", sentence=error.message)
                request.answer(code, comment=error.message)
            except SQLAlchemyError as error:
                log.warning("retrieve_unanswered", reason=type(error).__name__)
                away = "The database does not answer."
                request.answer(query_status.OUT_OF_RESOURCES, comment=away)
        if edge.error:
            request.answer(query_status.UNABLE, comment="Fault of the node, see its log.")

    def _carry_out(
        self, request: _Request, name: str, send: Callable[[Peer, Sequence[Outgoing], Tally], bool]
    ) -> None:
        visit = self._visits.of(request.association)
        peer = require_query(visit)
        if name == "C-MOVE":
            self._destination(str(request.message.MoveDestination or "").strip())
        files = self._files(request)
        tally = Tally(len(files))
        status, comment = _carried_out(request, peer, files, tally, send)
        comment = self._look_at_failed(request, files, tally) or comment
        request.answer(status, tally, comment)
        sent = tally.completed + tally.warned
        if visit:
            visit.note(f"{name}: {sent} of {len(files)} sent")
        log.info("retrieved", service=name, sent=sent, failed=len(tally.failed), of=len(files))

    def _files(self, request: _Request) -> list[Outgoing]:
        identifier = request.identifier()
        level, asked = read_query(identifier, str(request.message.AffectedSOPClassUID))
        found = self._catalogue.instances(unique_keys(asked, level))
        if len(found) > _MOST:
            raise Rejected(
                f"{len(found)} instances match; {_MOST} can be counted.",
                code="TOO_MANY",
                remedy="Ask for one study or series.",
            )
        request.leaving = Leaving(self._catalogue, found)
        return [self._outgoing(f) for f in found]

    def _look_at_failed(self, request: _Request, files: Sequence[Outgoing], tally: Tally) -> str:
        """Tell of those files among what failed that are damaged; a comment about them."""
        failed, count = set(tally.failed), 0
        if request.withheld:
            return f"{counted(request.withheld, 'instance', 'instances')} held meanwhile"
        guard = Guard(self._catalogue.engine, self._folder)
        for file in files:
            if file.sop_instance_uid in failed and file.digest is not None:
                path = str(file.path.relative_to(self._folder.root))
                count += not guard.is_intact(Held(path=path, digest=file.digest))
        damaged = counted(count, "file here is", "files here are")
        return f"{damaged} damaged; send the series again" if count else ""

    def _outgoing(self, found: FoundInstance) -> Outgoing:
        return Outgoing(
            sop_class_uid=found.sop_class_uid,
            sop_instance_uid=found.sop_instance_uid,
            transfer_syntax_uid=found.transfer_syntax_uid,
            path=self._folder.path(PurePosixPath(found.path)),
            digest=found.held.digest,
        )

    def _destination(self, title: str) -> Peer:
        for peer in self._peers():
            if peer.ae_title == title:
                return peer
        raise Rejected(
            f"Move destination {title!r} is no peer of this node.",
            code="DESTINATION",
            remedy="Add it to the peers, with host and port.",
        )


def _carried_out(
    request: _Request,
    peer: Peer,
    files: Sequence[Outgoing],
    tally: Tally,
    send: Callable[[Peer, Sequence[Outgoing], Tally], bool],
) -> tuple[Status, str]:
    """Send everything; the final status, and why if something is in the way."""
    comment = ""
    try:
        if files and not send(peer, files, tally):
            return query_status.CANCELLED, ""
    except NodeError as error:  # no association, or it broke: the rest has failed
        log.warning("retrieve_broken_off", sentence=error.message)
        comment = error.message
        tally.fail(f.sop_instance_uid for f in files[len(files) - tally.remaining :])
    return tally.status(), comment


def _send_all(
    request: _Request,
    files: Sequence[Outgoing],
    tally: Tally,
    store: Callable[[Outgoing, int], InstanceStatus],
    look: Callable[[], None] = lambda: None,
) -> bool:
    """Send each file and count it; False when the request was cancelled meanwhile."""
    due = _Due(_PENDING_EVERY_S)
    for number, file in enumerate(files, start=1):
        look()
        if request.cancelled():
            log.info("retrieve_cancelled", remaining=tally.remaining)
            return False
        try:
            if request.leaving:
                request.leaving.require(file.sop_instance_uid)
        except Rejected as error:
            log.warning("retrieve_held", sentence=error.message)
            request.withheld += 1
            tally.count(not_sent(file, error))
        else:
            tally.count(store(file, number))
        if tally.remaining and due():
            request.answer(query_status.PENDING, tally)
    return True


class _Due:
    """True now and then: the first time at once."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._at:
            return False
        self._at = now + self._every_s
        return True
