"""The interface for the network: peers, associations, routes, a dry run, the audit trail."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from node.domain.errors import Misconfigured, NodeError
from node.web.api.decisions import Said, as_http, flow
from node.web.auth.security import ADMIN, PHYSICIST, VIEWER, Access, me, note
from node.web.uploads import uploaded, written
from node.web.views.network_view import peer_item, route_item, with_remedies
from node.web.views.page_services import desk

router = APIRouter(prefix="/api", tags=["network"])
Name = Annotated[str, Path(max_length=63, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Short = Annotated[str, Field(max_length=255)]


class Peer(BaseModel):
    """A system; further keys as in ``[[peers]]`` of the settings."""

    model_config = ConfigDict(extra="allow")

    name: Short
    ae_title: Short
    host: Short
    port: Annotated[int, Field(ge=1, le=65535)]
    may: Annotated[list[Short], Field(max_length=10)] = []
    proof: Short = "none"


class Route(BaseModel):
    """A route; keys as in ``[[routes]]`` of the settings."""

    model_config = ConfigDict(extra="allow")

    name: Short
    model: Short
    when: dict[Short, Any] = {}
    deliver_to: Annotated[list[Short], Field(max_length=100)] = []
    release: Short = "checks-passed"


@router.get("/peers", dependencies=[VIEWER])
def peers(request: Request) -> list[dict[str, Any]]:
    """List the systems, with the last contact each way."""
    at = desk(request)
    echoes, contacts = at.echoes.all(), at.echoes.contacts()
    return [peer_item(p, echoes, contacts) for p in at.book.current().peers]


@router.post("/peers", status_code=201, dependencies=[ADMIN])
def add_peer(request: Request, body: Peer) -> Said:
    """Add a system."""
    return _changed(request, "peer", "add", body.name, body.model_dump())


@router.patch("/peers/{name}", dependencies=[ADMIN])
def change_peer(request: Request, name: Name, changes: dict[str, Any]) -> Said:
    """Change keys of a system that was added at run time; null goes back to the default."""
    return _changed(request, "peer", "change", name, changes)


@router.delete("/peers/{name}", dependencies=[ADMIN])
def remove_peer(request: Request, name: Name) -> Said:
    """Remove a system that was added at run time."""
    return _changed(request, "peer", "remove", name, {})


@router.post("/peers/{name}/echo", dependencies=[PHYSICIST])
def echo(request: Request, name: Name) -> dict[str, Any]:
    """Have a worker send C-ECHO to a system."""
    if desk(request).book.current().peer(name) is None:
        raise HTTPException(404, f"There is no peer {name!r}.")
    try:
        ok, sentence = flow(request).echo(name, who=me(request).name)
    except NodeError as error:
        raise as_http(error) from None
    return {"ok": ok, "sentence": sentence}


@router.get("/associations", dependencies=[VIEWER])
def associations(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[dict[str, Any]]:
    """List the associations other systems opened, newest first, with the reason of a refusal."""
    site = desk(request).book.current()
    rows = with_remedies(request.app.state.queries.associations(limit=limit), site)
    return [row | {"fix": row["fix"] and row["fix"].href} for row in rows]


@router.get("/routes", dependencies=[VIEWER])
def routes(request: Request) -> list[dict[str, Any]]:
    """List the routes in the order they are tried."""
    return [route_item(r) for r in desk(request).book.current().routes]


@router.post("/routes", status_code=201, dependencies=[ADMIN])
def add_route(request: Request, body: Route) -> Said:
    """Add a route behind those there are."""
    return _changed(request, "route", "add", body.name, body.model_dump())


@router.patch("/routes/{name}", dependencies=[ADMIN])
def change_route(request: Request, name: Name, changes: dict[str, Any]) -> Said:
    """Change keys of a route that was added at run time."""
    return _changed(request, "route", "change", name, changes)


@router.delete("/routes/{name}", dependencies=[ADMIN])
def remove_route(request: Request, name: Name) -> Said:
    """Remove a route that was added at run time."""
    return _changed(request, "route", "remove", name, {})


@router.post("/routes/try", dependencies=[PHYSICIST])
async def try_routes(request: Request) -> list[dict[str, Any]]:
    """Say which route uploaded files (form field ``files``) would take; nothing is kept."""

    def run() -> list[dict[str, Any]]:
        with written(files) as folder:
            return list(desk(request).try_routes(folder))

    try:
        files = await uploaded(request)
        return await to_thread.run_sync(run)
    except NodeError as error:
        raise as_http(error) from None


@router.get("/audit", dependencies=[ADMIN])
def audit(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    before: Annotated[int | None, Query(ge=1, le=2**31)] = None,
) -> dict[str, Any]:
    """Give the audit trail, newest first, and whether its chain holds."""
    access: Access = request.app.state.access
    if access.audit is None:
        raise HTTPException(404, "This process keeps no audit trail.")
    verdict = access.audit.verify()
    return {
        "rows": access.audit.rows(limit=limit, before=before),
        "count": verdict.rows,
        "head": verdict.head,
        "broken_at": verdict.broken_at,
    }


def _changed(request: Request, kind: str, action: str, name: str, values: dict[str, Any]) -> Said:
    book, who = desk(request).book, me(request).name
    try:
        if action == "add":
            book.add(kind, values, who=who)
        elif action == "change":
            book.change(kind, name, values, who=who)
        else:
            book.remove(kind, name, who=who)
    except Misconfigured as error:
        raise HTTPException(422, str(error)) from None
    word = "system" if kind == "peer" else "route"
    note(request, f"{action} {word}", f"{word} {name}", **values)
    return Said(sentence=f"{word.capitalize()} {name}: {action} done.")
