"""The forms of the decision bar: what a person decides about a series, answered with a page.

The same decisions are in the API (`node.web.api.decisions`); here a refusal is told in four parts.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.archive.people.audit import By
from node.archive.work.decisions import Signature
from node.domain.errors import NodeError
from node.web.api.decisions import Flow, flow
from node.web.api.series import found
from node.web.auth.proof import prove_again
from node.web.auth.security import PHYSICIST, actor, noted
from node.web.layout import layout
from node.web.messages.faults import code_of, known

router = APIRouter(include_in_schema=False, prefix="/series/{series_id}", dependencies=[PHYSICIST])
Text = Annotated[str, Form(max_length=2000)]
Some = Annotated[list[str] | None, Form(max_length=500)]
_FORBIDDEN = ("PROVE", "LOG_IN")


@router.post("/approve")
def approve(
    request: Request,
    series_id: int,
    attempt: Text,
    instances: Annotated[int, Form(ge=0)],
    read: Some = None,
    destinations: Some = None,
    comment: Text = "",
    password: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Sign: release the sCT exactly as it was seen, every warning ticked."""
    signature = Signature(
        attempt=attempt,
        ticked=read or (),
        destinations=destinations or (),
        instances=instances,
        comment=comment,
    )
    return _told(
        request,
        series_id,
        lambda to: to.decisions.sign(series_id, signature, prove_again(request, password)),
    )


@router.post("/reject")
def reject(request: Request, series_id: int, comment: Text = "") -> Response:
    """Refuse the sCT; one that may have left is withdrawn."""
    by = By(**actor(request))
    return _told(request, series_id, lambda to: to.reject(series_id, by, reason=comment))


@router.post("/set-aside")
def set_aside(request: Request, series_id: int, comment: Text = "") -> Response:
    """Take a series that was refused or failed out of what needs somebody."""
    by = By(**actor(request))
    return _told(
        request, series_id, lambda to: to.decisions.set_aside(series_id, by, reason=comment)
    )


@router.post("/hold")
def hold(request: Request, series_id: int, comment: Text = "") -> Response:
    """Keep an sCT from leaving, or stop one that is on its way."""
    by = By(**actor(request))
    return _told(request, series_id, lambda to: to.decisions.hold(series_id, by, reason=comment))


@router.post("/resume")
def resume(request: Request, series_id: int) -> Response:
    """Take back a hold before there is an sCT to review."""
    by = By(**actor(request))
    return _told(request, series_id, lambda to: to.decisions.resume(series_id, by))


@router.post("/rerun")
def rerun(request: Request, series_id: int, model: Text = "") -> Response:
    """Begin a new attempt, with another model where one is named."""
    by, named = By(**actor(request)), model or None
    return _told(request, series_id, lambda to: to.decisions.retry(series_id, by, model=named))


@router.post("/resend")
def resend(request: Request, series_id: int, destination: Text = "") -> Response:
    """Send a released sCT again, or to a peer its route does not name."""
    by = By(**actor(request))
    if destination.startswith("+"):
        new = destination.removeprefix("+")
        return _told(request, series_id, lambda to: to.decisions.send_to(series_id, new, by))
    one = destination or None
    return _told(request, series_id, lambda to: to.decisions.resend(series_id, by, destination=one))


@router.post("/withdraw")
def withdraw(
    request: Request,
    series_id: int,
    concept: Annotated[Literal["quality", "safety"], Form()],
    attempt: Annotated[int | None, Form(ge=1, le=2**31)] = None,
    revision: Annotated[int | None, Form(ge=1, le=2**31)] = None,
    comment: Text = "",
    password: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Tell every destination that the sCT must not be used."""
    return _told(
        request,
        series_id,
        lambda to: to.withdraw(
            series_id,
            prove_again(request, password),
            reason=comment,
            concept=concept,
            attempt=attempt,
            revision=revision,
        ),
    )


@router.post("/adopt")
def adopt(
    request: Request,
    series_id: int,
    correction: Annotated[int, Form(ge=1, le=2**31)],
    comment: Text = "",
    password: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Make the images that came again the images of the series."""
    return _told(
        request,
        series_id,
        lambda to: to.adopt(
            series_id, prove_again(request, password), reason=comment, correction=correction
        ),
    )


@router.post("/dismiss")
def dismiss(
    request: Request,
    series_id: int,
    correction: Annotated[int, Form(ge=1, le=2**31)],
    comment: Text = "",
    password: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Leave the images of the series as they are."""
    return _told(
        request,
        series_id,
        lambda to: to.dismiss(
            series_id, prove_again(request, password), reason=comment, correction=correction
        ),
    )


def _told(request: Request, series_id: int, act: Callable[[Flow], str]) -> Response:
    """Decide; the decision writes its own line of the audit trail."""
    item = found(request, series_id)
    try:
        act(flow(request))
    except NodeError as error:
        return _not_done(request, item, error)
    noted(request)
    return RedirectResponse(f"/series/{series_id}", status_code=303)


def _not_done(request: Request, item: dict[str, Any], error: NodeError) -> HTMLResponse:
    """What was not done and why, in the reader's words where the code is known."""
    frame = layout(request)
    code = code_of(error)
    return frame.page(
        "not_done.html",
        place="queue",
        status=403 if code in _FORBIDDEN else 409,
        item=item,
        code=code,
        trouble=error,
        foreign=not known(error, "decide"),
    )
