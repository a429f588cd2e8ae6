"""What a journal holds, on its way to file and row."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from node.archive.evidence import conflicts
from node.archive.files import CONFLICTS, Folder, instance_name
from node.archive.headers.arrival import Arrival, ReceiveContext
from node.archive.ingest.journal import JOURNAL, Place
from node.archive.rows.index import Index
from node.archive.schema.records import Origin, StoredInstance
from node.crashpoints import reach
from node.log import get_logger

log = get_logger(__name__)

_SERIES_AT = 7  # of the meta data


class Damaged(Exception):
    """The bytes of a record are not what was written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged instance without a file."""

    arrival: Arrival
    descriptor: int
    """Of the segment."""
    place: Place

    def read(self) -> bytes:
        """Its data set, as it came; the arrival knows its digest then.

        Raises `Damaged` when the disk has changed it.
        """
        data = self.place.read(self.descriptor)
        if data is None:
            raise Damaged("the disk has changed the record")
        self.arrival.learn(data)
        return data


def file_entries(folder: Folder, index: Index, entries: Sequence[Entry]) -> None:
    """Files first, then their sync, then the rows: a row never lacks its file.

    Raises `Damaged` when a record is not what was written, and `DBAPIError` or `OSError`.
    """
    rows, paths = [], []
    for entry in entries:
        arrival, header, data_set = entry.arrival, entry.arrival.part10(), entry.read()
        paths.append(folder.place_unsynced(arrival.name, header, data_set))
        rows.append((arrival.stored(arrival.path, len(header) + arrival.size), arrival.header))
    folder.sync_all(paths)
    reach("receive.renamed")
    standing = index.add_instances(rows)
    reach("receive.indexed")
    for entry, (stored, _), row in zip(entries, rows, standing, strict=True):
        if row.sha256 != stored.sha256:
            conflicts.move_aside(folder, index, stored, entry.arrival.header, row)


def try_to_file(folder: Folder, index: Index, entries: Sequence[Entry]) -> Exception | None:
    """File ``entries`` as `file_entries` does; what kept it from that, or None."""
    try:
        file_entries(folder, index, entries)
    except Exception as error:  # noqa: BLE001 - given to the caller: a row must not stop the others
        return error
    return None


def may_pass(error: Exception) -> bool:
    """Whether it is the disk's or the database's; else it is the row's, and trying is no use."""
    if isinstance(error, DBAPIError):
        return not isinstance(error, DataError | IntegrityError)
    return isinstance(error, OSError)


def gave_up(folder: Folder, index: Index, entry: Entry, error: Exception) -> bool:
    """Keep the file of an instance whose row cannot be written, and tell its series."""
    arrival = entry.arrival
    try:
        data_set = entry.read()
        name = instance_name(
            arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, folder=CONFLICTS
        )
        path = folder.place_unsynced(name, arrival.part10(), data_set)
        folder.sync_all([path])
        stored = arrival.stored(str(name), path.stat().st_size)
        calling = arrival.context.calling_ae
        conflicts.record(index, stored, calling, path=str(name), size=stored.size)
    except (Damaged, OSError) as failure:
        log.warning("archive_unavailable", reason=str(failure))
        return False
    except DBAPIError as failure:  # what nobody is told of stays in the journal
        log.warning("index_unavailable", reason=reason_of(failure))
        return False
    log.warning("filing_given_up", kept=str(name), reason=reason_of(error))
    return True


def tell_lost(index: Index, meta: bytes, segment: Path) -> None:
    """Let a series know of an acknowledged instance whose bytes the disk has changed since."""
    context, at = read_meta(meta)
    lost = StoredInstance(
        sop_instance_uid=context.sop_instance_uid or "",
        sop_class_uid=context.sop_class_uid or "",
        transfer_syntax_uid=context.transfer_syntax_uid,
        series_instance_uid=series_of(meta),
        path=f"{JOURNAL}/{segment.name}",
        size=0,
        sha256="",
        received_at=at,
    )
    log.error("journal_record_damaged", segment=segment.name, sop_instance=lost.sop_instance_uid)
    conflicts.record(index, lost, context.calling_ae, path=lost.path, size=0)


def tell_named(index: Index, segment: Path, names: Sequence[tuple[str, str]]) -> None:
    """Tell of records that cannot be read and whose series and SOP Instance UID are known."""
    for series, uid in names:
        log.error("journal_record_damaged", segment=segment.name, sop_instance=uid)
        _tell(index, series, uid, segment, "")


def tell_missing(index: Index, segment: Path, first: int, near: Collection[str]) -> None:
    """Tell of records of which nothing is known but where they were: each series it may concern.

    ``near`` are the series of the records around. Where those are not known either, it may be any
    that is being received.
    """
    log.error("journal_records_missing", segment=segment.name, first=first)
    for series in sorted(near or conflicts.receiving(index)):
        _tell(index, series, "", segment, f"{segment.stem}#{first}@{series}")


def _tell(index: Index, series: str, uid: str, segment: Path, key: str) -> None:
    path = f"{JOURNAL}/{segment.name}"
    lost = StoredInstance(
        sop_instance_uid=uid,
        sop_class_uid="",
        transfer_syntax_uid="",
        series_instance_uid=series,
        path=path,
        size=0,
        sha256=key,
        received_at=datetime.now(UTC),
    )
    conflicts.record(index, lost, "", path=path, size=0)


def meta_of(arrival: Arrival) -> bytes:
    """How it came, with what `identify` needs beside the data set."""
    context = arrival.context
    how = _quoted(context.transfer_syntax_uid, context.calling_ae, context.called_ae)
    peer, origin = _quoted(context.peer), _origin_json(context.origin)
    # UIDs that were checked need no quoting.
    return (
        f'[{how},"{arrival.sop_class_uid}","{arrival.sop_instance_uid}",{peer},'
        f'{arrival.at.timestamp()!r},"{arrival.series_instance_uid}",{origin}]'
    ).encode()


def name_of(arrival: Arrival) -> bytes:
    """How a record is named in the one that follows it."""
    return f"{arrival.series_instance_uid} {arrival.sop_instance_uid}".encode()


@lru_cache(maxsize=64)
def _quoted(*values: str | None) -> str:
    """As JSON, without the brackets around."""
    return json.dumps(values)[1:-1]


@lru_cache(maxsize=64)
def _origin_json(origin: Origin | None) -> str:
    if origin is None:
        return "null"
    return json.dumps([origin.key, origin.holder, origin.kind, origin.address, origin.opened_at])


def _read_origin(values: Sequence[Any]) -> Origin | None:
    """The origin of a record; None for one of a version that kept none."""
    if not values or values[0] is None:
        return None
    key, holder, kind, address, opened_at = values[0]
    return Origin(key=key, holder=holder, kind=kind, address=address, opened_at=opened_at)


def read_meta(meta: bytes) -> tuple[ReceiveContext, datetime]:
    """How and when the instance of a record arrived."""
    syntax, calling, called, sop_class, sop_instance, peer, at_s, _series, *more = json.loads(meta)
    context = ReceiveContext(
        transfer_syntax_uid=syntax,
        calling_ae=calling,
        called_ae=called,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        peer=peer,
        origin=_read_origin(more),
    )
    return context, datetime.fromtimestamp(at_s, UTC)


def series_of(meta: bytes) -> str:
    """Series Instance UID of a record's instance."""
    uid: str = json.loads(meta)[_SERIES_AT]
    return uid


def reason_of(error: Exception) -> str:
    """What went wrong, without a value of any row."""
    # `orig` is the driver's own sentence; the whole error would carry the row's values.
    return str(error.orig) if isinstance(error, DBAPIError) else str(error)
