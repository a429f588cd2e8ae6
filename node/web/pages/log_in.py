"""Log in, log out, and the set-up of a new node."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.archive.people.accounts import Accounts, TooMany
from node.domain.access import Role
from node.domain.errors import NodeError, Rejected, Retryable
from node.web.auth.oidc import Claims, Provider
from node.web.auth.security import (
    OPEN,
    SET_UP,
    VIEWER,
    Access,
    address_of,
    drop_session,
    identity,
    local_path,
    me,
    note,
    session_secret,
    set_session,
)
from node.web.layout import layout

router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form(max_length=1024)]
_OIDC = "oidc"
_OIDC_COOKIE = "pctnode_oidc"
_OIDC_HOURS = 0.25


@router.get("/log-in", dependencies=[OPEN])
def page(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:  # noqa: A002 - the word everybody uses
    """Ask who it is."""
    if identity(request) is not None:
        return RedirectResponse(local_path(next), 303)
    return _page(request, local_path(next))


@router.post("/log-in", dependencies=[OPEN])
def log_in(
    request: Request,
    name: Text,
    password: Text,
    next: Text = "/",  # noqa: A002
) -> Response:
    """Open a session for name and password; an old one never lives on (session fixation)."""
    access = _access(request)
    if access.accounts is None or access.auth != "local":
        return RedirectResponse("/log-in", 303)
    try:
        account = access.accounts.log_in(name, password, address=address_of(request))
    except TooMany as error:
        return _page(request, local_path(next), error, status=429, name=name)
    except Rejected as error:
        return _page(request, local_path(next), error, status=401, name=name)
    return _logged_in(request, account, local_path(next))


@router.post("/log-out", dependencies=[OPEN])
def log_out(request: Request) -> Response:
    """End the session."""
    access = _access(request)
    if identity(request) is not None:
        note(request, "log out")
    if access.credentials is not None and session_secret(request):
        access.credentials.close_session(session_secret(request))
    answer = RedirectResponse("/log-in", 303)
    drop_session(answer, request)
    return answer


@router.get("/set-up", dependencies=[OPEN])
def set_up_page(
    request: Request, ticket: Annotated[str, Query(max_length=100)] = ""
) -> HTMLResponse:
    """Offer to make the first administrator to whoever holds the link."""
    credentials = _access(request).credentials
    if credentials is None or credentials.look(SET_UP, ticket) is None:
        return layout(request).page("set_up.html", status=404, ticket="")
    return layout(request).page("set_up.html", ticket=ticket)


@router.post("/set-up", dependencies=[OPEN])
def set_up(request: Request, ticket: Text, name: Text, password: Text) -> Response:
    """Make the first administrator; the link works once."""
    access = _access(request)
    if access.credentials is None or access.accounts is None:
        return layout(request).page("set_up.html", status=404, ticket="")
    if access.credentials.look(SET_UP, ticket) is None:
        return layout(request).page("set_up.html", status=404, ticket="")
    try:
        account = access.accounts.add_first(name, password, address=address_of(request))
    except Rejected as error:
        return layout(request).page(
            "set_up.html", status=400, ticket=ticket, name=name, trouble=error
        )
    access.credentials.void(SET_UP)
    return _logged_in(request, account, "/")


@router.get("/log-in/oidc", dependencies=[OPEN])
async def oidc(
    request: Request,
    next: Annotated[str, Query(max_length=2000)] = "/",  # noqa: A002
    again: bool = False,
) -> Response:
    """Send the browser to the identity provider."""
    access = _access(request)
    if access.provider is None or access.credentials is None:
        return RedirectResponse("/log-in", 303)
    redirect_uri = str(request.url_for("oidc_callback"))
    try:
        kept = await access.provider.begin(redirect_uri, again=again)
    except NodeError as error:
        return _page(request, local_path(next), error, status=503)
    user = identity(request)
    content = kept | {"next": local_path(next), "again": user.name if again and user else ""}
    ticket = access.credentials.issue(_OIDC, content, hours=_OIDC_HOURS)
    answer = RedirectResponse(kept["url"], 303)
    answer.set_cookie(
        _OIDC_COOKIE,
        ticket,
        max_age=int(_OIDC_HOURS * 3600),
        path="/log-in",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


@router.get("/log-in/oidc/callback", dependencies=[OPEN])
async def oidc_callback(
    request: Request,
    code: Annotated[str, Query(max_length=4000)] = "",
    state: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Take the browser back from the identity provider."""
    access = _access(request)
    if access.provider is None or access.credentials is None or access.accounts is None:
        return RedirectResponse("/log-in", 303)
    ticket = request.cookies.get(_OIDC_COOKIE, "")
    age_s = access.credentials.age_s(ticket)
    kept = access.credentials.take(_OIDC, ticket)
    if kept is None or not secrets.compare_digest(kept["state"].encode(), state.encode()):
        return _page(request, "/", _stale(), status=400)
    try:
        claims = await access.provider.finish(code, kept)
        role = _role(access.provider, access.accounts, claims)
        account = access.accounts.by_subject(
            claims.subject,
            name=claims.name,
            display_name=claims.display_name,
            role=role,
            who=access.provider.issuer,
        )
    except Retryable as error:
        return _page(request, "/", error, status=503)
    except Rejected as error:
        return _page(request, "/", error, status=403)
    user = identity(request)
    if kept["again"] and user is not None and user.account_id == account:
        if not claims.is_proved_since(age_s):
            return _page(request, local_path(kept["next"]), _not_proved(), status=403)
        ago_s = max(claims.authenticated_ago_s or 0.0, 0.0)
        access.credentials.prove(session_secret(request), ago_s=ago_s)
        answer: Response = RedirectResponse(local_path(kept["next"]), 303)
    else:
        answer = _logged_in(request, account, local_path(kept["next"]))
    answer.delete_cookie(_OIDC_COOKIE, path="/log-in")
    return answer


@router.get("/who", dependencies=[VIEWER])
def who(request: Request) -> dict[str, str]:
    """Say who is logged in."""
    user = me(request)
    return {"name": user.name, "display_name": user.display_name, "role": user.role.value}


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


def _logged_in(request: Request, account: int, target: str) -> Response:
    access = _access(request)
    if access.credentials is None:
        raise Rejected("This node keeps no sessions.", code="LOG_IN")
    old = session_secret(request)
    if old:
        access.credentials.close_session(old)
    hours = access.session_hours
    secret = access.credentials.open_session(account, address=address_of(request), hours=hours)
    request.state.user = access.credentials.session(secret)
    note(request, "log in")
    answer = RedirectResponse(target, 303)
    set_session(answer, request, secret, hours)
    return answer


def _page(
    request: Request,
    target: str,
    trouble: NodeError | None = None,
    *,
    status: int = 200,
    name: str = "",
) -> HTMLResponse:
    by_provider = _access(request).provider is not None
    return layout(request).page(
        "log_in.html",
        status=status,
        next=target,
        trouble=trouble,
        by_provider=by_provider,
        name=name[:64],
    )


def _role(provider: Provider, accounts: Accounts, claims: Claims) -> Role:
    """The role of who logged in; who has none any more loses sessions and tokens at once."""
    try:
        return provider.role_of(claims)
    except Rejected:
        accounts.has_left(claims.subject, who=provider.issuer)
        raise


def _not_proved() -> Rejected:
    return Rejected(
        "The identity provider does not say that you have just proved who you are.",
        code="PROVE",
        remedy="Sign again and give your password there; if it lasts, have the provider send "
        "auth_time when max_age is asked for.",
    )


def _stale() -> Rejected:
    return Rejected(
        "This log-in was begun in another browser, or too long ago.",
        code="OIDC",
        remedy="Begin again.",
    )
