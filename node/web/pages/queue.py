"""The queue: what needs a person first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from node.archive.query.queue_queries import QueueReads, QueueRow, Wanted
from node.domain.states import State
from node.web.auth.security import VIEWER
from node.web.layout import Layout, Place, layout
from node.web.viewer.volumes import Views
from node.web.views.state_labels import DONE, IN_PROGRESS, NEEDS_YOU
from node.web.views.timeline import Story, tell

router = APIRouter(include_in_schema=False)
PLACES = (Place(name="queue", href="/", order=10),)
_PAGE = 50
# The first page holds every group: of what ended long ago it shows the newest alone.
_FIRST_EARLIER = 20
_FORESEEN = 3
_EVERY = tuple(State)
FILTERS: dict[str, tuple[State, ...]] = {
    "review": (State.REVIEW,),
    "failed": (State.FAILED,),
    "refused": (State.REFUSED,),
    "running": IN_PROGRESS,
    "delivered": (State.DELIVERED,),
    "other": (State.KEPT, State.REJECTED),
}
TONES = {
    "review": "attn",
    "failed": "fail",
    "refused": "fail",
    "running": "run",
    "delivered": "ok",
    "other": "",
}
ACTIONS = {State.REVIEW: "review", State.FAILED: "explain", State.REFUSED: "explain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One heading with its rows."""

    name: str
    """Text is ``queue.<name>``."""
    rows: Sequence[tuple[QueueRow, Story]]
    total: int
    first: int = 1
    """Number of the first row among all, from 1."""
    more: str = ""
    """Filter that shows the rest; empty where there is none."""


@router.get("/", dependencies=[VIEWER])
def page(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    show: Annotated[str, Query(max_length=20)] = "",
    start: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> HTMLResponse:
    """Show the series, those that wait for a person first."""
    reads: QueueReads = request.app.state.queries
    frame = layout(request, live=True)
    counts = reads.counts()
    if q.strip() or show in FILTERS:
        states = FILTERS.get(show, _EVERY)
        groups = [_one_group(reads, frame, states, q, start)]
    else:
        groups = _grouped(reads, frame, counts, start)
        _foresee(request, groups[0].rows)
    totals = {name: sum(counts.get(s, 0) for s in states) for name, states in FILTERS.items()}
    return frame.page(
        "queue.html",
        place="queue",
        groups=groups,
        query=q,
        show=show,
        totals=totals,
        everything=sum(counts.values()),
        tones=TONES,
        actions=ACTIONS,
        page_size=_PAGE if start or q.strip() or show in FILTERS else _FIRST_EARLIER,
    )


def _foresee(request: Request, rows: Sequence[tuple[QueueRow, Story]]) -> None:
    """Build the volumes of what a person will open next, while he still looks at the list."""
    views: Views | None = request.app.state.views
    if views is None:
        return
    waiting = [row for row, _ in rows if row.state == State.REVIEW]
    for row in waiting[:_FORESEEN]:
        views.ahead(row.id, f"{row.attempt} {row.state_at}")


def _one_group(
    reads: QueueReads, frame: Layout, states: Sequence[State], words: str, start: int
) -> Group:
    wanted = _wanted(states, words=words, offset=start)
    if words.strip():
        rows, total = reads.queue_search(wanted)
    else:
        rows, total = reads.queue_rows(wanted), reads.queue_count(wanted)
    told = [(row, tell(row, frame.say)) for row in rows]
    return Group(name="found", rows=told, total=total, first=start + 1)


def _grouped(reads: QueueReads, frame: Layout, counts: dict[str, int], start: int) -> list[Group]:
    midnight = datetime.now(UTC).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight.timestamp()
    needed = sum(counts.get(s, 0) for s in NEEDS_YOU)
    moving = sum(counts.get(s, 0) for s in IN_PROGRESS)
    done = _wanted(DONE, since=today)
    done_today = reads.queue_count(done)
    earlier = sum(counts.get(s, 0) for s in DONE) - done_today
    old = _wanted(DONE, until=today, offset=start)
    old = old if start else replace(old, limit=_FIRST_EARLIER)
    groups = [
        Group(
            name="needs_you",
            rows=_told(reads, frame, _wanted(NEEDS_YOU)),
            total=needed,
            more=max(("review", "failed", "refused"), key=lambda name: counts.get(name, 0)),
        ),
        Group(
            name="in_progress",
            rows=_told(reads, frame, _wanted(IN_PROGRESS)),
            total=moving,
            more="running",
        ),
        Group(
            name="done_today", rows=_told(reads, frame, done), total=done_today, more="delivered"
        ),
        Group(
            name="earlier",
            rows=_told(reads, frame, old) if earlier else (),
            total=earlier,
            first=start + 1,
        ),
    ]
    return groups[-1:] if start else groups


def _wanted(states: Sequence[State], **more: Any) -> Wanted:
    return Wanted(states=tuple(s.value for s in states), limit=_PAGE, **more)


def _told(reads: QueueReads, frame: Layout, wanted: Wanted) -> list[tuple[QueueRow, Story]]:
    return [(row, tell(row, frame.say)) for row in reads.queue_rows(wanted)]
