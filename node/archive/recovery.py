"""Files what processes that have ended left in their journals, from any process that can."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from node.archive.arrival import identify
from node.archive.entries import (
    Entry,
    file_entries,
    gave_up,
    may_pass,
    read_meta,
    series_of,
    tell_lost,
)
from node.archive.files import Folder, fsync_folder
from node.archive.index import Index
from node.archive.journal import JOURNAL, REFUSED, SUFFIX, claimed, metas, records
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
        with suppress(FileNotFoundError), path.open("rb") as file:
            found |= {series_of(meta) for meta in metas(file.fileno())}
    return found


def recover(folder: Folder, index: Index) -> bool:
    """File what processes that have ended left in their journals.

    False while somebody else is about it. Raises `DBAPIError` and `OSError` when database or disk
    fail; nothing is lost then.
    """
    alone = True
    for path in [*_segments(folder, SUFFIX), *_segments(folder, _TAKEN)]:
        with suppress(FileNotFoundError), claimed(path) as descriptor:
            if descriptor is not None:
                _recover(folder, index, path, descriptor)
            elif path.suffix == _TAKEN:
                alone = False
    return alone


def refused(folder: Folder) -> list[str]:
    """Segments with records that nobody can read; what was acknowledged is in them alone."""
    return [str(path.relative_to(folder.root)) for path in _segments(folder, REFUSED)]


def _file_or_give_up(folder: Folder, index: Index, entries: Sequence[Entry]) -> None:
    """File a batch; raise what may pass, and keep aside what never can be filed."""
    try:
        file_entries(folder, index, entries)
    except Exception as error:  # what one row does to the driver must not stop all others
        if may_pass(error):
            raise
        for entry in entries:
            try:
                file_entries(folder, index, [entry])
            except Exception as own:
                if may_pass(own) or not gave_up(folder, index, entry, own):
                    raise


def _recover(folder: Folder, index: Index, path: Path, descriptor: int) -> None:
    taken = path.rename(path.with_suffix(_TAKEN))
    count = refused = 0
    entries: list[Entry] = []
    damaged: list[bytes] = []
    for meta, place in records(descriptor):
        data = place.read(descriptor)
        if data is None:
            damaged.append(meta)
            continue
        for lost in damaged:  # the last may have been cut off unacknowledged; these were not last
            tell_lost(index, lost, taken.with_suffix(REFUSED))
        refused += len(damaged)
        damaged.clear()
        count += 1
        try:
            context, at = read_meta(meta)
            arrival = identify(data, context, at)
            arrival.data_set = None
        except (NodeError, ValueError) as error:
            log.warning("journal_record_refused", segment=path.name, reason=str(error))
            refused += 1
            continue
        entries.append(Entry(arrival, descriptor, place))
        if len(entries) == _BATCH:
            _file_or_give_up(folder, index, entries)
            entries = []
    _file_or_give_up(folder, index, entries)
    if refused:  # it was acknowledged: somebody has to look at it
        taken.rename(taken.with_suffix(REFUSED))
    else:
        taken.unlink()
    fsync_folder(path.parent)
    if count:
        log.warning("journal_recovered", segment=path.name, instances=count, refused=refused)


def _segments(folder: Folder, suffix: str) -> list[Path]:
    return sorted((folder.root / JOURNAL).glob(f"*{suffix}"))
