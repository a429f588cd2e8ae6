"""Pull series from an archive, for the page and for scripts."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from node.domain.errors import NodeError
from node.web.api.decisions import as_http
from node.web.auth.security import PHYSICIST, note
from node.web.views.page_services import desk

router = APIRouter(tags=["network"])
_UID = r"^[0-9.]{1,64}$"


class Wanted(BaseModel):
    """What to pull."""

    peer: str = Field(max_length=64)
    study: str = Field(pattern=_UID)
    series: list[str] = Field(default_factory=list, max_length=500)
    """Series Instance UIDs; empty: every MR series of the study."""


@router.post("/api/pull", dependencies=[PHYSICIST])
def pull(request: Request, wanted: Wanted) -> dict[str, Any]:
    """Have a peer's archive send series to this node; answers once it says that it has."""
    flow = request.app.state.flow
    if flow is None:
        raise HTTPException(503, "Nothing works here.")
    try:
        desk(request).book.current().archive(wanted.peer)  # at once, not when a worker is free
        said: dict[str, Any] = flow.pull(wanted.peer, wanted.study, wanted.series)
    except NodeError as error:
        raise as_http(error) from None
    note(request, "pull series", wanted.study, peer=wanted.peer, ok=said["ok"])
    return said
