"""The interface for models: what is there, verify, figures, sign-off and its end."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field, SecretStr

from node.domain.errors import NodeError
from node.domain.sign_off import checked_scope
from node.web.api.decisions import Said, StrictBody, Words, as_http, flow
from node.web.auth.proof import prove_again
from node.web.auth.security import PHYSICIST, VIEWER, me, note, noted
from node.web.views.models_view import card_of, model_item, ref_of, whole_item
from node.web.views.page_services import desk

router = APIRouter(prefix="/api", tags=["models"])
Name = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Part = Annotated[str, Field(min_length=1, max_length=64)]


class SignOffBody(StrictBody):
    """For which scanner and protocol; ``*`` stands for anything."""

    manufacturer: Part
    scanner: Part
    """ManufacturerModelName."""
    protocol: Part
    """ProtocolName; SeriesDescription of an MR that names none."""
    note: Words = ""
    password: SecretStr = SecretStr("")


class Revocation(StrictBody):
    """Why a sign-off ends."""

    reason: Words
    password: SecretStr = SecretStr("")


@router.get("/models", dependencies=[VIEWER], summary="List models")
def models(request: Request) -> list[dict[str, Any]]:
    """List what is in the models folder, with the last check and the sign-offs in force."""
    at = desk(request)
    return [model_item(at, card) for card in at.models()]


@router.get("/models/{name}/{version}", dependencies=[VIEWER], summary="Give one model")
def model(request: Request, name: Name, version: Name) -> dict[str, Any]:
    """Give the card of a model, its checks, sign-offs and population."""
    return whole_item(desk(request), card_of(request, name, version))


@router.get("/models/{name}/{version}/figures", dependencies=[VIEWER], summary="Figures over time")
def figures(request: Request, name: Name, version: Name) -> list[dict[str, Any]]:
    """Give what was measured of the newest 500 sCTs of a model, oldest first."""
    card = card_of(request, name, version)
    return desk(request).model_book.figures(card["sha256"])


@router.post("/models/{name}/{version}/verify", dependencies=[PHYSICIST], summary="Verify a model")
def verify(request: Request, name: Name, version: Name) -> dict[str, Any]:
    """Have a worker check hash and golden case; what comes of it is kept."""
    card_of(request, name, version)
    try:
        row = flow(request).verify(name, version, who=me(request).name)
    except NodeError as error:
        raise as_http(error) from None
    note(request, "verify model", f"model {name} {version}", ok=row["ok"], verdict=row["verdict"])
    return row


@router.post(
    "/models/{name}/{version}/sign-offs",
    status_code=201,
    dependencies=[PHYSICIST],
    summary="Sign a model off",
)
def sign_off(request: Request, name: Name, version: Name, body: SignOffBody) -> Said:
    """Let a model's results leave as more than RESEARCH for a scanner and protocol."""
    card = card_of(request, name, version)
    try:
        scope = checked_scope(
            manufacturer=body.manufacturer, scanner=body.scanner, protocol=body.protocol
        )
        by = prove_again(request, body.password.get_secret_value())
        number = desk(request).model_book.sign_off(ref_of(card), scope, by, note=body.note)
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=f"Sign-off {number} stands for what is run from now on.")


@router.post("/sign-offs/{number}/revoke", dependencies=[PHYSICIST], summary="Revoke a sign-off")
def revoke(
    request: Request, number: Annotated[int, Path(ge=1, lt=2**31)], body: Revocation
) -> Said:
    """End a sign-off; what is on its way under it stops, what has left stays."""
    try:
        by = prove_again(request, body.password.get_secret_value())
        stopped = desk(request).model_book.revoke(number, by, reason=body.reason)
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=f"Revoked. {stopped} series on their way were stopped.")
