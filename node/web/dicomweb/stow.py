"""STOW-RS (PS3.18 10.5): a multipart body, part by part, into the same receiver as C-STORE."""

import io
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info

from node.archive.evidence.offering import Offering
from node.archive.headers import header_reader
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Outcome, Receipt
from node.domain.budget import BUDGET
from node.domain.door import refusal_code
from node.domain.errors import NodeError, Rejected, Retryable
from node.domain.storage import kind_of

# Requests that may hold an instance in memory at one time, in this process.
AT_ONCE = 2
_HEAD_LIMIT = 16 * 1024
_PREAMBLE = 128
# PS3.18 table 10.5.3-1 and PS3.3 C.12.1.1.. Failure Reason: as C-STORE would answer.
_REASONS = {"CLASS": 0x0122, "SOP_CLASS_MISMATCH": 0xA900, "STUDY": 0xA900, "UID_INVALID": 0x0117}
_PROCESSING, _NOT_UNDERSTOOD, _NO_ROOM, _COERCED = 0x0110, 0xC000, 0xA700, 0xB000


class Receives(Protocol):
    """What stores; `node.archive.ingest.receive.Receiver` is one."""

    def receive(self, data_set: bytes, context: ReceiveContext) -> Receipt:
        """Store one data set durably."""


@dataclass(slots=True)
class Stored:
    """What became of the parts of one request."""

    accepted: list[tuple[Receipt, str]] = field(default_factory=list)
    """Receipt and study of each instance kept."""
    refused: list[tuple[str, str, int]] = field(default_factory=list)
    """SOP class, SOP instance and failure reason."""

    @property
    def status(self) -> int:
        """PS3.18 table 10.5.3-1: all, some or none."""
        if not self.refused:
            return 200
        return 202 if self.accepted else 409

    def as_json(self, base: str) -> dict[str, Any]:
        """The Store Instances Response (PS3.18 annex I.2)."""
        response = Dataset()
        if self.accepted:
            response.ReferencedSOPSequence = [_kept(r, study, base) for r, study in self.accepted]
        if self.refused:
            response.FailedSOPSequence = [_failed(*failure) for failure in self.refused]
        return dict(response.to_json_dict())


def store(receiver: Receives, part: bytes, offering: Offering, study: str, stored: Stored) -> None:
    """Store one Part 10 file and note what became of it; never raises `NodeError`."""
    sop_class = sop_instance = syntax = ""
    data_set = b""
    try:
        meta, data_set = _split(part)
        sop_class = str(meta.get("MediaStorageSOPClassUID", ""))
        sop_instance = str(meta.get("MediaStorageSOPInstanceUID", ""))
        syntax = str(meta.TransferSyntaxUID)
        found = _require_wanted(sop_class, data_set, syntax, study)
        context = ReceiveContext(
            transfer_syntax_uid=syntax,
            calling_ae=offering.caller.calling_ae,
            called_ae="",
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            origin=offering.origin,
        )
        receipt = receiver.receive(data_set, context)
        _note(offering, receipt)
        stored.accepted.append((receipt, found))
    except NodeError as error:
        stored.refused.append((sop_class, sop_instance, _reason(error)))
        named = header_reader.names_in(data_set, syntax)
        offering.refused(
            named.sop_instance_uid or sop_instance,
            refusal_code(error),
            error.message,
            named.series_instance_uid,
            named.patient_id,
        )


def _note(offering: Offering, receipt: Receipt) -> None:
    if receipt.outcome is Outcome.STORED:
        offering.stored(receipt.series_instance_uid)
    else:
        aside = receipt.outcome is Outcome.CONFLICT
        offering.known(receipt.series_instance_uid, aside=aside)


def _reason(error: NodeError) -> int:
    if isinstance(error, Retryable):
        return _NO_ROOM
    if isinstance(error, Rejected):
        return _REASONS.get(error.code, _NOT_UNDERSTOOD)
    return _PROCESSING


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/related body of DICOM files; `Rejected` (MEDIA) otherwise."""
    media = content_type.split(";")[0].strip().lower()
    kind = re.search(r'type\s*=\s*"?([^";]+)"?', content_type.partition(";")[2])
    found = re.search(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^;\s"]{1,200}))', content_type)
    if (
        media != "multipart/related"
        or not found
        or (kind and kind.group(1).strip().lower() != "application/dicom")
    ):
        raise Rejected(
            f"Content type {content_type[:80]!r} is not taken.",
            code="MEDIA",
            remedy='Send multipart/related; type="application/dicom"; boundary=...',
        )
    return (found.group(1) or found.group(2)).encode("latin-1")


async def parts(body: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """The content of each part as it completes; `Rejected` (BODY) when the body is none."""
    delimiter = b"\r\n--" + boundary
    buffer = bytearray(b"\r\n")  # the first delimiter may open the body
    seen = searched = 0
    async for chunk in body:
        buffer += chunk
        while (at := buffer.find(delimiter, max(searched, 0))) >= 0:
            # What has been taken leaves the buffer before it is stored: it lies in memory once.
            part = _content(buffer, at) if seen else None
            del buffer[: at + len(delimiter)]
            if part is not None:
                yield part
                del part
            seen += 1
            searched = 0
            if buffer[:2] == b"--":
                return
        searched = len(buffer) - len(delimiter)
        if len(buffer) > BUDGET.part_bytes:
            raise _bad_body(f"a part is longer than {BUDGET.part_bytes >> 20} MiB")
    if buffer[:2] != b"--":
        raise _bad_body("it ends before its last boundary")


def _content(buffer: bytearray, end: int) -> bytes:
    blank = buffer.find(b"\r\n\r\n", 0, min(end, _HEAD_LIMIT + 4))
    if blank < 0:
        raise _bad_body("a part has no header")
    with memoryview(buffer) as view:
        return bytes(view[blank + 4 : end])


def _split(part: bytes) -> tuple[Dataset, bytes]:
    if part[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise Rejected("This part is no DICOM file.", code="DATA_MALFORMED")
    stream = io.BytesIO(part)
    stream.seek(_PREAMBLE + 4)
    try:
        meta = _read_file_meta_info(stream)
        meta.TransferSyntaxUID  # noqa: B018 - its absence is what is looked for
    except (ValueError, KeyError, AttributeError, NotImplementedError, EOFError, OSError) as error:
        raise Rejected(f"No meta information: {error}", code="DATA_MALFORMED") from None
    return meta, part[stream.tell() :]


def _require_wanted(sop_class: str, data_set: bytes, syntax: str, study: str) -> str:
    """The study of the data set; `Rejected` where class or study is not what may be stored."""
    if kind_of(sop_class) is None:
        raise Rejected("This class is not stored here.", code="CLASS")
    found = header_reader.text(
        header_reader.read_header(data_set, syntax), header_reader.STUDY_INSTANCE_UID
    )
    if study and found != study:
        raise Rejected("It belongs to another study.", code="STUDY")
    return found


def _kept(receipt: Receipt, study: str, base: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = receipt.sop_class_uid
    item.ReferencedSOPInstanceUID = receipt.sop_instance_uid
    item.RetrieveURL = (
        f"{base}/studies/{study}/series/{receipt.series_instance_uid}"
        f"/instances/{receipt.sop_instance_uid}"
    )
    if receipt.outcome is Outcome.CONFLICT:
        item.WarningReason = _COERCED
    return item


def _failed(sop_class: str, sop_instance: str, reason: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    item.FailureReason = reason
    return item


def _bad_body(why: str) -> Rejected:
    return Rejected(
        f"The body cannot be read: {why}.", code="BODY", remedy="Send the request again, whole."
    )
