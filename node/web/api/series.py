"""The JSON interface: series and their description, with OpenAPI."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse

from node.web.api.description import describe, fields, operations
from node.web.auth.security import VIEWER
from node.web.layout import layout

router = APIRouter(tags=["series"])


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as JSON."""
    return JSONResponse({"detail": detail}, status, headers=dict(headers or {}))


def found(request: Request, series_id: int) -> dict[str, Any]:
    """The series of that id; 404 where there is none."""
    # SQLite's integers end there; a larger one is no id of ours.
    item: dict[str, Any] | None = None
    if 0 <= series_id < 2**31:
        item = request.app.state.queries.series_detail(series_id)
    if item is None:
        raise HTTPException(404, f"There is no series {series_id}.")
    return item


@router.get("/api/series", dependencies=[VIEWER])
def series(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    state: Annotated[list[str] | None, Query()] = None,
) -> list[dict[str, Any]]:
    """List the series, the one that changed last first."""
    items: list[dict[str, Any]] = request.app.state.queries.series_items(
        limit=limit, offset=offset, states=state or ()
    )
    return items


@router.get("/api/series/{series_id}", dependencies=[VIEWER])
def one(request: Request, series_id: int) -> dict[str, Any]:
    """Give one series with its runs, steps and timeline."""
    return found(request, series_id)


@router.get("/api/docs", include_in_schema=False, dependencies=[VIEWER])
def docs(request: Request) -> HTMLResponse:
    """Say what the interface offers."""
    told = describe(request.app)
    by_tag: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in told["tags"]}
    for path, method, operation in operations(told):
        by_tag[operation["tags"][0]].append({"path": path, "method": method, **operation})
    tags = [tag | {"operations": by_tag[tag["name"]]} for tag in told["tags"]]
    return layout(request).page("api.html", place="api", tags=tags, fields=partial(fields, told))


@router.get("/api/openapi.json", include_in_schema=False, dependencies=[VIEWER])
def description(request: Request) -> dict[str, Any]:
    """Describe the interface for a program."""
    return describe(request.app)
