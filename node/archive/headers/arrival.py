"""Who an instance says it is, before anything of it is kept."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath

from node.archive.files import Spool, instance_name, instance_path, part10_header
from node.archive.headers import header_reader
from node.archive.schema.records import Origin, ReceivedHeader, StoredInstance
from node.domain.errors import Defect, Rejected
from node.domain.names import is_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveContext:
    """How an instance arrived."""

    transfer_syntax_uid: str
    """Of the data set's bytes."""
    calling_ae: str
    """AE title of the sender; empty where there is none."""
    called_ae: str
    sop_class_uid: str | None = None
    """Affected SOP Class UID of the command; None where there is no command."""
    sop_instance_uid: str | None = None
    """Affected SOP Instance UID of the command; None where there is no command."""
    peer: str | None = None
    """Name of the peer that sent it; None for an unknown one."""
    origin: Origin | None = None
    """The association or request it came with; None where nobody keeps a record of it."""


@dataclass(kw_only=True)
class Arrival:
    """One instance whose identity has been checked.

    Nothing changes in it but that `data_set` is let go once it lies elsewhere. What only file and
    row need is worked out when it is asked for.
    """

    data_set: bytes | Spool | None
    """None while only the journal has it."""
    size: int
    """Bytes of the data set."""
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    values: Mapping[int, bytes]
    """Raw values by tag, as `node.archive.headers.header_reader` reads them."""
    context: ReceiveContext
    at: datetime

    @cached_property
    def sha256(self) -> str:
        """Of the data set. Raises `Defect` when that was let go before anybody asked."""
        return _sha256(self.kept)

    @property
    def kept(self) -> bytes | Spool:
        """The data set. Raises `Defect` when it was let go."""
        if self.data_set is None:
            raise Defect("The data set of an instance was let go and is asked for.")
        return self.data_set

    def learn(self, data_set: bytes) -> None:
        """Take the digest of ``data_set``, which is the one that was let go."""
        self.__dict__.setdefault("sha256", _sha256(data_set))

    @cached_property
    def header(self) -> ReceivedHeader:
        """What is indexed of its series."""
        return _header(self.values, self.study_instance_uid, self.context)

    @property
    def patient_id(self) -> str:
        """Patient ID; empty when absent."""
        return header_reader.text(self.values, header_reader.PATIENT_ID)

    @property
    def name(self) -> PurePosixPath:
        """Where its file belongs, below the root."""
        return instance_name(self.series_instance_uid, self.sop_instance_uid, self.sha256)

    @property
    def path(self) -> str:
        """The same as text."""
        return instance_path(self.series_instance_uid, self.sop_instance_uid, self.sha256)

    def part10(self) -> bytes:
        """What goes before the data set in its file."""
        return part10(self.sop_class_uid, self.sop_instance_uid, self.context)

    def stored(self, path: str, size: int) -> StoredInstance:
        """Its row, once its file of ``size`` bytes lies at ``path``."""
        return StoredInstance(
            sop_instance_uid=self.sop_instance_uid,
            sop_class_uid=self.sop_class_uid,
            transfer_syntax_uid=self.context.transfer_syntax_uid,
            series_instance_uid=self.series_instance_uid,
            path=path,
            size=size,
            sha256=self.sha256,
            received_at=self.at,
        )


def _read_header(data_set: bytes | Spool, transfer_syntax_uid: str) -> Mapping[int, bytes]:
    if isinstance(data_set, Spool):
        start = len(data_set.header)
        return header_reader.read_header(data_set.mapped(), transfer_syntax_uid, start=start)
    return header_reader.read_header(data_set, transfer_syntax_uid)


def _sha256(data_set: bytes | Spool) -> str:
    return data_set.sha256 if isinstance(data_set, Spool) else hashlib.sha256(data_set).hexdigest()


def part10(sop_class_uid: str, sop_instance_uid: str, context: ReceiveContext) -> bytes:
    """Preamble and File Meta Information of what arrived in ``context``."""
    return part10_header(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=context.transfer_syntax_uid,
        source_ae=context.calling_ae,
    )


def require_uid(keyword: str, value: str) -> None:
    """Raise `Rejected` when ``value`` is no UID."""
    if not is_uid(value):
        raise Rejected(
            f"{keyword} {value[:80]!r} is not a UID.",
            code="UID_INVALID",
            remedy="Correct the UID at the sender: digits in components joined by dots.",
        )


def identify(data_set: bytes | Spool, context: ReceiveContext, at: datetime) -> Arrival:
    """Check who the instance says it is; raise `Rejected` where command and data set disagree."""
    if context.sop_instance_uid is not None:
        require_uid("Affected SOP Instance UID", context.sop_instance_uid)
    values = _read_header(data_set, context.transfer_syntax_uid)
    sop_class = _uid(values, header_reader.SOP_CLASS_UID, "SOPClassUID")
    sop_instance = _uid(values, header_reader.SOP_INSTANCE_UID, "SOPInstanceUID")
    series = _uid(values, header_reader.SERIES_INSTANCE_UID, "SeriesInstanceUID")
    _require_equal("SOPClassUID", sop_class, context.sop_class_uid, "SOP_CLASS_MISMATCH")
    _require_equal(
        "SOPInstanceUID", sop_instance, context.sop_instance_uid, "SOP_INSTANCE_MISMATCH"
    )
    study = _uid(values, header_reader.STUDY_INSTANCE_UID, "StudyInstanceUID")
    return Arrival(
        data_set=data_set,
        size=data_set.size if isinstance(data_set, Spool) else len(data_set),
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        series_instance_uid=series,
        study_instance_uid=study,
        values=values,
        context=context,
        at=at,
    )


def _uid(values: Mapping[int, bytes], tag: int, keyword: str) -> str:
    value = header_reader.text(values, tag)
    if not value:
        raise Rejected(
            f"{keyword} is missing.",
            code="UID_MISSING",
            remedy="Export the series again, as the scanner made it.",
        )
    if not is_uid(value):
        raise Rejected(
            f"{keyword} is {value[:80]!r}, which is not a UID.",
            code="UID_INVALID",
            remedy="Export the series again, as the scanner made it.",
        )
    return value


def _require_equal(keyword: str, data_set: str, command: str | None, code: str) -> None:
    if command is not None and command != data_set:
        raise Rejected(
            f"{keyword} is {data_set} in the data set and {command} in the command.",
            code=code,
            remedy="The sender's database and file disagree; export the object again there.",
        )


def _header(values: Mapping[int, bytes], study: str, context: ReceiveContext) -> ReceivedHeader:
    return ReceivedHeader(
        study_instance_uid=study,
        patient_id=header_reader.text(values, header_reader.PATIENT_ID),
        patient_name=header_reader.text(values, header_reader.PATIENT_NAME),
        accession_number=header_reader.text(values, header_reader.ACCESSION_NUMBER),
        series_description=header_reader.text(values, header_reader.SERIES_DESCRIPTION),
        body_part=header_reader.text(values, header_reader.BODY_PART),
        modality=header_reader.text(values, header_reader.MODALITY),
        calling_ae=context.calling_ae,
        called_ae=context.called_ae,
        peer=context.peer,
        values=values,
        transfer_syntax_uid=context.transfer_syntax_uid,
        origin=context.origin,
    )
