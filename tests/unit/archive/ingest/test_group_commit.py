"""Group commit: everyone gets the word about its own item, whoever carries the group."""

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from node.archive.ingest.group_commit import GroupCommit


class Slow:
    """Takes numbers once it may, and refuses a bad one."""

    def __init__(self, bad: int = -1) -> None:
        self.groups: list[list[int]] = []
        self.may = threading.Event()
        self.begun = threading.Event()
        self._bad = bad

    def commit(self, items: Sequence[int]) -> list[str]:
        """A word for each number."""
        self.begun.set()
        assert self.may.wait(20)
        if self._bad in items:
            raise OperationalError("insert", None, ValueError("a bad row"))
        self.groups.append(list(items))
        return [f"{item} is in" for item in items]


def many(group: GroupCommit[int, str], slow: Slow, count: int) -> dict[int, object]:
    """Add ``count`` numbers at once, the first under way before the others come."""
    ended: dict[int, object] = {}

    def add(number: int) -> None:
        try:
            ended[number] = group.add(number)
        except OperationalError as error:
            ended[number] = error

    threads = [threading.Thread(target=add, args=(n,)) for n in range(count)]
    threads[0].start()
    assert slow.begun.wait(20)
    for thread in threads[1:]:
        thread.start()
    while len(group._waiting) < count - 1:
        threads[0].join(0.001)
    slow.may.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return ended


def test_those_who_come_meanwhile_share_the_next_group() -> None:
    """One is on its way alone; the nine that come meanwhile go together."""
    slow = Slow()

    ended = many(GroupCommit(slow.commit), slow, 10)

    assert ended == {n: f"{n} is in" for n in range(10)}
    assert [len(group) for group in slow.groups] == [1, 9]


def test_a_bad_item_costs_the_others_nothing() -> None:
    """A group that fails is tried one by one: only the sender of the bad one hears a failure."""
    slow = Slow(bad=5)

    ended = many(GroupCommit(slow.commit), slow, 8)

    failed = ended.pop(5)
    assert isinstance(failed, OperationalError)
    assert ended == {n: f"{n} is in" for n in range(8) if n != 5}


def test_a_failure_is_the_senders_and_the_next_one_goes_on() -> None:
    """What the work raises reaches whoever waits for it."""
    gone = [True]

    def commit(items: Sequence[int]) -> list[str]:
        if gone.pop():
            raise FileNotFoundError("the folder")
        return [str(item) for item in items]

    group = GroupCommit(commit)
    with pytest.raises(FileNotFoundError):
        group.add(1)

    gone.append(False)
    assert group.add(2) == "2"
