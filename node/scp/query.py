"""C-FIND: the keys go to the catalogue, each match to who asked."""

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
)
from sqlalchemy.exc import SQLAlchemyError

from node.archive.headers.indexed_attributes import LEVEL_OF, UNIQUE_KEY, Level, above
from node.archive.headers.matching import Key
from node.archive.query.catalogue import Catalogue
from node.archive.query.identifiers import Asked, answer, read_keys
from node.containment import Contained
from node.domain.errors import NodeError, Rejected
from node.domain.site import Peer
from node.domain.wording import counted
from node.log import get_logger
from node.scp import query_status, status
from node.scp.admission import may_query
from node.scp.association_recorder import Visit, Visits

log = get_logger(__name__)

_PATIENT_ROOT = frozenset(
    {
        PatientRootQueryRetrieveInformationModelFind,
        PatientRootQueryRetrieveInformationModelMove,
        PatientRootQueryRetrieveInformationModelGet,
    }
)
Answers = Iterator[tuple[int | Dataset, Dataset | None]]


class FindHandler:
    """Answers C-FIND requests; one for all associations of a process."""

    def __init__(self, catalogue: Catalogue, visits: Visits, ae_title: str) -> None:
        self._catalogue = catalogue
        self._visits = visits
        self._ae_title = ae_title

    def __call__(self, event: evt.Event) -> Answers:
        """Give each match, then nothing: pynetdicom adds the final Success."""
        # The edge of DIMSE: whatever is wrong with us, who asked must hear a failure.
        with Contained(log, "query_failed") as edge:
            yield from self._answers(event)
        if edge.error:
            yield status.response(query_status.UNABLE, "Fault of the node, see its log."), None

    def _answers(self, event: evt.Event) -> Answers:
        visit = self._visits.of(event.assoc)
        try:
            require_query(visit)
            level, asked = read_query(event.identifier, str(event.request.AffectedSOPClassUID))
            yield from self._matches(event, level, asked, visit)
        except NodeError as error:
            answer_code = query_status.status_of(error)
            log.warning("query_refused", status=f"{answer_code.code:04X}", sentence=error.message)
            yield status.response(answer_code, error.message), None
        except SQLAlchemyError as error:
            log.warning("query_unanswered", reason=type(error).__name__)
            yield (
                status.response(query_status.OUT_OF_RESOURCES, "The database does not answer."),
                None,
            )

    def _matches(
        self, event: evt.Event, level: Level, asked: Asked, visit: Visit | None
    ) -> Answers:
        # PS3.4 C.4.1.1.4: FF01 says that a key was neither compared nor returned.
        pending = 0xFF01 if _left_out(asked, level) else 0xFF00
        count = 0
        for found in self._catalogue.find(level, asked.keys):
            if event.is_cancelled:
                log.info("query_cancelled", query_level=level.value, matches=count)
                yield 0xFE00, None
                return
            count += 1
            yield pending, answer(found, asked.keys, level, retrieve_ae=self._ae_title)
        if visit:
            visit.services["C-FIND"] += 1
            visit.note(f"{level.value} query: {counted(count, 'match', 'matches')}")
        log.info("query_answered", query_level=level.value, keys=len(asked.keys), matches=count)


def require_query(visit: Visit | None) -> Peer:
    """Give the peer of the association; raise `Rejected` unless it may ask."""
    peer = visit.peer if visit else None
    if peer is None or not may_query(peer):
        who = f"Peer {peer.name!r}" if peer else "An unknown peer"
        raise Rejected(
            f"{who} may not query.",
            code="NOT_AUTHORISED",
            remedy="Add query to what the peer may do.",
        )
    return peer


def read_query(identifier: Dataset, sop_class_uid: str) -> tuple[Level, Asked]:
    """Level and keys of a request; raise `Rejected` (IDENTIFIER) when the model has no such level.

    Relational queries are answered whether or not they were negotiated: a key above the level may
    be missing (PS3.4 C.4.1.2.2.1 would let us refuse).
    """
    word = str(identifier.get("QueryRetrieveLevel") or "").strip()
    try:
        level = Level(word)
    except ValueError:
        level = None
    if level is None or (level is Level.PATIENT and sop_class_uid not in _PATIENT_ROOT):
        raise Rejected(
            f"Query/Retrieve Level {word!r} is none of this information model.",
            code="IDENTIFIER",
            remedy="Ask for STUDY, SERIES or IMAGE, or PATIENT in the Patient Root model.",
        )
    return level, read_keys(identifier)


def unique_keys(asked: Asked, level: Level) -> Sequence[Key]:
    """The unique keys a retrieve goes by (PS3.4 C.4.2.1.4.1); one of the level must be there."""
    names = {UNIQUE_KEY[each] for each in above(level)}
    keys = [k for k in asked.keys if k.keyword in names and k.value]
    if not any(k.keyword == UNIQUE_KEY[level] for k in keys) or any(k.wild for k in keys):
        raise Rejected(
            f"The identifier of a {level.value} retrieve must name {UNIQUE_KEY[level]}.",
            code="IDENTIFIER",
            remedy=f"Give {UNIQUE_KEY[level]}, without wild cards.",
        )
    return keys


def _left_out(asked: Asked, level: Level) -> bool:
    allowed = above(level)
    return bool(asked.unknown) or any(LEVEL_OF[k.keyword] not in allowed for k in asked.keys)
