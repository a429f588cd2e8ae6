import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.ingest.receive import Receiver
from node.archive.people.audit import By
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.records import StoredInstance
from node.archive.upkeep.retention import Retention
from node.archive.work.decisions import Decisions
from node.domain.errors import Rejected
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.unit.archive.delivered import CONTEXT, Archive, make_archive


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """One MR instance received."""
    archive = make_archive(tmp_path / "var")
    archive.receive()
    return archive


def _removable(archive: Archive, older_than_s: float = 0.0) -> list[int]:
    retention = Retention(archive.engine, archive.folder)
    return list(retention.removable(older_than_s=older_than_s, limit=10))


def _files(archive: Archive) -> list[str]:
    folders = (archive.root / name for name in ("instances", "outputs", "conflicts"))
    return sorted(p.name for folder in folders for p in folder.rglob("*") if p.is_file())


def test_what_a_destination_still_lacks_is_never_removable(archive: Archive) -> None:
    """Received, made, on its way, at one of two destinations: it stays, whatever its age."""
    assert _removable(archive) == []
    archive.make("tps", "oncology")
    assert _removable(archive) == []
    archive.deliver("tps")
    assert _removable(archive) == []
    assert Retention(archive.engine, archive.folder).remove(1, "Too early.") == 0
    archive.deliver("oncology")
    assert _removable(archive) == [1]
    assert _removable(archive, older_than_s=3600) == []


def test_what_was_delivered_to_nobody_is_not_removable(archive: Archive) -> None:
    """A route without destinations ends as delivered, but nobody has confirmed anything."""
    archive.make()
    assert archive.item()["state"] == "delivered"
    assert _removable(archive) == []


def test_a_series_that_was_sent_again_is_not_removable(archive: Archive) -> None:
    """A person's resend makes it wait for a confirmation anew."""
    archive.make("tps")
    archive.deliver("tps")
    Decisions(archive.engine).resend(1, By(who="me"))
    assert _removable(archive) == []


def test_removal_frees_the_disk_and_keeps_the_history(archive: Archive) -> None:
    """Files and their rows go; the series, its runs and its timeline stay."""
    archive.make("tps")
    archive.deliver("tps")
    before = _files(archive)
    retention = Retention(archive.engine, archive.folder)
    freed = retention.remove(1, "Removed for the test.")

    assert freed > 0
    assert _files(archive) == before  # rows first
    assert retention.remove_files() == len(before) == 2
    assert _files(archive) == []
    item = archive.item()
    assert (item["state"], item["instances"], item["sentence"]) == (
        "delivered",
        0,
        "Removed for the test.",
    )
    with pytest.raises(Rejected, match="removed"):
        Decisions(archive.engine).resend(1, By(who="me"))
    with archive.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.runs)).scalar() == 1


def test_a_removed_series_that_comes_again_is_a_new_revision(archive: Archive) -> None:
    """Other times would go into the sCT, so it must not bear the UIDs of the first one."""
    archive.make("tps")
    archive.deliver("tps")
    retention = Retention(archive.engine, archive.folder)
    retention.remove(1, "Removed.")
    retention.remove_files()

    archive.receive()
    item = archive.item()
    assert (item["state"], item["instances"], item["revision"]) == ("receiving", 1, 2)
    with archive.engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.catalogue)).scalar() == 1


@pytest.mark.long
def test_a_file_received_again_before_the_removal_ends_is_kept(archive: Archive) -> None:
    """The list names a file, not a path: what came after it under that path is acknowledged."""
    archive.make("tps")
    archive.deliver("tps")
    retention = Retention(archive.engine, archive.folder)
    retention.remove(1, "Removed.")
    path = archive.root / archive.receive()
    new = path.stat().st_ino

    retention.remove_files()
    assert path.stat().st_ino == new


@pytest.mark.long
def test_a_crash_while_a_newer_file_is_aside_does_not_lose_it(archive: Archive) -> None:
    """Dying between the two renames leaves the file where the next look finds it."""
    archive.make("tps")
    archive.deliver("tps")
    retention = Retention(archive.engine, archive.folder)
    retention.remove(1, "Removed.")
    path = archive.root / archive.receive()
    with archive.engine.connect() as connection:
        query = sa.select(t.removals.c.id).where(t.removals.c.path.like("instances/%"))
        number = connection.execute(query).scalar_one()
    data = path.read_bytes()
    os.rename(path, archive.root / "tmp" / f"{number}.removed")  # noqa: PTH104 - as a crash left it

    retention.remove_files()
    assert path.read_bytes() == data
    assert not list((archive.root / "tmp").iterdir())


def test_what_is_forgotten_between_look_and_answer_has_its_row(archive: Archive) -> None:
    """A repeat finds the row without its file; retention forgets the row; the answer holds."""
    archive.make("tps")
    archive.deliver("tps")
    retention = Retention(archive.engine, archive.folder)
    path = archive.root / archive.receive()
    path.unlink()

    class Late(Index):
        """Retention comes right after each look."""

        def find_instance(self, sop_instance_uid: str) -> StoredInstance | None:
            found = super().find_instance(sop_instance_uid)
            assert retention.remove(1, "Removed.") > 0
            return found

    receiver = Receiver(archive.folder, Late(archive.engine))
    image = write_image(archive.root / "sent.dcm", mr_image())
    receiver.receive(data_set_of(image), CONTEXT)
    retention.remove_files()

    found = Index(archive.engine).find_instance(str(mr_image().SOPInstanceUID))
    assert found is not None
    assert (archive.root / found.path).exists()
    assert archive.item()["instances"] == 1
