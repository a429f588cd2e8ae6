"""Models: what is in the models folder, verify, population and drift, sign-off and its end."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.archive.people.audit import By
from node.domain.errors import NodeError
from node.domain.sign_off import checked_scope
from node.web.api.decisions import flow
from node.web.auth.proof import prove_again
from node.web.auth.security import PHYSICIST, VIEWER, me, note, noted
from node.web.layout import Place, layout
from node.web.views.models_view import card_of, model_item, ref_of, whole_item
from node.web.views.page_services import desk

router = APIRouter(include_in_schema=False, prefix="/models")
PLACES = (Place(name="models", href="/models", order=30),)
Text = Annotated[str, Form(max_length=2000)]
Secret = Annotated[str, Form(max_length=500)]


@router.get("", dependencies=[VIEWER])
def models(request: Request) -> HTMLResponse:
    """Show what is in the models folder."""
    at = desk(request)
    rows = [model_item(at, card) for card in at.models()]
    return layout(request).page("models.html", place="models", models=rows)


@router.get("/{name}/{version}", dependencies=[VIEWER])
def model(request: Request, name: str, version: str) -> HTMLResponse:
    """Show one model."""
    return _page(request, name, version)


@router.post("/{name}/{version}/verify", dependencies=[PHYSICIST])
def verify(request: Request, name: str, version: str) -> Response:
    """Have a worker check hash and golden case."""
    card_of(request, name, version)
    try:
        row = flow(request).verify(name, version, who=me(request).name)
    except NodeError as error:
        return _page(request, name, version, status=503, trouble=error)
    note(request, "verify model", f"model {name} {version}", ok=row["ok"], verdict=row["verdict"])
    return RedirectResponse(f"/models/{name}/{version}#checks", 303)


@router.post("/{name}/{version}/sign-off", dependencies=[PHYSICIST])
def sign_off(
    request: Request,
    name: str,
    version: str,
    manufacturer: Text,
    scanner: Text,
    protocol: Text,
    comment: Text = "",
    password: Secret = "",
) -> Response:
    """Sign a model off for a scanner and protocol."""
    card = card_of(request, name, version)

    def act(by: By) -> None:
        scope = checked_scope(manufacturer=manufacturer, scanner=scanner, protocol=protocol)
        desk(request).model_book.sign_off(ref_of(card), scope, by, note=comment)

    return _signed(request, name, version, password, act)


@router.post("/{name}/{version}/sign-off/{number}/revoke", dependencies=[PHYSICIST])
def revoke(
    request: Request,
    name: str,
    version: str,
    number: int,
    comment: Text = "",
    password: Secret = "",
) -> Response:
    """End a sign-off."""
    return _signed(
        request,
        name,
        version,
        password,
        lambda by: desk(request).model_book.revoke(number, by, reason=comment),
    )


def _signed(
    request: Request, name: str, version: str, password: str, act: Callable[[By], object]
) -> Response:
    try:
        act(prove_again(request, password))
    except NodeError as error:
        return _page(request, name, version, status=409, trouble=error)
    noted(request)
    return RedirectResponse(f"/models/{name}/{version}#sign-offs", 303)


def _page(
    request: Request,
    name: str,
    version: str,
    *,
    status: int = 200,
    trouble: NodeError | None = None,
) -> HTMLResponse:
    item: dict[str, Any] = whole_item(desk(request), card_of(request, name, version))
    return layout(request).page(
        "model.html", place="models", status=status, model=item, trouble=trouble
    )
