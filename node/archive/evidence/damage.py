"""Files that are not what was stored: found by whoever reads them, told to their series, healed.

Every reader goes through `Guard`: it gives a path only after the file was read and compared with
its digest. What it says of damage stays in ``file_checks`` until the same object comes again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import with_finding
from node.archive.files import Folder
from node.archive.rows.series_rows import add_event, insert_missing, lock_series
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile, StoredInstance
from node.dicom.intact import DAMAGED, Digest, NotIntact, check_intact
from node.domain.findings import finding, finding_json
from node.log import get_logger

log = get_logger(__name__)

STAGE = "archive"
"""Stage of the findings made here."""
_CHUNK = 500
OF_HELD = (
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "path",
    "size",
    "sha256",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One archived file and what it must be."""

    path: str
    """Relative to the data folder."""
    digest: Digest


def held(row: Any, *, of_file: bool) -> Held:
    """Of a row of instances or outputs."""
    return Held(
        path=row["path"],
        digest=Digest(
            sop_instance_uid=row["sop_instance_uid"],
            sop_class_uid=row["sop_class_uid"],
            transfer_syntax_uid=row["transfer_syntax_uid"],
            size=row["size"],
            sha256=row["sha256"],
            of_file=of_file,
        ),
    )


def held_instance(stored: StoredInstance) -> Held:
    """Of an instance as it was received."""
    return held({name: getattr(stored, name) for name in OF_HELD}, of_file=False)


def held_output(made: OutputFile) -> Held:
    """Of an object that the node made."""
    return held({name: getattr(made, name) for name in OF_HELD}, of_file=True)


class Guard:
    """Vouches for files, and tells of those it cannot vouch for; safe to use from many threads."""

    def __init__(self, engine: sa.Engine, folder: Folder) -> None:
        self.engine = engine
        self._folder = folder

    def path(self, file: Held) -> Path:
        """Where an intact file lies; `NotIntact`, and its series told, when it is not."""
        path = self._folder.path(PurePosixPath(file.path))
        try:
            check_intact(path, file.digest)
        except NotIntact:
            self.tell(file)
            raise
        return path

    def is_intact(self, file: Held) -> bool:
        """Whether a file is what was stored; when not, its series is told."""
        try:
            self.path(file)
        except NotIntact:
            return False
        return True

    def vouched(self, files: Sequence[Held], *, within_s: float) -> set[str]:
        """SOP Instance UIDs of the files that are intact.

        One that was read in the last ``within_s`` seconds, and not touched since, is not read
        again: what was verified is remembered.
        """
        known = self._fresh([f.digest.sop_instance_uid for f in files], within_s)
        good = {f.digest.sop_instance_uid for f in files if self._same(f, known)}
        read = []
        for file in files:
            uid = file.digest.sop_instance_uid
            if uid not in good and self.is_intact(file):
                good.add(uid)
                read.append(file)
        if read:
            self.remember(read)
        return good

    def remember(self, files: Iterable[Held]) -> None:
        """Keep that these were read just now and are intact."""
        c = t.file_checks
        with self.engine.begin() as connection:
            for file in files:
                here = c.c.sop_instance_uid == file.digest.sop_instance_uid
                connection.execute(sa.delete(c).where(here, c.c.damaged_at.is_(None)))
                values = {
                    "sop_instance_uid": file.digest.sop_instance_uid,
                    "path": file.path,
                    "state": self._state(file),
                    "verified_at": t.db_clock(),
                }
                insert_missing(connection, c, values)

    def tell(self, file: Held) -> None:
        """Let the series of a damaged file know, once."""
        uid = file.digest.sop_instance_uid
        c = t.file_checks
        with self.engine.begin() as connection:
            series = _series_of(connection, uid)
            if series is None:
                return
            row = lock_series(connection, series)
            query = sa.select(c.c.damaged_at).where(c.c.sop_instance_uid == uid)
            if connection.execute(query).scalar_one_or_none() is not None:
                return
            connection.execute(sa.delete(c).where(c.c.sop_instance_uid == uid))
            values = {"sop_instance_uid": uid, "path": file.path, "damaged_at": t.db_clock()}
            connection.execute(sa.insert(c).values(values))
            found = finding(DAMAGED, uid=uid, uids=[uid])
            add_event(connection, series, "damaged", found.sentence)
            told = with_finding(row["findings"], finding_json(found, stage=STAGE))
            change = sa.update(t.series).where(t.series.c.id == series)
            connection.execute(change.values(findings=told))
        log.error("file_damaged", sop_instance=uid, path=file.path)

    def healed(self, sop_instance_uid: str) -> bool:
        """Say that a damaged file is whole again; False when it was not known to be damaged."""
        uid, c = sop_instance_uid, t.file_checks
        with self.engine.begin() as connection:
            gone = connection.execute(sa.delete(c).where(c.c.sop_instance_uid == uid))
            series = _series_of(connection, uid)
            if series is None:
                return False
            row = lock_series(connection, series)
            left = [f for f in row["findings"] if (f["code"], f["uids"]) != (DAMAGED, [uid])]
            change = sa.update(t.series).where(t.series.c.id == series)
            connection.execute(change.values(findings=left))
            sentence = f"The file of SOP instance {uid} was damaged or gone; it came again, whole."
            add_event(connection, series, "healed", sentence)
        log.warning("file_healed", sop_instance=uid)
        return gone.rowcount > 0

    def _fresh(self, uids: Sequence[str], within_s: float) -> dict[str, str]:
        """What the files looked like that were verified lately, by SOP Instance UID."""
        c, found = t.file_checks.c, dict[str, str]()
        with t.reading(self.engine).begin() as connection:
            for start in range(0, len(uids), _CHUNK):
                query = sa.select(c.sop_instance_uid, c.state).where(
                    c.sop_instance_uid.in_(uids[start : start + _CHUNK]),
                    c.damaged_at.is_(None),
                    c.verified_at > t.db_clock() - within_s,
                )
                found |= {row[0]: row[1] for row in connection.execute(query)}
        return found

    def _same(self, file: Held, known: dict[str, str]) -> bool:
        state = known.get(file.digest.sop_instance_uid)
        return bool(state) and state == self._state(file)

    def _state(self, file: Held) -> str:
        """What tells one file from another, and from itself after somebody touched it."""
        try:
            state = self._folder.path(PurePosixPath(file.path)).stat()
        except OSError:
            return ""
        return f"{state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"


def damaged(engine: sa.Engine) -> list[str]:
    """Paths of the files that are known to be damaged."""
    c = t.file_checks.c
    query = sa.select(c.path).where(c.damaged_at.is_not(None)).order_by(c.path)
    with t.reading(engine).begin() as connection:
        return list(connection.execute(query).scalars())


def _series_of(connection: sa.Connection, uid: str) -> int | None:
    i, o, r = t.instances.c, t.outputs.c, t.runs.c
    received = sa.select(i.series_id).where(i.sop_instance_uid == uid)
    found = connection.execute(received).scalar_one_or_none()
    if found is None:
        made = sa.select(r.series_id).join(t.outputs, o.run_id == r.id)
        query = made.where(o.sop_instance_uid == uid)
        found = connection.execute(query).scalar_one_or_none()
    return found
