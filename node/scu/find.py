"""C-FIND: what a peer's archive has of a study or series."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyFind

from node.domain.errors import Rejected, Retryable
from node.domain.site import Peer
from node.scu.association import Timeouts, associate
from node.scu.services import MESSAGE_SYNTAXES

_PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSeries:
    """One series as the peer knows it."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    description: str
    instances: int | None
    """NumberOfSeriesRelatedInstances; None where the peer does not say."""


def find_series(
    peer: Peer, study: str, series: Sequence[str] = (), *, calling_ae: str,
    timeouts: Timeouts | None = None,
) -> list[RemoteSeries]:  # fmt: skip
    """The series of ``study`` at the peer, or those named; counted image by image where it must.

    Raises `Retryable` when the peer is away, `Rejected` when it does not take the query.
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study
    query.SeriesInstanceUID = list(series) or ""
    query.Modality = query.SeriesDescription = ""
    query.NumberOfSeriesRelatedInstances = None
    with _asking(peer, calling_ae, timeouts) as association:
        found = [_series(study, answer) for answer in _answers(association, peer, query)]
        return [
            s if s.instances is not None else _counted(association, peer, s)
            for s in found
            if s.series_instance_uid and (not series or s.series_instance_uid in series)
        ]


def find_instances(
    peer: Peer, study: str, series: str, *, calling_ae: str, timeouts: Timeouts | None = None
) -> set[str]:
    """SOP Instance UIDs the peer has of a series."""
    with _asking(peer, calling_ae, timeouts) as association:
        return _instances(association, peer, study, series)


def _asking(peer: Peer, calling_ae: str, timeouts: Timeouts | None) -> Any:
    contexts = [build_context(StudyFind, list(MESSAGE_SYNTAXES))]
    return associate(peer, contexts, calling_ae=calling_ae, timeouts=timeouts)


def _series(study: str, answer: Dataset) -> RemoteSeries:
    count = answer.get("NumberOfSeriesRelatedInstances")
    return RemoteSeries(
        study_instance_uid=study,
        series_instance_uid=str(answer.get("SeriesInstanceUID") or ""),
        modality=str(answer.get("Modality") or ""),
        description=str(answer.get("SeriesDescription") or ""),
        instances=None if count in (None, "") else int(count),
    )


def _counted(association: Any, peer: Peer, series: RemoteSeries) -> RemoteSeries:
    uids = _instances(association, peer, series.study_instance_uid, series.series_instance_uid)
    return RemoteSeries(
        study_instance_uid=series.study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        modality=series.modality,
        description=series.description,
        instances=len(uids) or None,
    )


def _instances(association: Any, peer: Peer, study: str, series: str) -> set[str]:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID, query.SeriesInstanceUID = study, series
    query.SOPInstanceUID = ""
    found = (a.get("SOPInstanceUID") for a in _answers(association, peer, query))
    return {str(uid) for uid in found if uid}


def _answers(association: Any, peer: Peer, query: Dataset) -> Iterator[Dataset]:
    if not association.is_established:
        raise _broken_off(peer)
    for status, answer in association.send_c_find(query, StudyFind):
        code = status.get("Status")
        if code is None:
            raise _broken_off(peer)
        if code in _PENDING:
            if answer is not None:
                yield answer
        elif code == 0xA700:
            raise Retryable(f"{peer.name} is out of resources for a query.", remedy="Try later.")
        elif code != 0x0000:
            comment = str(status.get("ErrorComment") or "").strip()
            raise Rejected(
                f"{peer.name} answered the query with 0x{code:04X}"
                + (f" ({comment})." if comment else "."),
                code="QUERY_REFUSED",
                remedy="Look at the peer's log; allow queries for our AE title there.",
            )


def _broken_off(peer: Peer) -> Retryable:
    return Retryable(
        f"{peer.name} broke the association off, or did not answer the query.",
        remedy="Look at the peer's log; the node tries again.",
    )
