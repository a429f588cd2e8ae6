"""Planes as PNG, for readers without scripts and for reports."""

from fastapi import APIRouter, HTTPException, Request, Response

from node.domain.errors import Rejected
from node.log import get_logger
from node.web.security import VIEWER
from node.web.volumes import KINDS, PLANES

log = get_logger(__name__)
router = APIRouter(include_in_schema=False)


@router.get("/series/{series_id}/{kind}/{plane}.png", dependencies=[VIEWER])
def image(request: Request, series_id: int, kind: str, plane: str) -> Response:
    """The middle plane of one volume."""
    planes = request.app.state.planes
    known = kind in KINDS and plane in PLANES and 0 <= series_id < 2**31
    try:
        png = planes.png(series_id, kind, plane) if planes is not None and known else None
    except (Rejected, OSError) as error:
        log.warning("planes_unavailable", series=series_id, error=type(error).__name__)
        raise HTTPException(404, "The files make no image.") from error
    if png is None:
        raise HTTPException(404, "There is no such image.")
    return Response(png, media_type="image/png")
