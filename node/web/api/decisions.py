"""The interface for decisions about a series: sign, reject, hold, run again, send, withdraw."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from node.archive.people.accounts import TooMany
from node.archive.people.audit import By
from node.archive.work.decisions import Decisions, Signature
from node.domain.errors import NodeError, Rejected
from node.web.auth.proof import prove_again
from node.web.auth.security import PHYSICIST, actor, noted
from node.web.views.page_services import desk

router = APIRouter(prefix="/api/series/{series_id}", tags=["decisions"], dependencies=[PHYSICIST])
SeriesId = Annotated[int, Path(ge=1, lt=2**31)]
Words = Annotated[str, Field(max_length=2000)]
_STATUS = {
    "UNKNOWN": 404, "STATE": 409, "CHANGED": 409, "WARNINGS": 409, "DESTINATION": 409,
    "SIGN_OFF": 409, "SIGNED_OFF": 409, "CORRECTION": 409, "PARTIAL": 409,
    "CORRECTION_CHANGED": 409, "LEFT": 409,
    "PROVE": 403, "LOG_IN": 403,
}  # fmt: skip


class Flow(Protocol):
    """What carries decisions out; `node.flow.client.FlowClient` is one."""

    decisions: Decisions

    def reject(self, series_id: int, by: By, *, reason: str) -> str:
        """Refuse the sCT of a series in review; one that may have left is withdrawn."""

    def withdraw(
        self,
        series_id: int,
        by: By,
        *,
        reason: str,
        concept: str,
        attempt: int | None = None,
        revision: int | None = None,
    ) -> str:
        """Tell every destination that an sCT must not be used."""

    def adopt(
        self, series_id: int, by: By, *, reason: str = "", correction: int | None = None
    ) -> str:
        """File the corrected images of a series in place of those it has."""

    def dismiss(self, series_id: int, by: By, *, reason: str, correction: int | None = None) -> str:
        """Leave the images of a series as they are, though they came again corrected."""

    def verify(self, model: str, version: str, *, who: str = "") -> dict[str, Any]:
        """Have a worker verify a model and keep what came of it."""

    def pull(
        self, peer: str, study: str, series: Sequence[str] = (), *, within_s: float = 600.0
    ) -> dict[str, Any]:
        """Have a peer's archive send series to this node."""

    def echo(self, peer: str, *, within_s: float = 30.0, who: str = "") -> tuple[bool, str]:
        """Have a worker send C-ECHO to a peer."""


class StrictBody(BaseModel):
    """A body without unknown keys."""

    model_config = ConfigDict(extra="forbid")


class Sign(StrictBody):
    """A signature: what was seen, and who signs."""

    attempt: Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")]
    """Revision and attempt, as ``1.2``."""
    ticked: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=500)] = []
    destinations: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)]
    instances: Annotated[int, Field(ge=0, le=2**31)]
    comment: Words = ""
    password: SecretStr = SecretStr("")


class Reason(StrictBody):
    """Why."""

    reason: Words = ""


class Again(StrictBody):
    """Run again, with another model where one is named."""

    model: Annotated[str, Field(max_length=64)] | None = None


class Resend(StrictBody):
    """Send again to one destination, or to all of them."""

    destination: Annotated[str, Field(max_length=64)] | None = None


class Send(StrictBody):
    """Send to a further peer."""

    destination: Annotated[str, Field(max_length=64)]


class Withdraw(StrictBody):
    """Withdraw a delivered sCT."""

    concept: Literal["quality", "safety"]
    """Rejected for quality (113001) or patient safety (113037) reasons."""
    reason: Words
    attempt: Annotated[int, Field(ge=1, le=2**31)] | None = None
    revision: Annotated[int, Field(ge=1, le=2**31)] | None = None
    password: SecretStr = SecretStr("")


class Correct(StrictBody):
    """Decide about a correction."""

    correction: Annotated[int, Field(ge=1, le=2**31)] | None = None
    """The one that was looked at; another one is refused. Absent: the one that waits."""
    reason: Words = ""
    password: SecretStr = SecretStr("")


class Said(BaseModel):
    """What happens now."""

    sentence: str


def flow(request: Request) -> Flow:
    """What carries decisions out."""
    found: Flow | None = request.app.state.flow
    if found is None:
        raise HTTPException(503, "This process carries nothing out.")
    return found


def as_http(error: NodeError) -> HTTPException:
    """How a fault is told over HTTP."""
    if isinstance(error, TooMany):
        return HTTPException(429, str(error), {"Retry-After": "900"})
    if isinstance(error, Rejected):
        return HTTPException(_STATUS.get(error.code, 422), str(error))
    return HTTPException(503, str(error))


@router.post("/sign")
def sign(request: Request, series_id: SeriesId, body: Sign) -> Said:
    """Release an sCT in review. Every warning is ticked, destinations and number are named."""
    signature = Signature(
        attempt=body.attempt,
        ticked=body.ticked,
        destinations=body.destinations,
        instances=body.instances,
        comment=body.comment,
    )
    decisions = flow(request).decisions
    return _said(request, lambda: decisions.sign(series_id, signature, _proved(request, body)))


@router.post("/reject")
def reject(request: Request, series_id: SeriesId, body: Reason) -> Said:
    """Refuse the sCT of a series in review; one that may have left is withdrawn."""
    return _said(request, lambda: flow(request).reject(series_id, _by(request), reason=body.reason))


@router.post("/set-aside")
def set_aside(request: Request, series_id: SeriesId, body: Reason) -> Said:
    """Take a series that was refused or failed out of what needs somebody."""
    decisions = flow(request).decisions
    return _said(request, lambda: decisions.set_aside(series_id, _by(request), reason=body.reason))


@router.post("/hold")
def hold(request: Request, series_id: SeriesId, body: Reason) -> Said:
    """Keep an sCT from leaving by itself, or stop one that is on its way."""
    decisions = flow(request).decisions
    return _said(request, lambda: decisions.hold(series_id, _by(request), reason=body.reason))


@router.post("/resume")
def resume(request: Request, series_id: SeriesId) -> Said:
    """Take back a hold before there is an sCT to review; one in review is signed or rejected."""
    return _said(request, lambda: flow(request).decisions.resume(series_id, _by(request)))


@router.post("/retry")
def retry(request: Request, series_id: SeriesId, body: Again) -> Said:
    """Begin a new attempt; what was made before stays as it is."""
    if body.model is not None and body.model not in {m["name"] for m in desk(request).models()}:
        raise HTTPException(422, f"There is no model {body.model!r}.")
    decisions = flow(request).decisions
    return _said(request, lambda: decisions.retry(series_id, _by(request), model=body.model))


@router.post("/resend")
def resend(request: Request, series_id: SeriesId, body: Resend) -> Said:
    """Send a released sCT again, whole."""
    decisions, to = flow(request).decisions, body.destination
    return _said(request, lambda: decisions.resend(series_id, _by(request), destination=to))


@router.post("/send")
def send(request: Request, series_id: SeriesId, body: Send) -> Said:
    """Send a released sCT to a peer its route does not name."""
    if desk(request).book.current().peer(body.destination) is None:
        raise HTTPException(422, f"There is no peer {body.destination!r}.")
    decisions = flow(request).decisions
    return _said(request, lambda: decisions.send_to(series_id, body.destination, _by(request)))


@router.post("/withdraw")
def withdraw(request: Request, series_id: SeriesId, body: Withdraw) -> Said:
    """Send a Key Object wherever an sCT may be: it must not be used any more."""
    return _said(
        request,
        lambda: flow(request).withdraw(
            series_id,
            _proved(request, body),
            reason=body.reason,
            concept=body.concept,
            attempt=body.attempt,
            revision=body.revision,
        ),
    )


@router.post("/adopt")
def adopt(request: Request, series_id: SeriesId, body: Correct) -> Said:
    """Make the images that came again the images of the series; withdraw what had left."""
    return _corrected(request, series_id, body, flow(request).adopt)


@router.post("/dismiss")
def dismiss(request: Request, series_id: SeriesId, body: Correct) -> Said:
    """Leave the images as they are; those that came again stay aside."""
    return _corrected(request, series_id, body, flow(request).dismiss)


def _corrected(request: Request, series_id: int, body: Correct, decide: Callable[..., str]) -> Said:
    reason, number = body.reason, body.correction
    return _said(
        request,
        lambda: decide(series_id, _proved(request, body), reason=reason, correction=number),
    )


def _by(request: Request) -> By:
    return By(**actor(request))


def _proved(request: Request, body: Sign | Withdraw | Correct) -> By:
    return prove_again(request, body.password.get_secret_value())


def _said(request: Request, decide: Callable[[], str]) -> Said:
    """Decide; the decision writes its own line of the audit trail."""
    try:
        sentence = decide()
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)
