"""My account, all accounts, and the audit trail."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Audit
from node.archive.people.credentials import Credentials
from node.domain.access import Role
from node.domain.errors import NodeError
from node.web.auth.security import ADMIN, VIEWER, Access, address_of, me, noted
from node.web.layout import Place, layout

router = APIRouter(include_in_schema=False)
PLACES = (
    Place(name="audit", href="/audit", order=50, role=Role.ADMIN),
    Place(name="accounts", href="/accounts", order=60, role=Role.ADMIN),
)
Text = Annotated[str, Form(max_length=1024)]
Number = Annotated[int, Form(ge=0, le=3650)]


@router.get("/account", dependencies=[VIEWER])
def account(request: Request) -> HTMLResponse:
    """Show my account and its tokens."""
    return _account(request)


@router.post("/account/password", dependencies=[VIEWER])
def change_password(request: Request, old: Text, new: Text) -> Response:
    """Change my password; I have to know the present one."""
    user, accounts = me(request), _stores(request)[0]
    if user.account_id is None or user.how != "session":
        return _account(request, status=403)
    try:
        accounts.prove(user.account_id, old, address=address_of(request))
        accounts.set_password(user.name, new, who=user.name)
    except NodeError as error:
        return _account(request, status=400, trouble=error)
    noted(request)
    return RedirectResponse("/log-in", 303)


@router.post("/account/tokens", dependencies=[VIEWER])
def add_token(
    request: Request, label: Text, role: Annotated[Role, Form()], days: Number = 365
) -> Response:
    """Make a token and show it, once."""
    user, credentials = me(request), _stores(request)[1]
    if user.how != "session":  # a token makes no tokens: it would outlive its own end
        return _account(request, status=403)
    try:
        secret = credentials.add_token(user, label=label, role=role, days=days)
    except NodeError as error:
        return _account(request, status=400, trouble=error)
    noted(request)
    return _account(request, secret=secret)


@router.post("/account/tokens/{token_id}/remove", dependencies=[VIEWER])
def remove_token(request: Request, token_id: int) -> Response:
    """Make a token of mine void."""
    try:
        _stores(request)[1].remove_token(token_id, me(request))
    except NodeError as error:
        return _account(request, status=404, trouble=error)
    noted(request)
    return RedirectResponse("/account", 303)


@router.get("/accounts", dependencies=[ADMIN])
def accounts(request: Request) -> HTMLResponse:
    """Show every account."""
    return _accounts(request)


@router.post("/accounts", dependencies=[ADMIN])
def add(
    request: Request, name: Text, role: Annotated[Role, Form()], password: Text, display: Text = ""
) -> Response:
    """Add an account."""
    try:
        _stores(request)[0].add(name, role, password, who=me(request).name, display_name=display)
    except NodeError as error:
        return _accounts(request, status=400, trouble=error)
    noted(request)
    return RedirectResponse("/accounts", 303)


@router.post("/accounts/{name}", dependencies=[ADMIN])
def change(
    request: Request,
    name: str,
    role: Annotated[Role | None, Form()] = None,
    disabled: Annotated[bool | None, Form()] = None,
    password: Text = "",
) -> Response:
    """Change role, state or password of an account."""
    store, who = _stores(request)[0], me(request).name
    try:
        if password:
            store.set_password(name, password, who=who)
        if role is not None or disabled is not None:
            store.change(name, who=who, role=role, disabled=disabled)
    except NodeError as error:
        return _accounts(request, status=400, trouble=error)
    noted(request)
    return RedirectResponse("/accounts", 303)


@router.get("/audit", dependencies=[ADMIN])
def audit(
    request: Request,
    before: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    target: Annotated[str, Query(max_length=200)] = "",
    who: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:
    """Show who saw and did what, and whether the chain holds."""
    trail = _stores(request)[2]
    rows = trail.rows(limit=100, before=before, target=target, who=who)
    return layout(request).page("audit.html", place="audit", rows=rows, verdict=trail.verify())


def _stores(request: Request) -> tuple[Accounts, Credentials, Audit]:
    access: Access = request.app.state.access
    if access.accounts is None or access.credentials is None or access.audit is None:
        raise HTTPException(404, "This process keeps no accounts.")
    return access.accounts, access.credentials, access.audit


def _account(request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
    user = me(request)
    tokens = _stores(request)[1].tokens(user.account_id) if user.account_id is not None else []
    roles = [role for role in Role if user.role.covers(role)]
    return layout(request).page("account.html", status=status, tokens=tokens, roles=roles, **values)


def _accounts(request: Request, *, status: int = 200, **values: Any) -> HTMLResponse:
    access: Access = request.app.state.access
    return layout(request).page(
        "accounts.html",
        place="accounts",
        status=status,
        accounts=_stores(request)[0].all(),
        roles=list(Role),
        auth=access.auth,
        **values,
    )
