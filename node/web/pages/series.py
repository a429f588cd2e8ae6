"""One series: images, findings, decisions, deliveries, history."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.domain.errors import Rejected
from node.domain.states import State
from node.web import dossier
from node.web.api import found
from node.web.layout import layout
from node.web.planes import PLANES
from node.web.security import PHYSICIST, VIEWER, me

router = APIRouter(include_in_schema=False)
_STEPS_SENT = (State.DELIVERING, State.DELIVERED, State.FAILED)
_AT_REST = (
    State.KEPT,
    State.REFUSED,
    State.REVIEW,
    State.DELIVERED,
    State.REJECTED,
    State.FAILED,
)
MODES = {"mr": "M", "sct": "S", "blend": "B", "split": "D", "tiles": "T", "uncertainty": "U"}
WINDOWS = ("soft", "brain", "bone", "lung", "full")
Text = Annotated[str, Form(max_length=2000)]


class Flow(Protocol):
    """What a person may ask for; `node.flow.client.FlowClient` is one."""

    def retry(self, series_id: int, *, who: str) -> str:
        """Run a series again as a new attempt."""

    def release(self, series_id: int, *, who: str, reason: str = "") -> str:
        """Let the sCT of a series in review leave."""

    def reject(self, series_id: int, *, who: str, reason: str) -> str:
        """Refuse the sCT of a series in review."""

    def resend(self, series_id: int, *, who: str, destination: str | None = None) -> str:
        """Send a released sCT again."""


@router.get("/series/{series_id}", dependencies=[VIEWER])
def page(request: Request, series_id: int) -> HTMLResponse:
    """Show one series."""
    item = found(request, series_id)
    frame = layout(request)
    t = frame.say
    state = State(item["state"])
    has_images = item["instances"] > 0 and state is not State.RECEIVING
    if has_images and request.app.state.views is not None and not _again(request):
        request.app.state.views.ahead(series_id)
    findings = dossier.points(item["findings"], t)
    current = item["runs"][-1] if item["runs"] else None
    return frame.page(
        "series.html",
        place="queue",
        item=item,
        planes=PLANES,
        modes=MODES,
        windows=WINDOWS,
        has_images=has_images,
        to_read=[p for p in findings if p.severity in ("warning", "hold")],
        notes=[p for p in findings if p.severity in ("info", "drop")],
        passed=dossier.passed(item["findings"], t),
        checked=any(s["name"] == "check" and s["finished_at"] for s in item["steps"]),
        moments=dossier.moments(item, t),
        trouble=dossier.trouble(item, t),
        destinations=dossier.destinations(item),
        images=dossier.images(item),
        run=current,
        plan=current["plan"] if current else None,
        limit_hu=_limit(item),
        can_rerun=state in _AT_REST,
        can_resend=state in _STEPS_SENT and bool(item["deliveries"]),
    )


@router.post("/series/{series_id}/approve", dependencies=[PHYSICIST])
def approve(
    request: Request,
    series_id: int,
    seen: Text,
    read: Annotated[list[str] | None, Form()] = None,
    comment: Text = "",
) -> Response:
    """Release the sCT a person has looked at, once every warning is ticked."""
    item = found(request, series_id)
    asked = dossier.unread(item["findings"])
    if seen != version(item):
        return _not_done(request, item, "decide.why.changed", "decide.do.look")
    missing = asked - set(read or ())
    if missing:
        return _not_done(request, item, "decide.why.unread", "decide.do.read", n=len(missing))
    return _do(request, item, lambda flow, who: flow.release(series_id, who=who, reason=comment))


@router.post("/series/{series_id}/reject", dependencies=[PHYSICIST])
def reject(request: Request, series_id: int, comment: Text = "") -> Response:
    """Refuse the sCT: it never leaves."""
    item = found(request, series_id)
    return _do(request, item, lambda flow, who: flow.reject(series_id, who=who, reason=comment))


@router.post("/series/{series_id}/rerun", dependencies=[PHYSICIST])
def rerun(request: Request, series_id: int) -> Response:
    """Begin a new attempt."""
    item = found(request, series_id)
    return _do(request, item, lambda flow, who: flow.retry(series_id, who=who))


@router.post("/series/{series_id}/resend", dependencies=[PHYSICIST])
def resend(request: Request, series_id: int, destination: Text = "") -> Response:
    """Send a released sCT again."""
    item = found(request, series_id)
    return _do(
        request,
        item,
        lambda flow, who: flow.resend(series_id, who=who, destination=destination or None),
    )


def version(item: dict[str, Any]) -> str:
    """What a decision is about: another attempt is another sCT."""
    return f"{item['revision']}.{item['attempts']}.{item['state']}"


def _do(request: Request, item: dict[str, Any], act: Callable[[Flow, str], str]) -> Response:
    try:
        act(request.app.state.flow, me(request).name)
    except Rejected as error:
        return _not_done(request, item, error.message, error.remedy)
    return RedirectResponse(f"/series/{item['id']}", status_code=303)


def _not_done(
    request: Request, item: dict[str, Any], why: str, to_do: str, **values: object
) -> HTMLResponse:
    frame = layout(request)
    said = [
        frame.say(text, **values) if text.startswith("decide.") else text for text in (why, to_do)
    ]
    return frame.page("not_done.html", place="queue", status=409, item=item, said=said)


def _again(request: Request) -> bool:
    return "hx-request" in request.headers


def _limit(item: dict[str, Any]) -> float:
    values = [f["values"].get("limit_hu") for f in item["findings"]]
    return next((float(v) for v in values if v), 400.0)
