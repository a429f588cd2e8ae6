"""The web application: frame, guard, events, and one router for each page and interface.

Every route declares the role it asks for; `node.web.auth.security` stands before them all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from node.log import get_logger
from node.net.tls import Validity
from node.web import api, events, pages, pull
from node.web.api.series import problem
from node.web.assets import STATIC
from node.web.auth.security import Access, secure
from node.web.dicomweb import router as dicom_web
from node.web.dicomweb.router import DicomWeb
from node.web.discovery import places_of, routers_of, templates_of
from node.web.health import probes
from node.web.health.metrics import Counts
from node.web.layout import Frame, layout
from node.web.viewer import images
from node.web.viewer.volumes import Files, Views
from node.web.views.page_services import Desk

log = get_logger(__name__)
Ready = Callable[[], Mapping[str, str | None]]


class Reads(Counts, Files, Protocol):
    """What the pages read; `node.archive.query.queries.Queries` is one."""

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
    access: Access | None = None,
    dicomweb: DicomWeb | None = None,
    desk: Desk | None = None,
    certificates: Callable[[], Sequence[Validity]] = tuple,
    page_package: ModuleType = pages,
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
    dicomweb
        What DICOMweb finds, sends and stores with; without it that answers 503.
    access
        Who may come in, and how; without it this machine alone, unasked.
    desk
        What pages ask of the site and the machine.
    certificates
        Gives how long the certificates of TLS are good for.
    page_package
        Its modules are the pages.
    """
    app = FastAPI(title="pctnode", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk, app.state.certificates = desk, certificates
    app.state.queries, app.state.flow, app.state.ready = queries, flow, ready
    app.state.frame = _frame(queries, ae_title, dicom_port, page_package)
    app.state.dicomweb = dicomweb
    app.state.notifier = events.Notifier(queries.marks)
    app.state.views = None if archive_root is None else Views(queries, archive_root)
    for router in _routers(page_package):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.add_exception_handler(HTTPException, _not_found)
    secure(app, access or Access())
    return app


def _frame(queries: Reads, ae_title: str, port: int, page_package: ModuleType) -> Frame:
    return Frame(
        ae_title=ae_title,
        port=port,
        counts=queries.counts,
        navigation=places_of(page_package),
        templates=templates_of(page_package),
    )


def _routers(page_package: ModuleType) -> Iterator[APIRouter]:
    """Give the routers of what is no page, then those of every module of the pages."""
    for part in (probes, events, images, dicom_web, pull):
        yield part.router
    yield from routers_of(api)
    yield from routers_of(page_package)


async def _not_found(request: Request, error: Exception) -> Response:
    """A page for a person who follows a dead link, JSON for a program."""
    if not isinstance(error, HTTPException):
        raise error
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == 403 and wants_page:
        return layout(request).page("forbidden.html", status=403, why=error.detail)
    if error.status_code == 404 and wants_page and not request.url.path.startswith("/api"):
        page: HTMLResponse = layout(request).page("not_found.html", status=404)
        return page
    return problem(error.status_code, str(error.detail), headers=error.headers)
