"""Work that several threads need done the same way, done together: one sync for a group.

Whoever comes while a group is on its way joins the next one, and the first of those carries it. So
a single sender waits for nobody, and many share each sync. Nobody returns before the work that
holds his part is done.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError

# More would make a group's senders wait long for each other, and gain nothing.
GROUP_LIMIT = 64

Item = TypeVar("Item")
Result = TypeVar("Result")
_PENDING: Any = object()


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Result]):
    """One item on its way."""

    item: Item
    result: Result = _PENDING
    error: Exception | None = None
    called: threading.Lock = field(default_factory=threading.Lock)
    """Released when it is done, or is to carry the next group."""

    @property
    def done(self) -> bool:
        return self.result is not _PENDING or self.error is not None


class GroupCommit(Generic[Item, Result]):
    """Hands items to ``commit`` in groups; safe to use from several threads.

    ``commit`` gives a result for each item, in order. Where the database refuses a whole group,
    each item is tried by itself: one bad row must not cost the others theirs.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._commit_items = commit
        self._guard = threading.Lock()
        self._waiting: list[_Ticket[Item, Result]] = []
        self._under_way = False

    def add(self, item: Item) -> Result:
        """Have ``item`` committed; return its result, or raise what befell its group."""
        with self._guard:
            alone = not self._under_way
            self._under_way = True
            if not alone:
                ticket: _Ticket[Item, Result] = _Ticket(item)
                ticket.called.acquire()
                self._waiting.append(ticket)
        if alone:
            return self._carry_alone(item)
        ticket.called.acquire()
        if not ticket.done:
            self._carry()
        if ticket.error is not None:
            raise ticket.error
        if not ticket.done:
            raise AssertionError("a group ended without a word for one of its members")
        return ticket.result

    def _carry_alone(self, item: Item) -> Result:
        """Commit what nobody else was there for: most of what a single sender sends."""
        try:
            (result,) = self._commit_items([item])
        finally:
            self._hand_over()
        return result

    def _carry(self) -> None:
        """Commit the group that has gathered, this thread's ticket in it; call the next carrier."""
        with self._guard:
            group, self._waiting = self._waiting[:GROUP_LIMIT], self._waiting[GROUP_LIMIT:]
        try:
            self._commit(group)
        finally:
            for ticket in group:
                ticket.called.release()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._guard:
            following = self._waiting[0] if self._waiting else None
            self._under_way = following is not None
        if following is not None:
            following.called.release()

    def _commit(self, group: Sequence[_Ticket[Item, Result]]) -> None:
        try:
            results = self._commit_items([ticket.item for ticket in group])
        except Exception as error:  # noqa: BLE001 - given to each sender, which tells its peer
            self._after_failure(group, error)
            return
        for ticket, result in zip(group, results, strict=True):
            ticket.result = result

    def _after_failure(self, group: Sequence[_Ticket[Item, Result]], error: Exception) -> None:
        if isinstance(error, DBAPIError) and len(group) > 1:
            for ticket in group:
                self._commit([ticket])
            return
        for ticket in group:
            ticket.error = error
