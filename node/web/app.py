"""The web application: pages, JSON API, health and metrics.

There is no authentication yet: it is served on loopback only, and answers loopback names only, so
that a foreign page cannot reach it by rebinding its own name (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sqlalchemy.exc import SQLAlchemyError

from node.domain.errors import Rejected
from node.log import get_logger
from node.web.metrics import Counts, exposition
from node.web.volumes import KINDS, PLANES, Files, Planes3
from node.web.words import LOOKS, clock, grouped

log = get_logger(__name__)
_HERE = Path(__file__).parent
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Ready = Callable[[], Mapping[str, str | None]]
Next = Callable[[Request], Awaitable[Response]]


class Reads(Counts, Files, Protocol):
    """What the pages read; `node.archive.queries.Queries` is one."""

    def alive(self) -> bool:
        """Whether the database answers."""

    def series_items(
        self, *, limit: int = 200, offset: int = 0, states: Iterable[str] = ()
    ) -> list[dict[str, Any]]:
        """The series, the one that changed last first."""

    def series_detail(self, series_id: int) -> dict[str, Any] | None:
        """One series with its steps and timeline."""


def _unknown() -> dict[str, str | None]:
    return {"checks": "This process was given no readiness checks."}


def create_app(
    *,
    queries: Reads,
    flow: object = None,
    archive_root: Path | None = None,
    ready: Ready = _unknown,
    ae_title: str = "",
    hosts: Iterable[str] = _HOSTS,
) -> FastAPI:
    """Build the application from what it reads and what it may ask for.

    Parameters
    ----------
    queries, flow
        What is shown, and what carries out a person's wishes.
    archive_root
        The data folder the paths of the archive are relative to; without it there are no images.
    ready
        Gives each readiness check its reason, or None where it passes.
    ae_title
        The node's own, shown on every page.
    hosts
        Names in the Host header that are answered.
    """
    app = FastAPI(title="pctnode", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.queries, app.state.flow = queries, flow
    templates = Jinja2Templates(_HERE / "templates")
    templates.env.globals.update(looks=LOOKS, clock=clock, ae_title=ae_title)
    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    _guard(app, frozenset(hosts))
    _api(app, queries)
    _health(app, queries, ready)
    _pages(app, queries, templates)
    _images(app, None if archive_root is None else Planes3(queries, archive_root))
    app.mount("/static", StaticFiles(directory=_HERE / "static"))
    return app


def _guard(app: FastAPI, hosts: frozenset[str]) -> None:
    @app.middleware("http")
    async def guard(request: Request, call_next: Next) -> Response:
        host = request.headers.get("host", "").lower()
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if name in hosts:
            response = await call_next(request)
        else:
            response = PlainTextResponse("This node does not answer to that name.", 400)
        response.headers.update(_HEADERS)
        return response


def _found(queries: Reads, series_id: int) -> dict[str, Any]:
    # SQLite's integers end there; a larger one is no id of ours.
    item = queries.series_detail(series_id) if series_id < 2**31 else None
    if item is None:
        raise HTTPException(404, f"There is no series {series_id}.")
    return item


def _api(app: FastAPI, queries: Reads) -> None:
    @app.get("/api/series")
    def series(
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
        state: Annotated[list[str] | None, Query()] = None,
    ) -> list[dict[str, Any]]:
        """List the series, the one that changed last first."""
        return queries.series_items(limit=limit, offset=offset, states=state or ())

    @app.get("/api/series/{series_id}")
    def one(series_id: int) -> dict[str, Any]:
        """Give one series with its runs, steps and timeline."""
        return _found(queries, series_id)


def _health(app: FastAPI, queries: Reads, ready: Ready) -> None:
    @app.get("/healthz")
    def healthz() -> JSONResponse:
        """Say whether process and database answer."""
        try:
            ok = queries.alive()
        except SQLAlchemyError as error:
            log.warning("database_silent", error=type(error).__name__)
            ok = False
        return JSONResponse({"ok": ok}, 200 if ok else 503)

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Say whether the node can take a series now, and if not, why."""
        checks = dict(ready())
        reasons = {name: why for name, why in checks.items() if why is not None}
        body = {"ok": not reasons, "checks": sorted(checks), "reasons": reasons}
        return JSONResponse(body, 503 if reasons else 200)

    @app.get("/metrics")
    def metrics() -> Response:
        """Give the counts in Prometheus' text format."""
        return Response(exposition(queries), media_type="text/plain; version=0.0.4")


def _pages(app: FastAPI, queries: Reads, templates: Jinja2Templates) -> None:
    @app.get("/", include_in_schema=False)
    def queue(request: Request) -> HTMLResponse:
        groups = grouped(queries.series_items())
        return templates.TemplateResponse(request, "queue.html", {"groups": groups})

    @app.get("/series/{series_id}", include_in_schema=False)
    def detail(request: Request, series_id: int) -> HTMLResponse:
        values = {"item": _found(queries, series_id), "planes": PLANES}
        return templates.TemplateResponse(request, "series.html", values)

    @app.get("/api/docs", include_in_schema=False)
    def docs(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(request, "api.html", {"paths": app.openapi()["paths"]})


def _images(app: FastAPI, planes: Planes3 | None) -> None:
    @app.get("/series/{series_id}/{kind}/{plane}.png", include_in_schema=False)
    def image(series_id: int, kind: str, plane: str) -> Response:
        known = kind in KINDS and plane in PLANES and series_id < 2**31
        try:
            png = planes.png(series_id, kind, plane) if planes is not None and known else None
        except (Rejected, OSError) as error:
            log.warning("planes_unavailable", series=series_id, error=type(error).__name__)
            raise HTTPException(404, "The files make no image.") from error
        if png is None:
            raise HTTPException(404, "There is no such image.")
        return Response(png, media_type="image/png")
