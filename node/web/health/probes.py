"""Health, readiness and metrics, for programs."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy.exc import SQLAlchemyError

from node.log import get_logger
from node.web.auth.security import OPEN, VIEWER
from node.web.health.metrics import exposition

log = get_logger(__name__)
router = APIRouter(tags=["health"])
_NOT_YET: dict[int | str, dict[str, Any]] = {503: {"description": "It does not, or not now."}}


@router.get("/healthz", responses=_NOT_YET, dependencies=[OPEN])
def healthz(request: Request) -> JSONResponse:
    """Say whether process and database answer."""
    try:
        ok = request.app.state.queries.alive()
    except SQLAlchemyError as error:
        log.warning("database_silent", error=type(error).__name__)
        ok = False
    return JSONResponse({"ok": ok}, 200 if ok else 503)


@router.get("/readyz", responses=_NOT_YET, dependencies=[OPEN])
def readyz(request: Request) -> JSONResponse:
    """Say whether the node can take a series now, and if not, why."""
    checks = dict(request.app.state.ready())
    reasons = {name: why for name, why in checks.items() if why is not None}
    body = {"ok": not reasons, "checks": sorted(checks), "reasons": reasons}
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[VIEWER])
def metrics(request: Request) -> Response:
    """Give the counts in Prometheus' text format."""
    state = request.app.state
    text = exposition(state.queries, state.certificates())
    return Response(text, media_type="text/plain; version=0.0.4")
