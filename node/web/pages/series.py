"""One series: images, findings, what may be decided, deliveries, history."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from node.domain.access import Role
from node.domain.sign_off import is_research
from node.domain.states import State
from node.web.api.series import found
from node.web.auth.security import VIEWER, me
from node.web.layout import layout
from node.web.viewer.planes import PLANES
from node.web.views import series_view
from node.web.views.arrival_view import arrival
from node.web.views.models_view import band_for
from node.web.views.page_services import Desk
from node.web.views.timeline import stopped_by_somebody

router = APIRouter(include_in_schema=False)
_SENT = (State.DELIVERING, State.DELIVERED, State.FAILED)
# A correction stops what was delivered, and it is in review then.
_LEFT = (*_SENT, State.REVIEW)
_MOVING = (State.QUEUED, State.RUNNING, State.DELIVERING)
_BEFORE = (State.RECEIVING, State.QUEUED, State.RUNNING)
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


@router.get("/series/{series_id}", dependencies=[VIEWER])
def page(request: Request, series_id: int) -> HTMLResponse:
    """Show one series."""
    frame = layout(request, live=True)
    item = found(request, series_id)
    t = frame.say
    state = State(item["state"])
    has_images = item["instances"] > 0 and state is not State.RECEIVING
    if has_images and request.app.state.views is not None and not _again(request):
        request.app.state.views.ahead(series_id)
    findings = series_view.points(item["findings"], t)
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
        stopped=stopped_by_somebody(item["sentence"]),
        correction=next((c for c in item["corrections"] if c["state"] == "waiting"), None),
        decided=[c for c in item["corrections"] if c["state"] != "waiting"],
        beside=request.app.state.queries.beside(series_id, item["state"]),
        passed=series_view.passed(item["findings"], t),
        checked=any(s["name"] == "check" and s["finished_at"] for s in item["steps"]),
        moments=series_view.moments(item, t),
        trouble=series_view.trouble(item, t),
        arrival=arrival(item["door"], t),
        destinations=series_view.destinations(item),
        elsewhere=series_view.elsewhere(item),
        images=series_view.images(item),
        run=current,
        band_of=(band_for(request, item) or {}).get("series", 0) if has_images else 0,
        plan=current["plan"] if current else None,
        research=current is None or is_research(current["plan"] or {}),
        limit_hu=_limit(item),
        objects=sum(o["instances"] for o in item["outputs"]),
        **_possible(request, item, state),
    )


def _possible(request: Request, item: dict[str, Any], state: State) -> dict[str, Any]:
    """What may be decided now, by whoever asks, and what there is to choose from."""
    desk: Desk | None = request.app.state.desk
    sent = [d["destination"] for d in item["deliveries"]]
    peers = [p.name for p in desk.book.current().peers] if desk else []
    reached = bool(item["places"])
    return {
        "may_decide": me(request).role.covers(Role.PHYSICIST),
        "can_rerun": state in _AT_REST,
        "can_set_aside": state in (State.REFUSED, State.FAILED) and not reached,
        "can_resend": state in _SENT and bool(sent),
        "can_hold": state in _MOVING and item["held_by"] is None,
        "can_resume": state in _BEFORE and item["held_by"] is not None,
        "tested": _tested(desk, item),
        "can_withdraw": bool((state in _LEFT and reached) or item["earlier"]),
        # The present one where it has left, else the newest of those that did.
        "to_withdraw": None if state in _LEFT and reached else next(iter(item["earlier"]), None),
        "models": sorted({m["name"] for m in desk.models()}) if desk else [],
        "others": [name for name in peers if name not in sent],
    }


def _tested(desk: Desk | None, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Each destination that failed and is known, with what came of the last C-ECHO to it."""
    if desk is None:
        return []
    failed = {d["destination"] for d in item["deliveries"] if d["state"] == "failed"}
    echoes = desk.echoes.all()
    return [
        {"name": peer.name, "echo": echoes.get(peer.name)}
        for peer in desk.book.current().peers
        if peer.name in failed
    ]


def _again(request: Request) -> bool:
    return "hx-request" in request.headers


def _limit(item: dict[str, Any]) -> float:
    values = [f["values"].get("limit_hu") for f in item["findings"]]
    return next((float(v) for v in values if v), 400.0)
