"""Network: systems, associations with the reason of each refusal, routes, and a dry run."""

import re
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import UploadFile

from node.domain.errors import Misconfigured, NodeError
from node.domain.plan import ReleasePolicy
from node.domain.site import peer_mapping
from node.web.api.decisions import flow
from node.web.auth.security import ADMIN, PHYSICIST, VIEWER, local_path, me, note
from node.web.layout import Place, layout
from node.web.uploads import uploaded, written
from node.web.views.network_view import peer_item, route_item, unused_name, with_remedies
from node.web.views.page_services import Desk, desk

router = APIRouter(include_in_schema=False)
PLACES = (Place(name="network", href="/network", order=20),)
Text = Annotated[str, Form(max_length=1024)]
Texts = Annotated[list[str] | None, Form()]
Asked = Annotated[str, Query(max_length=64)]
Asking = Annotated[str, Form(max_length=64)]
Uid = Annotated[str, Form(pattern=r"^\s*[0-9.]{1,64}\s*$")]
# A description has spaces of its own; the defined terms of a body part have none.
_BETWEEN, _BETWEEN_PARTS = re.compile(r"\s*[,;][\s,;]*"), re.compile(r"[\s,;]+")
# So long a page waits for its answer; what is pulled later arrives all the same.
_PULL_S = 120.0
_EMPTY = {
    "name": "", "ae_title": "", "host": "", "port": 104, "may": [], "proof": "none", "tls": False,
}  # fmt: skip


@router.get("/network", dependencies=[VIEWER])
def page(request: Request) -> HTMLResponse:
    """Show systems, associations and routes."""
    return _page(request)


@router.get("/network/systems/new", dependencies=[ADMIN])
def new_system(request: Request, ae_title: Asked = "", host: Asked = "") -> HTMLResponse:
    """Offer to add a system, filled in with what a refused one said of itself."""
    name = unused_name(ae_title, desk(request).book.current()) if ae_title else ""
    values = _EMPTY | {"name": name, "ae_title": ae_title, "host": host}
    if ae_title:
        values["may"] = ["send"]
    return _form(request, values, new=True)


@router.post("/network/systems", dependencies=[ADMIN])
def add_system(
    request: Request,
    name: Text,
    ae_title: Text,
    host: Text,
    port: Text,
    may: Texts = None,
    proof: Text = "none",
    tls: Annotated[bool, Form()] = False,
) -> Response:
    """Add a system."""
    values = {"name": name, **_peer_values(ae_title, host, port, may, proof, tls)}
    try:
        desk(request).book.add("peer", values, who=me(request).name)
    except NodeError as error:
        return _form(request, values, new=True, trouble=error)
    note(request, "add system", f"system {name}", **values)
    return RedirectResponse("/network#systems", 303)


@router.get("/network/systems/{name}", dependencies=[ADMIN])
def system(request: Request, name: str, host: Asked = "") -> HTMLResponse:
    """Offer to change a system."""
    peer = desk(request).book.current().peer(name)
    if peer is None:
        raise HTTPException(404, f"There is no system {name}.")
    values = peer_mapping(peer) | ({"host": host} if host else {})
    return _form(request, values, new=False, fixed=peer.source == "file")


@router.post("/network/systems/{name}", dependencies=[ADMIN])
def change_system(
    request: Request,
    name: str,
    ae_title: Text,
    host: Text,
    port: Text,
    may: Texts = None,
    proof: Text = "none",
    tls: Annotated[bool, Form()] = False,
) -> Response:
    """Change a system that was added at run time."""
    values = _peer_values(ae_title, host, port, may, proof, tls)
    try:
        desk(request).book.change("peer", name, values, who=me(request).name)
    except NodeError as error:
        return _form(request, values | {"name": name}, new=False, trouble=error)
    note(request, "change system", f"system {name}", **values)
    return RedirectResponse("/network#systems", 303)


@router.post("/network/systems/{name}/remove", dependencies=[ADMIN])
def remove_system(request: Request, name: str) -> Response:
    """Remove a system that was added at run time."""
    return _remove(request, "peer", "system", name)


@router.post("/network/systems/{name}/echo", dependencies=[PHYSICIST])
def echo(request: Request, name: str, back: Text = "/network#systems") -> Response:
    """Have a worker send C-ECHO to a system."""
    if desk(request).book.current().peer(name) is None:
        raise HTTPException(404, f"There is no system {name}.")
    try:
        flow(request).echo(name, who=me(request).name)
    except NodeError as error:
        return _page(request, status=503, trouble=error)
    note(request, "echo", f"system {name}")
    return RedirectResponse(local_path(back), 303)


@router.post("/network/routes", dependencies=[ADMIN])
def add_route(
    request: Request,
    name: Text,
    model: Text,
    deliver_to: Texts = None,
    senders: Texts = None,
    body_part: Text = "",
    series_description: Text = "",
    release: Annotated[ReleasePolicy, Form()] = ReleasePolicy.SIGNATURE,
) -> Response:
    """Add a route behind those there are."""
    patterns = {
        "body_part": _BETWEEN_PARTS.split(body_part.strip(" ,;")),
        "series_description": _BETWEEN.split(series_description.strip(" ,;")),
    }
    when: dict[str, Any] = {key: value for key, value in patterns.items() if any(value)}
    if senders:
        when["from"] = senders
    values = {
        "name": name,
        "when": when,
        "model": model,
        "deliver_to": deliver_to or [],
        "release": release.value,
    }
    try:
        desk(request).book.add("route", values, who=me(request).name)
    except NodeError as error:
        return _page(request, status=400, trouble=error)
    note(request, "add route", f"route {name}", **values)
    return RedirectResponse("/network#routes", 303)


@router.post("/network/routes/{name}/remove", dependencies=[ADMIN])
def remove_route(request: Request, name: str) -> Response:
    """Remove a route that was added at run time."""
    return _remove(request, "route", "route", name)


@router.post("/network/pull", dependencies=[PHYSICIST])
def pull(request: Request, peer: Asking, study: Uid, series: Text = "") -> Response:
    """Have a peer's archive send series to this node."""
    wanted = series.replace(",", " ").split()
    try:
        said = flow(request).pull(peer, study.strip(), wanted, within_s=_PULL_S)
    except NodeError as error:
        return _page(request, status=503, trouble=error)
    note(request, "pull series", study, peer=peer, ok=said["ok"])
    return _page(request, pulled=said)


@router.post("/network/try", dependencies=[PHYSICIST])
async def try_routes(request: Request) -> Response:
    """Say which route uploaded files would take; nothing is kept."""
    try:
        files = await uploaded(request)
        rows = await to_thread.run_sync(_tried, desk(request), files)
        return await to_thread.run_sync(_told, request, rows, len(files))
    except NodeError as error:
        trouble = error
    return await to_thread.run_sync(lambda: _page(request, status=400, trouble=trouble))


@router.get("/network/conformance", dependencies=[VIEWER])
def conformance(request: Request) -> Response:
    """Give the conformance statement of the running configuration."""
    write = desk(request).conformance
    if write is None:
        raise HTTPException(404, "This process writes no conformance statement.")
    return PlainTextResponse(write(), media_type="text/markdown; charset=utf-8")


def _told(request: Request, rows: list[dict[str, Any]], count: int) -> HTMLResponse:
    note(request, "try routes", files=count)
    return _page(request, tried=rows)


def _tried(at: Desk, files: list[UploadFile]) -> list[dict[str, Any]]:
    with written(files) as folder:
        return list(at.try_routes(folder))


def _page(request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
    frame = layout(request, live=True)
    at, queries = desk(request), request.app.state.queries
    site, echoes, contacts = at.book.current(), at.echoes.all(), at.echoes.contacts()
    return frame.page(
        "network.html",
        place="network",
        status=status,
        systems=[peer_item(p, echoes, contacts) for p in site.peers],
        routes=[route_item(r) for r in site.routes],
        associations=with_remedies(queries.associations(limit=100), site),
        problems=at.book.problems(),
        models=sorted({m["name"] for m in at.models()}),
        policies=list(ReleasePolicy),
        has_conformance=at.conformance is not None,
        **values,
    )


def _form(
    request: Request,
    values: dict[str, Any],
    *,
    new: bool,
    fixed: bool = False,
    trouble: NodeError | None = None,
) -> HTMLResponse:
    return layout(request).page(
        "system_form.html",
        place="network",
        status=400 if trouble else 200,
        peer=_EMPTY | values,
        new=new,
        fixed=fixed,
        trouble=trouble,
    )


def _peer_values(
    ae_title: str, host: str, port: str, may: list[str] | None, proof: str, tls: bool
) -> dict[str, Any]:
    return {
        "ae_title": ae_title.strip(),
        "host": host.strip(),
        "port": int(port) if port.strip().isdecimal() and len(port) < 9 else 0,
        "may": may or [],
        "proof": proof,
        "tls": tls,
    }


def _remove(request: Request, kind: str, word: str, name: str) -> Response:
    try:
        desk(request).book.remove(kind, name, who=me(request).name)
    except Misconfigured as error:
        return _page(request, status=409, trouble=error)
    note(request, f"remove {word}", f"{word} {name}")
    return RedirectResponse(f"/network#{word}s", 303)
