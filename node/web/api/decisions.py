"""The interface for decisions about a series: sign, reject, hold, run again, send, withdraw."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from node.archive.people.accounts import TooMany
from node.archive.people.audit import By
from node.archive.work.decisions import Signature
from node.domain.errors import NodeError, Rejected
from node.web.auth.proof import prove_again
from node.web.auth.security import PHYSICIST, actor, note, noted
from node.web.views.page_services import desk

router = APIRouter(prefix="/api/series/{series_id}", tags=["decisions"], dependencies=[PHYSICIST])
SeriesId = Annotated[int, Path(ge=1, lt=2**31)]
Words = Annotated[str, Field(max_length=2000)]
_STATUS = {
    "UNKNOWN": 404, "STATE": 409, "CHANGED": 409, "WARNINGS": 409, "DESTINATION": 409,
    "SIGN_OFF": 409, "SIGNED_OFF": 409, "CORRECTION": 409, "PARTIAL": 409,
    "CORRECTION_CHANGED": 409,
    "PROVE": 403, "LOG_IN": 403,
}  # fmt: skip


class Flow(Protocol):
    """What carries decisions out; `node.flow.client.FlowClient` is one."""

    def retry(self, series_id: int, *, who: str, model: str | None = None) -> str:
        """Run a series again as a new attempt."""

    def sign(self, series_id: int, signature: Signature, by: By) -> str:
        """Release an sCT in review by signature."""

    def reject(self, series_id: int, by: By, *, reason: str) -> str:
        """Refuse the sCT of a series in review; one that may have left is withdrawn."""

    def hold(self, series_id: int, by: By, *, reason: str = "") -> str:
        """Keep an sCT from leaving."""

    def resume(self, series_id: int, by: By) -> str:
        """Take back a hold before there is an sCT to review."""

    def resend(self, series_id: int, *, who: str, destination: str | None = None) -> str:
        """Send a released sCT again."""

    def send_to(self, series_id: int, destination: str, by: By) -> str:
        """Send a released sCT to a further peer."""

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
    try:
        by = prove_again(request, body.password.get_secret_value())
        sentence = flow(request).sign(series_id, signature, by)
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


@router.post("/reject")
def reject(request: Request, series_id: SeriesId, body: Reason) -> Said:
    """Refuse the sCT of a series in review: it never leaves."""
    by = By(**actor(request))
    return _done(
        request,
        "reject",
        series_id,
        lambda: flow(request).reject(series_id, by, reason=body.reason),
        reason=body.reason,
    )


@router.post("/hold")
def hold(request: Request, series_id: SeriesId, body: Reason) -> Said:
    """Keep an sCT from leaving by itself, or stop one that is on its way."""
    try:
        sentence = flow(request).hold(series_id, By(**actor(request)), reason=body.reason)
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


@router.post("/resume")
def resume(request: Request, series_id: SeriesId) -> Said:
    """Take back a hold before there is an sCT to review; one in review is signed or rejected."""
    try:
        sentence = flow(request).resume(series_id, By(**actor(request)))
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


@router.post("/retry")
def retry(request: Request, series_id: SeriesId, body: Again) -> Said:
    """Begin a new attempt; what was made before stays as it is."""
    if body.model is not None and body.model not in {m["name"] for m in desk(request).models()}:
        raise HTTPException(422, f"There is no model {body.model!r}.")
    who = actor(request)["who"]
    return _done(
        request,
        "run again",
        series_id,
        lambda: flow(request).retry(series_id, who=who, model=body.model),
        model=body.model,
    )


@router.post("/resend")
def resend(request: Request, series_id: SeriesId, body: Resend) -> Said:
    """Send a released sCT again, whole."""
    who = actor(request)["who"]
    return _done(
        request,
        "send again",
        series_id,
        lambda: flow(request).resend(series_id, who=who, destination=body.destination),
        destination=body.destination,
    )


@router.post("/send")
def send(request: Request, series_id: SeriesId, body: Send) -> Said:
    """Send a released sCT to a peer its route does not name."""
    if desk(request).book.current().peer(body.destination) is None:
        raise HTTPException(422, f"There is no peer {body.destination!r}.")
    try:
        sentence = flow(request).send_to(series_id, body.destination, By(**actor(request)))
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


@router.post("/withdraw")
def withdraw(request: Request, series_id: SeriesId, body: Withdraw) -> Said:
    """Send a Key Object wherever a delivered sCT went: it must not be used any more."""
    try:
        by = prove_again(request, body.password.get_secret_value())
        sentence = flow(request).withdraw(
            series_id,
            by,
            reason=body.reason,
            concept=body.concept,
            attempt=body.attempt,
            revision=body.revision,
        )
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


@router.post("/adopt")
def adopt(request: Request, series_id: SeriesId, body: Correct) -> Said:
    """Make the images that came again the images of the series; withdraw what had left."""
    return _corrected(request, series_id, body, flow(request).adopt)


@router.post("/dismiss")
def dismiss(request: Request, series_id: SeriesId, body: Correct) -> Said:
    """Leave the images as they are; those that came again stay aside."""
    return _corrected(request, series_id, body, flow(request).dismiss)


def _corrected(request: Request, series_id: int, body: Correct, decide: Callable[..., str]) -> Said:
    try:
        by = prove_again(request, body.password.get_secret_value())
        sentence = decide(series_id, by, reason=body.reason, correction=body.correction)
    except NodeError as error:
        raise as_http(error) from None
    noted(request)
    return Said(sentence=sentence)


def _done(request: Request, action: str, series_id: int, act: Any, **details: Any) -> Said:
    try:
        sentence = act()
    except NodeError as error:
        raise as_http(error) from None
    note(request, action, f"series {series_id}", **details)
    return Said(sentence=sentence)
