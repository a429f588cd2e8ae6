"""Group commit: everyone gets the word about its own row, whoever carries the group."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from node.archive.commit import GroupCommit
from node.archive.records import ReceivedHeader, StoredInstance

Rows = Sequence[tuple[StoredInstance, ReceivedHeader]]
HEADER = ReceivedHeader(
    study_instance_uid="1.2",
    patient_id="",
    patient_name="",
    accession_number="",
    series_description="",
    body_part="",
    modality="MR",
    calling_ae="",
    called_ae="",
)


def instance(number: int) -> StoredInstance:
    """A row to index."""
    return StoredInstance(
        sop_instance_uid=f"1.2.3.{number}",
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2",
        series_instance_uid="1.2.3",
        path=str(number),
        size=1,
        sha256=f"{number:064}",
        received_at=datetime.now(UTC),
    )


class Index:
    """Keeps what it is given once it may, and refuses ``bad`` ones."""

    def __init__(self, bad: str = "") -> None:
        self.groups: list[list[str]] = []
        self.may = threading.Event()
        self.begun = threading.Event()
        self._bad = bad

    def add(self, rows: Rows) -> list[StoredInstance]:
        """Stand for `node.archive.index.Index.add_instances`."""
        self.begun.set()
        assert self.may.wait(20)
        uids = [stored.sop_instance_uid for stored, _ in rows]
        if self._bad in uids:
            raise OperationalError("insert", None, ValueError("a bad row"))
        self.groups.append(uids)
        return [stored for stored, _ in rows]


def many(group: GroupCommit, index: Index, folder: Path, count: int) -> dict[int, object]:
    """Add ``count`` rows at once, the first of them under way before the others come."""
    ended: dict[int, object] = {}

    def add(number: int) -> None:
        try:
            ended[number] = group.add(folder, instance(number), HEADER).sop_instance_uid
        except OperationalError as error:
            ended[number] = error

    threads = [threading.Thread(target=add, args=(n,)) for n in range(count)]
    threads[0].start()
    assert index.begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    while len(group._waiting) < count - 1:
        threads[0].join(0.001)
    index.may.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return ended


def test_those_who_come_meanwhile_share_the_next_group(tmp_path: Path) -> None:
    """One is on its way alone; the nine that come meanwhile go together."""
    index = Index()

    ended = many(GroupCommit(index.add), index, tmp_path, 10)

    assert ended == {n: f"1.2.3.{n}" for n in range(10)}
    assert [len(group) for group in index.groups] == [1, 9]


def test_a_bad_row_costs_the_others_nothing(tmp_path: Path) -> None:
    """A group that fails is tried row by row: only the sender of the bad one hears a failure."""
    index = Index(bad="1.2.3.5")

    ended = many(GroupCommit(index.add), index, tmp_path, 8)

    failed = ended.pop(5)
    assert isinstance(failed, OperationalError)
    assert ended == {n: f"1.2.3.{n}" for n in range(8) if n != 5}


def test_a_folder_that_cannot_be_synced_is_the_senders_failure(tmp_path: Path) -> None:
    """No row is written for a file whose name may not be on the disk; the next one goes on."""
    index = Index()
    index.may.set()
    group = GroupCommit(index.add)

    with pytest.raises(FileNotFoundError):
        group.add(tmp_path / "gone", instance(1), HEADER)

    assert index.groups == []
    assert group.add(tmp_path, instance(2), HEADER).sop_instance_uid == "1.2.3.2"
