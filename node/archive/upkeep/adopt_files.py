"""Files that no row knows are taken up again: they may have been acknowledged.

So it is after a database was restored that is older than the files, or after a failover to a
replica that lagged. A file's name has its UIDs and a digest of its data set, so that a whole file
proves itself; what does not is told and left where it is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from node.archive.evidence import conflicts
from node.archive.files import CONFLICTS, INSTANCES, Folder, instance_path
from node.archive.headers.arrival import Arrival, ReceiveContext, identify
from node.archive.rows.index import Index
from node.archive.schema.records import StoredInstance
from node.dicom.intact import split_file
from node.domain.errors import NodeError
from node.log import get_logger

log = get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Adoption:
    """What became of files without a row; paths are relative to the data folder."""

    adopted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """No instance as it was received: made here by work that did not end, damaged, or foreign."""


class Adopter:
    """Gives files their rows; doing it twice, or while they get them anyway, changes nothing."""

    def __init__(
        self, folder: Folder, index: Index, *, peer_of: Callable[[str], str | None]
    ) -> None:
        """``peer_of`` names the peer of a calling AE title; None for an unknown one."""
        self._folder = folder
        self._index = index
        self._peer_of = peer_of

    def adopt_all(self, paths: Iterable[str]) -> Adoption:
        """Take up what can be; the rest is named."""
        told = Adoption()
        for path in paths:
            (told.adopted if self.adopt(path) else told.left).append(path)
        return told

    def adopt(self, path: str) -> bool:
        """Give a file its row; False where it does not prove itself."""
        place = self._folder.path(PurePosixPath(path))
        try:
            arrival, size = self._read(place)
        except (NodeError, OSError, ValueError) as error:
            log.warning("orphan_left", path=path, reason=str(error))
            return False
        stored = arrival.stored(path, size)
        if path == _name(arrival, CONFLICTS):
            if not self._aside(arrival, stored, place):
                return False
        elif path == _name(arrival, INSTANCES):
            (standing,) = self._index.add_instances([(stored, arrival.header)])
            if standing.sha256 != stored.sha256:
                header = arrival.header
                conflicts.move_aside(self._folder, self._index, stored, header, standing)
        else:
            return False
        log.warning("orphan_adopted", path=path)
        return True

    def _aside(self, arrival: Arrival, stored: StoredInstance, place: Path) -> bool:
        """Record what lies aside; False where it says the same as the one that is held."""
        known, version = self._index.find_instance(stored.sop_instance_uid), None
        if known is not None:
            with place.open("rb") as file:
                version = conflicts.version_of(known, self._folder, file, arrival.header)
            if version is None:
                return False
        conflicts.record(
            self._index,
            stored,
            arrival.context.calling_ae,
            path=stored.path,
            size=stored.size,
            version=version,
        )
        return True

    def _read(self, place: Path) -> tuple[Arrival, int]:
        data = place.read_bytes()
        meta, data_set = split_file(data)
        calling = meta.get(0x0016, b"").decode("ascii", "replace").strip(" \0")
        context = ReceiveContext(
            transfer_syntax_uid=meta.get(0x0010, b"").decode("ascii", "replace").rstrip("\0"),
            calling_ae=calling,
            called_ae="",
            sop_class_uid=meta.get(0x0002, b"").decode("ascii", "replace").rstrip("\0"),
            sop_instance_uid=meta.get(0x0003, b"").decode("ascii", "replace").rstrip("\0"),
            peer=self._peer_of(calling),
        )
        at = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        return identify(data_set, context, at), len(data)


def _name(arrival: Arrival, folder: str) -> str:
    return instance_path(
        arrival.series_instance_uid, arrival.sop_instance_uid, arrival.sha256, folder=folder
    )
