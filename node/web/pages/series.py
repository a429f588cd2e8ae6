"""One series: images, findings, deliveries, history."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from node.web.api import found
from node.web.layout import layout
from node.web.security import VIEWER
from node.web.volumes import PLANES

router = APIRouter(include_in_schema=False)


@router.get("/series/{series_id}", dependencies=[VIEWER])
def page(request: Request, series_id: int) -> HTMLResponse:
    """Show one series."""
    item = found(request, series_id)
    return layout(request).page("series.html", place="queue", item=item, planes=PLANES)
