"""The guard before every page: who asks, from where, over what, and whether he may.

`Guard` wraps the application. It settles address and scheme, refuses foreign names, plain HTTP from
other hosts, foreign origins and bodies that are too large, finds out who asks, and writes the audit
trail before an answer leaves. What a route asks for it declares itself, as a dependency:

    @router.get("/network", dependencies=[VIEWER])

`check_roles` refuses to build an application in which a route declares nothing.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from anyio import to_thread
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Act, Audit
from node.archive.people.credentials import Credentials
from node.domain.access import Identity, Role
from node.domain.errors import Defect
from node.log import get_logger
from node.web.auth.oidc import Provider
from node.web.auth.origin import Origin, OriginRules
from node.web.headers import for_answer

log = get_logger(__name__)
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SET_UP = "set up"
"""Kind of the ticket that makes the first administrator."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEALTH = frozenset({"/healthz", "/readyz"})
_OPEN_MOUNTS = frozenset({"/static"})
# Largest body by path; the first prefix that fits counts.
_BODY_LIMITS = (
    ("/dicom-web/", 4 * 2**30),
    ("/network/try", 600 * 2**20),
    ("/api/routes/try", 600 * 2**20),
    ("/", 2**20),
)
# What a person looked at, by path: reading patient data leaves a trace as well.
_SEEN = (
    ("see series", re.compile(r"/(?:api/)?series/(\d+)(?:/.*)?")),
    ("see study", re.compile(r"/dicom-web/studies/([0-9.]+)(?:/.*)?")),
    ("search archive", re.compile(r"/dicom-web/(studies|series|instances)")),
    ("see queue", re.compile(r"/()|/api/(series)|/(queue).*")),
    ("see log", re.compile(r"/api/system/(log)")),
    ("see audit trail", re.compile(r"/(?:api/)?(audit)")),
)
_SEEN_AGAIN_S = 600.0
_SEEN_MOST = 20_000
_DEFECT = "A defect of the node stopped this request; the log has the details."


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How people come in; made by `node.run.app`."""

    auth: str = "none"
    """local, oidc or none."""
    origin: OriginRules = field(default_factory=OriginRules)
    session_hours: float = 12.0
    accounts: Accounts | None = None
    """None where nobody is asked who he is, as in a test of one page."""
    credentials: Credentials | None = None
    audit: Audit | None = None
    provider: Provider | None = None
    """The identity provider; None where people log in with a password kept here."""


class Needs:
    """A dependency that lets a role and those above it through."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    def __call__(self, request: Request) -> None:
        """Raise 401 where nobody is logged in and 403 where he may not."""
        if self.role is None:
            return
        user = identity(request)
        if user is None:
            raise HTTPException(401, "Log in first.", {"WWW-Authenticate": "Bearer"})
        if not user.role.covers(self.role):
            raise HTTPException(
                403, f"{user.name} is {user.role}; this needs the role {self.role}."
            )


OPEN = Depends(Needs(None))
"""For everybody: health, log-in, set-up."""
VIEWER = Depends(Needs(Role.VIEWER))
PHYSICIST = Depends(Needs(Role.PHYSICIST))
ADMIN = Depends(Needs(Role.ADMIN))


def identity(request: Request) -> Identity | None:
    """Who asks; None where nobody is logged in."""
    user: Identity | None = getattr(request.state, "user", None)
    return user


def me(request: Request) -> Identity:
    """Who asks, on a route that declares a role."""
    user = identity(request)
    if user is None:
        raise Defect("This route declares no role.")
    return user


def address_of(request: Request) -> str:
    """Where the request came from, behind declared proxies."""
    return request.client.host if request.client else ""


def note(request: Request, action: str, target: str = "", **details: Any) -> None:
    """Write what was done in its own words; the guard's general line for it is then left out."""
    access: Access = request.app.state.access
    if access.audit is not None:
        access.audit.add(_act(request.scope, action, target, details))
    request.state.noted = True


def noted(request: Request) -> None:
    """Say that what was asked for stands in the audit trail already."""
    request.state.noted = True


def actor(request: Request) -> Mapping[str, str]:
    """``who``, ``role`` and ``address`` of a request, for `node.archive.people.audit.Act`."""
    user = identity(request)
    return {
        "who": user.name if user else "nobody",
        "role": user.role.value if user else "",
        "address": address_of(request),
    }


def routes_without_role(app: FastAPI) -> Iterator[str]:
    """Every route that declares neither a role nor that it is open."""
    for route in iter_route_contexts(app.routes):
        inner = route.original_route
        if isinstance(inner, Mount) and inner.path in _OPEN_MOUNTS:
            continue
        if not isinstance(inner, APIRoute) or not _declares(route.dependant):
            methods = "/".join(sorted(getattr(route, "methods", None) or ()))
            yield f"{methods} {getattr(route, 'path', inner)}".strip()


def check_roles(app: FastAPI) -> None:
    """Raise `Defect` when a route declares no role: it would be open to everybody."""
    missing = sorted(routes_without_role(app))
    if missing:
        raise Defect(
            f"No role is declared by: {', '.join(missing)}.",
            remedy="Add dependencies=[VIEWER], [PHYSICIST], [ADMIN] or [OPEN].",
        )


def _declares(dependant: Dependant) -> bool:
    return any(isinstance(d.call, Needs) or _declares(d) for d in dependant.dependencies)


def secure(app: FastAPI, access: Access) -> None:
    """Put the guard before ``app`` and have it send people without a session to the log-in."""
    app.state.access = access
    check_roles(app)
    app.add_middleware(Guard, access=access)

    @app.exception_handler(401)
    async def log_in_first(request: Request, error: HTTPException) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "")
        if wants_page and request.method == "GET":
            where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/log-in?next={quote(where)}", 303)
        headers = {"WWW-Authenticate": "Bearer"}
        if request.headers.get("hx-request"):  # a page whose session has ended is loaded anew
            headers["HX-Redirect"] = "/log-in"
        return JSONResponse({"detail": error.detail}, 401, headers)


class Guard:
    """The outermost middleware (ASGI)."""

    def __init__(self, app: Any, *, access: Access) -> None:
        self._app = app
        self._access = access
        self._seen: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        origin = self._access.origin.of(scope)
        answer = _Answer(send, scope, origin)
        refusal = self._refusal(scope, origin)
        try:
            await (refusal or self._asked)(scope, receive, answer)
        except Exception:  # the edge of HTTP: a defect is logged here, told without its details
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if not answer.begun:
                await JSONResponse({"detail": _DEFECT}, 500)(scope, receive, answer)

    async def _asked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks and hand the request on."""
        origin: Origin = self._access.origin.of(scope)
        scope["scheme"], scope["client"] = origin.scheme, (origin.address, 0)
        state = scope.setdefault("state", {})
        state["user"] = await to_thread.run_sync(self._identity, scope, origin)
        limit = _limit(scope["path"])
        await self._app(scope, _limited(receive, limit), self._audited(scope, send))

    def _refusal(self, scope: Scope, origin: Origin) -> Response | None:
        """Why the request goes no further, if it does not."""
        rules = self._access.origin
        if not rules.names_us(origin):
            return PlainTextResponse("This node does not answer to that name.", 400)
        if scope["path"] in _HEALTH:
            return None
        if self._access.auth == "none" and not rules.is_here(origin):
            return PlainTextResponse("This node answers its own machine only (auth is none).", 403)
        if not rules.is_private(origin):
            return PlainTextResponse(
                "This node speaks to other machines over HTTPS only: passwords and patient data "
                "would cross the network in the clear. Use https:// in the address.",
                403,
            )
        if scope["method"] not in _SAFE and not rules.same_origin(origin):
            return JSONResponse({"detail": "The request comes from a page of another site."}, 403)
        length = origin.headers.get("content-length", "0")
        limit = _limit(scope["path"])
        if not length.isdecimal() or int(length) > limit:
            return JSONResponse({"detail": f"More than {limit} bytes are not taken here."}, 413)
        return None

    def _identity(self, scope: Scope, origin: Origin) -> Identity | None:
        if self._access.auth == "none":
            return NOBODY
        credentials = self._access.credentials
        if credentials is None:
            return None
        scheme, _, secret = origin.headers.get("authorization", "").partition(" ")
        if scheme:
            return credentials.token(secret.strip()) if scheme.lower() == "bearer" else None
        secret = Request(scope).cookies.get(cookie_name(origin.scheme), "")
        return credentials.session(secret) if secret else None

    def _audited(self, scope: Scope, send: Send) -> Send:
        """Write the audit trail before the answer begins: no deed and no look without its line."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and self._access.audit is not None:
                await to_thread.run_sync(self._write, scope, message["status"])
            await send(message)

        return sending

    def _write(self, scope: Scope, status: int) -> None:
        user: Identity | None = scope["state"]["user"]
        audit = self._access.audit
        if audit is None or user is None or scope["state"].get("noted"):
            return
        if scope["method"] not in _SAFE:
            route = getattr(scope.get("route"), "path", scope["path"])
            action = f"{scope['method']} {route}"[:64]
            audit.add(_act(scope, action, scope["path"][:200], {"status": status}))
            return
        what = _seen(scope["path"]) if status < 400 else None
        if what is not None and self._is_news((user.name, *what)):
            audit.add(_act(scope, what[0], what[1], {}))

    def _is_news(self, key: tuple[str, str, str]) -> bool:
        now = time.monotonic()
        last = self._seen.pop(key, None)
        self._seen[key] = last if last is not None and now - last < _SEEN_AGAIN_S else now
        if len(self._seen) > _SEEN_MOST:
            self._seen.popitem(last=False)
        return self._seen[key] == now


class _Answer:
    """Sends an answer on with the headers every answer carries."""

    def __init__(self, send: Send, scope: Scope, origin: Origin) -> None:
        self._send, self._scope, self._origin = send, scope, origin
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            ours = for_answer(
                path=self._scope["path"],
                query=self._scope["query_string"].decode("latin-1"),
                status=message["status"],
                scheme=self._origin.scheme,
            )
            named = {name.lower().encode(): value.encode() for name, value in ours.items()}
            theirs = [(n, v) for n, v in message["headers"] if n.lower() not in named]
            message["headers"] = [*theirs, *named.items()]
        await self._send(message)


NOBODY = Identity(
    account_id=None, name="local", display_name="This machine", role=Role.ADMIN, how="open"
)
"""Who asks where nobody is asked who he is."""


def cookie_name(scheme: str) -> str:
    """Name of the session's cookie; over HTTPS one that no other host or path can set."""
    return "__Host-pctnode_session" if scheme == "https" else "pctnode_session"


def set_session(response: Response, request: Request, secret: str, hours: float) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(request.url.scheme),
        secret,
        max_age=int(hours * 3600),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_session(response: Response, request: Request) -> None:
    """Take the session away from the browser."""
    name = cookie_name(request.url.scheme)
    response.delete_cookie(
        name, path="/", secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )


def session_secret(request: Request) -> str:
    """The secret of the session the request came with; empty when there is none."""
    return request.cookies.get(cookie_name(request.url.scheme), "")


def local_path(text: str) -> str:
    """``text`` where it is a path of this node, else the queue: no redirect leads elsewhere."""
    parts = urlsplit(text)
    plain = text.startswith("/") and not text.startswith("//") and text.isprintable()
    return text if plain and "\\" not in text and not parts.netloc and not parts.scheme else "/"


def _seen(path: str) -> tuple[str, str] | None:
    for action, pattern in _SEEN:
        match = pattern.fullmatch(path)
        if match:
            return action, next((g for g in match.groups() if g), "")
    return None


def _act(scope: Scope, action: str, target: str, details: Mapping[str, Any]) -> Act:
    user: Identity | None = scope["state"].get("user")
    return Act(
        who=user.name if user else "nobody",
        role=user.role.value if user else "",
        address=scope["client"][0],
        action=action,
        target=target,
        details=details,
    )


def _limit(path: str) -> int:
    return next(most for prefix, most in _BODY_LIMITS if path.startswith(prefix))


def _limited(receive: Receive, limit: int) -> Receive:
    """Count the body as it comes: its declared length may be a lie, or be missing."""
    total = 0

    async def receiving() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise HTTPException(413, f"More than {limit} bytes are not taken here.")
        return message

    return receiving
