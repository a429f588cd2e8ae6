"""Volumes for the viewer, and planes as PNG for readers without scripts and for reports."""

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse

from node.domain.errors import Rejected
from node.log import get_logger
from node.web.api.series import found
from node.web.auth.security import VIEWER
from node.web.viewer.planes import PLANES, plane_png
from node.web.viewer.volumes import KINDS, View, Views
from node.web.views.models_view import band_for

log = get_logger(__name__)
router = APIRouter(include_in_schema=False)


def view_of(request: Request, series_id: int) -> View:
    """The volumes of a series; 404 where it has none that can be shown."""
    views: Views | None = request.app.state.views
    try:
        view = views.get(series_id) if views is not None and 0 <= series_id < 2**31 else None
    except (Rejected, OSError) as error:
        log.warning("view_unavailable", series=series_id, error=type(error).__name__)
        raise HTTPException(404, "The files make no image.") from error
    if view is None:
        raise HTTPException(404, "There is no such image.")
    return view


@router.get("/series/{series_id}/volumes", dependencies=[VIEWER])
def about(request: Request, series_id: int) -> dict[str, Any]:
    """Where the voxels of a series are and which volumes there are."""
    return view_of(request, series_id).about


@router.get("/series/{series_id}/statistics", dependencies=[VIEWER])
def figures(request: Request, series_id: int) -> dict[str, Any]:
    """What the plots show."""
    view = view_of(request, series_id)
    views: Views = request.app.state.views
    return views.statistics(view) | {"band": band_for(request, found(request, series_id))}


@router.get("/series/{series_id}/volumes/{kind}", dependencies=[VIEWER])
def volume(request: Request, series_id: int, kind: str) -> FileResponse:
    """One volume: little-endian int16, (slices, rows, columns)."""
    view = view_of(request, series_id)
    if kind not in view.about["kinds"]:
        raise HTTPException(404, "There is no such volume.")
    return FileResponse(view.folder / f"{kind}.i16", media_type="application/octet-stream")


@router.get("/series/{series_id}/{kind}/{plane}.png", dependencies=[VIEWER])
def image(
    request: Request,
    series_id: int,
    kind: str,
    plane: str,
    at: Annotated[float | None, Query(ge=-10_000, le=10_000)] = None,
    level: Annotated[float, Query(ge=-40_000, le=40_000)] = 0.0,
    width: Annotated[float, Query(ge=0, le=80_000)] = 0.0,
) -> Response:
    """One plane of one volume at a position in mm, the middle one by default."""
    if kind not in KINDS or plane not in PLANES:
        raise HTTPException(404, "There is no such image.")
    view = view_of(request, series_id)
    if kind not in view.about["kinds"]:
        raise HTTPException(404, "There is no such image.")
    png = plane_png(view, kind, plane, at, (level, width) if width else None)
    return Response(png, media_type="image/png")
