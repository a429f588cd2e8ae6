"""What must be true after a crash and a restart."""

import hashlib
from contextlib import suppress
from pathlib import Path

import pydicom

from node.archive.ingest.journal import JOURNAL, records
from node.archive.ingest.journal_entry import read_meta
from node.archive.schema.records import OutputFile
from tests.crash.watched import Watched
from tests.peers.dcmtk import Storescp


def data_set(path: Path) -> bytes:
    """Give the bytes of a Part 10 file after its File Meta Information."""
    data = path.read_bytes()
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def acknowledged(said: str) -> int:
    """How many instances a verbose storescu was told are stored."""
    return said.count("Received Store Response (Success)")


def every_acknowledged_is_there(node: Watched, sent: list[Path], count: int) -> None:
    """The first ``count`` files of ``sent`` are safe, byte for byte.

    Each is indexed and has its file, or lies in a journal. The journals are read first: what leaves
    one meanwhile has its row by then.
    """
    waiting = journaled(node.data)
    rows = dict(node.instance_rows())
    for path in sent[:count]:
        uid = _instance(path)
        assert uid in rows or uid in waiting, f"acknowledged instance {uid} is lost"
        held = data_set(node.data / rows[uid]) if uid in rows else waiting[uid]
        assert held == data_set(path)


def journaled(data_dir: Path) -> dict[str, bytes]:
    """Data sets by SOP Instance UID of what lies in a journal, filed or not."""
    found = {}
    for path in (data_dir / JOURNAL).glob("*"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            for meta, place in records(file.fileno()):
                data = place.read(file.fileno())
                context, _ = read_meta(meta)
                if data is not None:
                    found[str(context.sop_instance_uid)] = data
    return found


def one_sct_delivered(node: Watched, tps: Storescp, series_id: int) -> list[OutputFile]:
    """The series has exactly one sCT, all of it arrived, and each file is the archived one."""
    outputs = node.queries().output_files(series_id)
    assert outputs
    assert len({o.series_instance_uid for o in outputs}) == 1
    for output in outputs:
        archived = node.data / output.path
        assert hashlib.sha256(archived.read_bytes()).hexdigest() == output.sha256
    mine = {o.series_instance_uid: o for o in outputs}
    source = {node.data / o.path for o in outputs}
    arrived = [p for p in tps.files() if _series(p) in mine]
    assert sorted(map(data_set, arrived)) == sorted(map(data_set, source))
    return outputs


def nothing_else_arrived(node: Watched, tps: Storescp) -> None:
    """No object reached the destination that is not an output of one of the node's series."""
    known = {
        o.sop_instance_uid
        for item in node.series()
        for o in node.queries().output_files(item["id"])
    }
    assert {_instance(p) for p in tps.files()} == known


def snapshot(node: Watched) -> dict[str, bytes]:
    """Give every output file as it lies on disk now."""
    root = node.data / "outputs"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.dcm")}


def _series(path: Path) -> str:
    return str(pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)


def _instance(path: Path) -> str:
    return str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
