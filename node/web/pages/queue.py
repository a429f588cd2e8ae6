"""The queue: what needs a person first."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from node.web.layout import layout
from node.web.words import IN_PROGRESS, NEEDS_YOU

router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request) -> HTMLResponse:
    """Show the series, those that wait for a person first."""
    groups: dict[str, list[dict[str, object]]] = {
        "needs_you": [],
        "in_progress": [],
        "done_today": [],
    }
    for item in request.app.state.queries.series_items():
        state = item["state"]
        name = "needs_you" if state in NEEDS_YOU else "done_today"
        groups["in_progress" if state in IN_PROGRESS else name].append(item)
    return layout(request).page("queue.html", place="queue", groups=groups)
