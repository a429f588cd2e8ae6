"""Tells open pages that something changed; what changed they ask for themselves.

One watcher for each process looks at the database once a second while anybody listens; each browser
opens one stream, whatever the number of its tabs (``static/app.js``).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from threading import Event

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from node.log import get_logger
from node.web.auth.security import VIEWER

log = get_logger(__name__)
router = APIRouter(include_in_schema=False)
Marks = Callable[[], Mapping[str, str]]
_LOOK_S = 1.0
_SIGN_OF_LIFE_S = 15.0


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"


def _marks_of(now: Mapping[str, str]) -> str:
    return _event("marks", json.dumps(dict(now)))


class Notifier:
    """Compares what the pages show with what it was a second ago."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._listeners: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None
        self.closing = Event()
        """Set when the process ends: streams then end at once."""

    async def stream(self) -> AsyncIterator[str]:
        """Server-sent events for one listener, until it leaves or the process ends."""
        inbox: asyncio.Queue[str] = asyncio.Queue(maxsize=8)
        self._listeners.add(inbox)
        try:
            # A page knows what it was made of, so it asks again only for what is another by now.
            now = await self._look()
            yield "retry: 2000\n" + (_event("change", "all") if now is None else _marks_of(now))
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch(now))
            quiet_s = 0.0
            while not self.closing.is_set():
                try:
                    topic = await asyncio.wait_for(inbox.get(), _LOOK_S)
                except TimeoutError:
                    quiet_s += _LOOK_S
                    if quiet_s >= _SIGN_OF_LIFE_S:
                        quiet_s = 0.0
                        yield ": here\n\n"
                    continue
                yield _event("change", topic)
        finally:
            self._listeners.discard(inbox)

    async def _look(self) -> Mapping[str, str] | None:
        """What the pages show now; None while the database is silent."""
        try:
            return await asyncio.to_thread(self._marks)
        except SQLAlchemyError as error:
            log.warning("database_silent", error=type(error).__name__)
            return None

    async def _watch(self, before: Mapping[str, str] | None) -> None:
        """Tell what differs from ``before``, and then from look to look."""
        while self._listeners and not self.closing.is_set():
            now = await self._look()
            if now is None:
                now = before or {}
            if before is not None:
                for topic in (name for name, mark in now.items() if before.get(name) != mark):
                    self._tell(topic)
            before = now
            await asyncio.sleep(_LOOK_S)

    def _tell(self, topic: str) -> None:
        for inbox in self._listeners:
            if not inbox.full():  # a full inbox says already that there is something to ask for
                inbox.put_nowait(topic)


@router.get("/events", dependencies=[VIEWER])
async def events(request: Request) -> StreamingResponse:
    """Stream the names of what changed: ``series``, ``network`` or ``all``."""
    notifier: Notifier = request.app.state.notifier
    return StreamingResponse(notifier.stream(), media_type="text/event-stream")
