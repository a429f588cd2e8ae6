"""Withdraw a delivered sCT: write its notice and have it sent wherever the sCT went."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from node.archive.files import Folder
from node.archive.people.audit import By
from node.archive.schema.records import OutputFile
from node.archive.work.decisions import Decisions
from node.archive.work.deliveries import WITHDRAWAL
from node.archive.work.withdrawing import Withdrawable
from node.dicom.withdrawal import withdrawal_notice
from node.domain.errors import Rejected

_NOTICES = "outputs"
# Patient and General Study modules of a notice (PS3.3 A.35.4).
_OF_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def withdraw(
    decisions: Decisions,
    folder: Folder,
    series_id: int,
    by: By,
    *,
    reason: str,
    concept: str,
    attempt: int | None = None,
    revision: int | None = None,
) -> str:
    """Withdraw the newest sCT of a series that reached somebody, or the one that is named."""
    if not reason.strip():
        raise Rejected(
            "Withdrawing an sCT needs a reason.", code="REASON", remedy="Say why in one sentence."
        )
    what = decisions.withdrawable(series_id, attempt, revision)
    file = write_notice(folder, what, by, reason=reason, concept=concept)
    return decisions.withdraw(what, file, by, reason=reason, concept=concept)


def write_notice(
    folder: Folder, what: Withdrawable, by: By, *, reason: str, concept: str
) -> OutputFile:
    """Write the notice that withdraws ``what``; written twice, it is one object."""
    notice = withdrawal_notice(
        [_header(folder, file, what.header) for file in what.files if file.kind != WITHDRAWAL],
        concept=concept,
        reason=reason,
        who=by.who,
        successor_series_uid=what.successor_series_uid,
        created_at=datetime.now(UTC).astimezone(),
    )
    name = PurePosixPath(_NOTICES, notice.series_instance_uid, f"{notice.sop_instance_uid}.dcm")
    folder.write(name, notice.data)
    return OutputFile(
        sop_instance_uid=notice.sop_instance_uid,
        sop_class_uid=notice.sop_class_uid,
        transfer_syntax_uid=notice.transfer_syntax_uid,
        series_instance_uid=notice.series_instance_uid,
        number=notice.instance_number,
        kind="ko",
        stack=what.files[0].stack,
        path=str(name),
        size=len(notice.data),
        sha256=hashlib.sha256(notice.data).hexdigest(),
    )


def _header(folder: Folder, file: OutputFile, kept: Mapping[str, Any] | None) -> Dataset:
    """What a notice needs of an object: from its file, or from what retention kept of it."""
    if kept is None:
        path = folder.path(PurePosixPath(file.path))
        return pydicom.dcmread(path, stop_before_pixels=True)
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _OF_STUDY:
        setattr(header, keyword, kept.get(keyword, ""))
    header.SOPClassUID, header.SOPInstanceUID = file.sop_class_uid, file.sop_instance_uid
    header.SeriesInstanceUID = file.series_instance_uid
    if file.kind == "ct":  # what tells an image (PS3.3 C.17.3) from another composite object
        header.Rows = header.Columns = 1
    return header
