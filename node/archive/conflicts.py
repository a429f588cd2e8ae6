"""Another object of a SOP Instance UID that is stored already: kept aside, never mixed in."""

from node.archive.files import CONFLICTS, Folder, fsync_folder, instance_name
from node.archive.index import Index
from node.archive.records import Conflict, StoredInstance
from node.log import get_logger

log = get_logger(__name__)


def move_aside(folder: Folder, index: Index, arrived: StoredInstance, calling_ae: str) -> str:
    """Take the file of ``arrived`` out of its series, and record it; return where it lies now."""
    name = instance_name(
        arrived.series_instance_uid, arrived.sop_instance_uid, arrived.sha256, folder=CONFLICTS
    )
    aside = folder.path(name)
    folder.rename(folder.root / arrived.path, aside)
    fsync_folder(aside.parent)
    record(index, arrived, calling_ae, path=str(name), size=aside.stat().st_size)
    return str(name)


def record(index: Index, arrived: StoredInstance, calling_ae: str, *, path: str, size: int) -> None:
    """Remember what lies aside at ``path``."""
    index.add_conflict(
        Conflict(
            sop_instance_uid=arrived.sop_instance_uid,
            series_instance_uid=arrived.series_instance_uid,
            path=path,
            size=size,
            sha256=arrived.sha256,
            calling_ae=calling_ae,
            received_at=arrived.received_at,
        )
    )
    log.warning("instance_conflict", sop_instance=arrived.sop_instance_uid, aside=path)
