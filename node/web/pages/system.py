"""System: health, disk, workers and GPUs, queues, versions, certificates, logs of the last hour."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import SQLAlchemyError

from node.domain.access import Role
from node.domain.wording import counted
from node.web.auth.security import PHYSICIST, VIEWER, me
from node.web.layout import Place, layout
from node.web.views.page_services import desk

router = APIRouter(include_in_schema=False)
PLACES = (Place(name="system", href="/system", order=40),)
api = APIRouter(prefix="/api/system", tags=["system"])
_HOUR_S = 3600.0
# What a line of the log says to whoever is no administrator: a fault's text may quote a header.
_PLAIN = ("at", "level", "role", "event")
_DAY_S = 86400.0
_SOON_DAYS = 30
_SILENT_S = 60.0


@router.get("/system", dependencies=[VIEWER])
def page(request: Request) -> HTMLResponse:
    """Show how the machine fares."""
    lines = log_of(request) if me(request).role.covers(Role.PHYSICIST) else None
    return layout(request).page(
        "system.html", place="system", system=state_of(request), lines=lines, soon_days=_SOON_DAYS
    )


@api.get("", dependencies=[VIEWER], summary="How the machine fares")
def state(request: Request) -> dict[str, Any]:
    """Give health, disk, retention, queues, workers, versions, backup and certificates."""
    return state_of(request)


@api.get("/log", dependencies=[PHYSICIST], summary="Logs of the last hour")
def log(request: Request) -> list[dict[str, Any]]:
    """Give what the processes logged in the last hour, newest first.

    Fields and tracebacks are for administrators: they may name a series or quote a header.
    """
    return log_of(request)


def state_of(request: Request) -> dict[str, Any]:
    """Everything the page shows but the log."""
    read = desk(request).system
    if read is None:
        raise HTTPException(503, "This process was told nothing of its machine.")
    state, now = request.app.state, datetime.now(UTC)
    checks = dict(state.ready())
    try:
        checks["database"] = None if state.queries.alive() else "The database does not answer."
    except (SQLAlchemyError, OSError) as error:
        checks["database"] = f"The database does not answer ({type(error).__name__})."
    told = read()
    if told.get("workers") and not any(_lives(worker) for worker in told["workers"]):
        checks["worker"] = "No worker gives a sign of life."
    if told.get("unfiled"):
        checks["unfiled"] = (
            f"{counted(len(told['unfiled']), 'received instance')} could not be filed."
        )
    if told.get("damaged"):
        checks["damaged"] = (
            f"{counted(len(told['damaged']), 'stored file is', 'stored files are')} damaged."
        )
    certificates = [
        {
            "file": one.file.name,
            "subject": one.subject,
            "ends_at": one.ends_at.isoformat(),
            "days_left": one.days_left(now),
        }
        for one in state.certificates()
    ]
    return told | {"checks": checks, "certificates": certificates}


def _lives(worker: dict[str, Any]) -> bool:
    return worker["silent_s"] is not None and worker["silent_s"] < _SILENT_S


def log_of(request: Request) -> list[dict[str, Any]]:
    """The log of the last hour, as far as whoever asks may read it."""
    read = desk(request).log_lines
    if read is None:
        return []
    lines = read(_HOUR_S)
    if me(request).role.covers(Role.ADMIN):
        return list(lines)
    return [{key: line[key] for key in _PLAIN if key in line} for line in lines]
