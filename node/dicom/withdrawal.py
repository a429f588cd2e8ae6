"""The notice that withdraws an sCT: a Key Object Selection document (PS3.3 A.35.4)."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

import highdicom
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from node.dicom.ct_series import EncodedInstance, local
from node.dicom.uids import derived_uid
from node.domain.errors import Rejected

# CID 7010 and 7011 (PS3.16): why objects are withdrawn.
CONCEPTS = {
    "quality": Code("113001", "DCM", "Rejected for Quality Reasons"),
    "safety": Code("113037", "DCM", "Rejected for Patient Safety Reasons"),
}
_SERIES_NUMBER = 9900
_DESCRIPTION = "Withdrawn synthetic CT"


def withdrawal_notice(
    evidence: Sequence[Dataset],
    *,
    concept: str,
    reason: str,
    who: str,
    successor_series_uid: str | None,
    created_at: datetime,
) -> EncodedInstance:
    """Encode the notice that none of ``evidence`` may be used any more.

    The same sCT and concept give the same UIDs: sent twice, it is one object. Raises `Rejected`
    when ``concept`` is not a key of `CONCEPTS`.
    """
    if concept not in CONCEPTS:
        raise Rejected(
            f"{concept!r} is no reason to withdraw.",
            code="REASON",
            remedy=f"Choose one of {', '.join(CONCEPTS)}.",
        )
    source = str(evidence[0].SeriesInstanceUID)
    series_uid = derived_uid("withdrawal series", source, concept)
    instance_uid = derived_uid("withdrawal", source, concept)
    content = highdicom.ko.KeyObjectSelection(
        document_title=CONCEPTS[concept],
        referenced_objects=list(evidence),
        description=_description(reason, who, successor_series_uid),
    )
    document = highdicom.ko.KeyObjectSelectionDocument(
        evidence=list(evidence),
        content=content,
        series_instance_uid=series_uid,
        series_number=_SERIES_NUMBER,
        sop_instance_uid=instance_uid,
        instance_number=1,
        manufacturer="pctnode",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    document.SeriesDescription = _DESCRIPTION
    at = local(created_at, evidence[0])
    document.ContentDate, document.ContentTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    data = _written(document)
    return EncodedInstance(
        sop_instance_uid=instance_uid,
        sop_class_uid=str(document.SOPClassUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        series_instance_uid=series_uid,
        instance_number=1,
        data=data,
    )


def _description(reason: str, who: str, successor_series_uid: str | None) -> str:
    instead = (
        f"Use series {successor_series_uid} instead."
        if successor_series_uid
        else "There is no replacement yet."
    )
    why = reason.strip().rstrip(".")
    return f"Synthetic CT withdrawn by {who}: {why}. Do not use it. {instead}"


def _written(document: Dataset) -> bytes:
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
