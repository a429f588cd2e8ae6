"""The web application: frame, guard, events, and one router for each page and interface.

There is no authentication yet: it is served on loopback only, and answers loopback names only, so
that a foreign page cannot reach it by rebinding its own name (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from node.log import get_logger
from node.web import api, events, health, images
from node.web.assets import STATIC
from node.web.layout import Frame, layout
from node.web.metrics import Counts
from node.web.pages import preferences, queue, series
from node.web.volumes import Files, Planes3

log = get_logger(__name__)
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_KEEP, _ASK, _NEVER = "public, max-age=31536000, immutable", "no-cache", "no-store"
Ready = Callable[[], Mapping[str, str | None]]
Next = Callable[[Request], Awaitable[Response]]


class Reads(Counts, Files, Protocol):
    """What the pages read; `node.archive.queries.Queries` is one."""

    def alive(self) -> bool:
        """Whether the database answers."""

    def marks(self) -> dict[str, str]:
        """For each topic a text that changes with it."""

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
    dicom_port: int = 0,
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
    ae_title, dicom_port
        The node's own, shown on every page.
    hosts
        Names in the Host header that are answered.
    """
    app = FastAPI(title="pctnode", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.queries, app.state.flow, app.state.ready = queries, flow, ready
    app.state.frame = Frame(ae_title=ae_title, port=dicom_port, counts=queries.counts)
    app.state.notifier = events.Notifier(queries.marks)
    app.state.planes = None if archive_root is None else Planes3(queries, archive_root)
    _guard(app, frozenset(hosts))
    for part in (api, health, events, images, preferences, queue, series):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _not_found)
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
        response.headers["Cache-Control"] = _caching(request, response)
        return response


def _caching(request: Request, response: Response) -> str:
    """Files named with their hash stay in the browser; what shows patients never does."""
    if not request.url.path.startswith("/static/") or response.status_code >= 400:
        return _NEVER
    return _KEEP if "v" in request.query_params else _ASK


async def _not_found(request: Request, error: Exception) -> Response:
    """A page for a person who follows a dead link, JSON for a program."""
    if not isinstance(error, HTTPException):
        raise error
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == 404 and wants_page and not request.url.path.startswith("/api"):
        page: HTMLResponse = layout(request).page("not_found.html", status=404)
        return page
    return api.problem(error.status_code, str(error.detail), headers=error.headers)
