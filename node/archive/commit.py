"""Makes what several senders have written durable together: folders, then index rows, in groups.

Whoever comes while a group is on its way joins the next one, and the first of those carries it. So
a single sender waits for nobody, and many share each sync. Nobody returns before the sync of the
database that holds its row.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from node.archive.files import fsync_folder
from node.archive.records import ReceivedHeader, StoredInstance
from node.crashpoints import reach

# More would make a group's senders wait long for each other, and gain nothing.
GROUP_LIMIT = 64

AddInstances = Callable[[Sequence[tuple[StoredInstance, ReceivedHeader]]], Sequence[StoredInstance]]


@dataclass(slots=True, eq=False)
class _Ticket:
    """One instance on its way into the index."""

    folder: Path
    row: tuple[StoredInstance, ReceivedHeader]
    standing: StoredInstance | None = None
    error: Exception | None = None
    called: threading.Lock = field(default_factory=threading.Lock)
    """Released when it is done, or is to carry the next group."""

    @property
    def done(self) -> bool:
        return self.standing is not None or self.error is not None


class GroupCommit:
    """Index rows in groups; safe to use from several threads."""

    def __init__(self, add_instances: AddInstances) -> None:
        self._add_instances = add_instances
        self._guard = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._under_way = False

    def add(self, folder: Path, stored: StoredInstance, header: ReceivedHeader) -> StoredInstance:
        """Sync ``folder``, where the file lies, then index it; return the row that stands.

        That is another instance's when its SOP Instance UID was indexed before.
        """
        ticket = _Ticket(folder, (stored, header))
        ticket.called.acquire()
        with self._guard:
            self._waiting.append(ticket)
            carry = not self._under_way
            self._under_way = True
        if not carry:
            ticket.called.acquire()
        if not ticket.done:
            self._carry()
        if ticket.error is not None:
            raise ticket.error
        if ticket.standing is None:
            raise AssertionError("a group ended without a word for one of its members")
        return ticket.standing

    def _carry(self) -> None:
        """Commit the group that has gathered, this thread's ticket in it; call the next carrier."""
        with self._guard:
            group, self._waiting = self._waiting[:GROUP_LIMIT], self._waiting[GROUP_LIMIT:]
        try:
            self._commit(group)
        finally:
            with self._guard:
                following = self._waiting[0] if self._waiting else None
                self._under_way = following is not None
            for ticket in group:
                ticket.called.release()
            if following is not None:
                following.called.release()

    def _commit(self, group: Sequence[_Ticket]) -> None:
        try:
            for folder in dict.fromkeys(ticket.folder for ticket in group):
                fsync_folder(folder)
            reach("receive.renamed")
            standing = self._add_instances([ticket.row for ticket in group])
        except Exception as error:  # noqa: BLE001 - given to each sender, which tells its peer
            self._after_failure(group, error)
            return
        for ticket, row in zip(group, standing, strict=True):
            ticket.standing = row
        reach("receive.indexed")

    def _after_failure(self, group: Sequence[_Ticket], error: Exception) -> None:
        if isinstance(error, DBAPIError) and len(group) > 1:
            for ticket in group:  # one bad row must not cost the others theirs
                self._commit([ticket])
            return
        for ticket in group:
            ticket.error = error
