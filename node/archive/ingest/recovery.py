"""Files what processes that have ended left in their journals, from any process that can."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from node.archive.files import ORPHAN_AGE_S, Folder, fsync_folder
from node.archive.headers.arrival import identify
from node.archive.ingest import journal_earlier, journal_reader
from node.archive.ingest.journal import JOURNAL, REFUSED, SUFFIX, records
from node.archive.ingest.journal_claim import Watch, claimed
from node.archive.ingest.journal_entry import (
    Entry,
    gave_up,
    may_pass,
    read_meta,
    series_of,
    tell_lost,
    tell_missing,
    tell_named,
    try_to_file,
)
from node.archive.ingest.journal_reader import Found, Missing
from node.archive.rows.index import Index
from node.domain.errors import NodeError
from node.log import get_logger

log = get_logger(__name__)

# Rows of one transaction.
_BATCH = 128
# Suffix of a segment that is being recovered.
_TAKEN = ".taken"


def waiting_series(folder: Folder) -> set[str]:
    """Series with instances in a journal: some of them may have no row yet.

    A series must not settle before that: on a slow disk a row may come late.
    """
    found = set()
    for path in [*_segments(folder, SUFFIX), *_segments(folder, _TAKEN)]:
        try:
            with path.open("rb") as file:
                found |= {series_of(meta) for meta in _metas(file.fileno())}
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:  # one bad segment does not stop every series
            log.warning("journal_unreadable", segment=path.name, reason=str(error))
    return found


def recover(folder: Folder, index: Index, watch: Watch | None = None) -> bool:
    """File what processes that have ended left in their journals.

    False while somebody else is about it, or the disk takes no files: nothing is lost then. One
    segment that cannot be read stops no other: it is told and kept. Raises `DBAPIError` when the
    database fails.
    """
    whole = True
    watch = watch or Watch()
    watch.look()
    for path in [*_segments(folder, SUFFIX), *_segments(folder, _TAKEN)]:
        try:
            if not _can_be_opened(folder, index, path, watch):
                continue
            with claimed(path, watch) as descriptor:
                if descriptor is not None:
                    _Recovery(folder, index, path, descriptor).run()
                elif path.suffix == _TAKEN:
                    whole = False
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("journal_not_recovered", segment=path.name, reason=str(error))
            whole = False
    _remove_begun(folder)
    return whole


def refused(folder: Folder) -> list[str]:
    """Segments with records that nobody can read; what was acknowledged is in them alone."""
    return [str(path.relative_to(folder.root)) for path in _segments(folder, REFUSED)]


def reopen_refused(folder: Folder) -> None:
    """Have `recover` look once more at what was set aside: the disk may give it now."""
    for path in _segments(folder, REFUSED):
        path.rename(path.with_suffix(SUFFIX))


def is_whole(descriptor: int) -> bool:
    """Whether a copy of a segment can be read to its end, data and all."""
    for item in _contents(descriptor):
        if isinstance(item, Missing) or item.place.read(descriptor) is None:
            return False
    return True


@dataclass(slots=True)
class _Recovery:
    """One segment of a process that has ended."""

    folder: Folder
    index: Index
    path: Path
    descriptor: int
    filed: int = 0
    lost: int = 0
    """Records that are told and not filed."""
    series: set[str] = field(default_factory=set)
    """Of the records that could be read: what is missing between them may be theirs."""

    def run(self) -> None:
        """File everything, tell of the rest; the segment goes when it is proven empty."""
        taken = self.path.rename(self.path.with_suffix(_TAKEN))
        missing = self._file(_contents(self.descriptor))
        for one in missing:
            self._tell(one)
        if self.lost:  # it was acknowledged: somebody has to look at it
            taken.rename(taken.with_suffix(REFUSED))
        else:
            taken.unlink()
        fsync_folder(taken.parent)
        if self.filed or self.lost:
            log.warning(
                "journal_recovered",
                segment=taken.name,
                instances=self.filed,
                refused=self.lost,
            )

    def _file(self, contents: Iterator[Found | Missing]) -> list[Missing]:
        """File batch by batch; what is missing is told when all others have their rows."""
        missing: list[Missing] = []
        entries: list[Entry] = []
        for item in contents:
            if isinstance(item, Missing):
                missing.append(item)
                continue
            entry = self._entry(item)
            if entry is not None:
                entries.append(entry)
            if len(entries) == _BATCH:
                self._file_or_give_up(entries)
                entries = []
        self._file_or_give_up(entries)
        return missing

    def _entry(self, item: Found) -> Entry | None:
        """What is to be filed; None, and told, where it is no instance any more."""
        self.series.add(series_of(item.meta))
        data = item.place.read(self.descriptor)
        if data is None:
            context, _ = read_meta(item.meta)
            if self.index.find_instance(context.sop_instance_uid or "") is None:
                tell_lost(self.index, item.meta, self.path.with_suffix(REFUSED))
                self.lost += 1
            return None
        try:
            context, at = read_meta(item.meta)
            arrival = identify(data, context, at)
        except (NodeError, ValueError) as error:
            log.warning("journal_record_refused", segment=self.path.name, reason=str(error))
            tell_lost(self.index, item.meta, self.path.with_suffix(REFUSED))
            self.lost += 1
            return None
        arrival.data_set = None
        self.filed += 1
        return Entry(arrival, self.descriptor, item.place)

    def _tell(self, missing: Missing) -> None:
        known = [n for n in missing.names if self.index.find_instance(n[1]) is None]
        if missing.names and not known and max(1, missing.count) == len(missing.names):
            return  # they had their rows already
        self.lost += max(1, missing.count)
        segment = self.path.with_suffix(REFUSED)
        tell_named(self.index, segment, known)
        if len(missing.names) < max(1, missing.count):
            tell_missing(self.index, segment, missing.first, self.series)

    def _file_or_give_up(self, entries: Sequence[Entry]) -> None:
        """File a batch; raise what may pass, and keep aside what never can be filed."""
        error = try_to_file(self.folder, self.index, entries)
        if error is None:
            return
        if may_pass(error):
            raise error
        for entry in entries:
            own = try_to_file(self.folder, self.index, [entry])
            if own and (may_pass(own) or not gave_up(self.folder, self.index, entry, own)):
                raise own


def _contents(descriptor: int) -> Iterator[Found | Missing]:
    if journal_earlier.is_earlier(descriptor):
        return journal_earlier.contents(descriptor)
    return journal_reader.contents(descriptor)


def _can_be_opened(folder: Folder, index: Index, path: Path, watch: Watch) -> bool:
    """Whether the disk gives a segment; else it is told, for nobody knows whose it is, and kept."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return False
    except OSError as error:
        if path.stem in watch.told:  # it could not be moved, and is told once
            return False
        log.warning("journal_unreadable", segment=path.name, reason=str(error))
        tell_missing(index, path.with_suffix(REFUSED), 0, set())
        watch.told.add(path.stem)
        with suppress(OSError):
            path.rename(path.with_suffix(REFUSED))
            fsync_folder(folder.root / JOURNAL)
        return False
    return True


def _metas(descriptor: int) -> list[bytes]:
    """Meta data of each record of a segment that may be in use, without a look at the data."""
    if journal_earlier.is_earlier(descriptor):
        found = journal_earlier.contents(descriptor)
        return [item.meta for item in found if isinstance(item, Found)]
    while True:
        head = journal_reader.heads(descriptor)
        metas = [meta for meta, _ in records(descriptor)]
        if journal_reader.heads(descriptor) == head:  # else it began anew meanwhile
            return metas


def _remove_begun(folder: Folder) -> None:
    """Remove segments whose process was killed before they had their length."""
    for path in _segments(folder, ".new"):
        with suppress(OSError), claimed(path) as descriptor:
            if descriptor is None:
                continue
            if os.fstat(descriptor).st_mtime < time.time() - ORPHAN_AGE_S:
                path.unlink()


def _segments(folder: Folder, suffix: str) -> list[Path]:
    return sorted((folder.root / JOURNAL).glob(f"*{suffix}"))
