"""Who may do what: every route declares a role, and keeps to it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute, iter_route_contexts

from node.archive.query.queries import Queries
from node.domain.access import Role
from node.domain.errors import Defect
from node.web.app import create_app
from node.web.auth.security import Access, Needs, check_roles, routes_without_role
from tests.web.guarded import Node, node_with_accounts, store
from tests.web.serving import listening

OPEN_PATHS = {
    "/healthz", "/readyz", "/log-in", "/log-in/oidc", "/log-in/oidc/callback", "/log-out",
    "/set-up", "/preferences",
}  # fmt: skip
"""What nobody needs to be logged in for. A new entry here is a decision."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node with an account of each role."""
    with node_with_accounts(tmp_path_factory.mktemp("roles")) as served:
        yield served


def _routes(folder: Path) -> list[tuple[str, str, Role | None]]:
    """Each method and path of the application with the role it declares."""
    app = create_app(queries=Queries(store(folder)), archive_root=folder)
    found = []
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            roles = [d.call.role for d in route.dependant.dependencies if isinstance(d.call, Needs)]
            found += [(m, str(route.path), roles[0]) for m in sorted(route.methods or ())]
    return found


def test_every_route_declares_a_role(tmp_path: Path) -> None:
    """The application is built, so every route has a role; those open to all are named here."""
    routes = _routes(tmp_path)

    assert len(routes) > 20
    assert {path for _, path, role in routes if role is None} == OPEN_PATHS


def test_a_route_without_a_role_stops_the_start(tmp_path: Path) -> None:
    """Forgetting the declaration is found when the application is built, not by a visitor."""
    app = create_app(queries=Queries(store(tmp_path)))
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: "all patients", methods=["GET"])
    app.include_router(router)

    assert list(routes_without_role(app)) == ["GET /forgotten"]
    with pytest.raises(Defect, match="/forgotten"):
        check_roles(app)


def test_a_mounted_application_needs_a_role_as_well(tmp_path: Path) -> None:
    """A sub-application would bring routes of its own past the check."""
    app = create_app(queries=Queries(store(tmp_path)))
    app.mount("/back-door", create_app(queries=Queries(store(tmp_path))))

    assert list(routes_without_role(app)) == ["/back-door"]


@pytest.mark.parametrize("who", [None, *Role])
def test_each_role_is_let_through_where_it_may_and_nowhere_else(
    node: Node, tmp_path: Path, who: Role | None
) -> None:
    """Every method of every route, asked by nobody and by each role.

    What a role may ask for never answers 401 or 403; what it may not always does.
    """
    client = node.client() if who is None else node.session(who.value)
    wrong = []
    for method, path, needed in _routes(tmp_path):
        if path in {"/events", "/log-out"}:
            continue  # the stream never ends, and a log-out ends the session: tested by themselves
        answer = client.request(method, _filled(path))
        refused = answer.status_code in (401, 403)
        may = needed is None or (who is not None and who.covers(needed))
        if refused == may:
            wrong.append((method, path, needed, answer.status_code))

    assert wrong == []


def _filled(path: str) -> str:
    for name in ("series_id", "token_id", "number"):
        path = path.replace(f"{{{name}}}", "7")
    while "{" in path:
        path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
    return path


def test_roles_cover_those_below() -> None:
    """An administrator may what a physicist may, and he what a viewer may; never the reverse."""
    order = list(Role)
    assert [[a.covers(b) for b in order] for a in order] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_a_token_comes_in_with_its_role(node: Node) -> None:
    """A program shows a token of its account and gets what the token's role may."""
    made = node.session("admin").post(
        "/account/tokens", data={"label": "probe", "role": "viewer", "days": 1}
    )
    secret = made.text.partition("<code>")[2].partition("</code>")[0]
    program = node.client(Authorization=f"Bearer {secret}")

    assert program.get("/api/series").status_code == 200
    assert program.get("/metrics").status_code == 200
    assert program.get("/audit").status_code == 403
    assert program.post("/account/tokens", data={"label": "x", "role": "viewer"}).status_code == 403


@pytest.mark.parametrize("secret", ["pct_", "pct_wrong", "x" * 5000])
def test_no_other_token_comes_in(node: Node, secret: str) -> None:
    """What is no token is nobody, even beside a session that would do."""
    client = node.session("admin")
    answer = client.get("/api/series", headers={"Authorization": f"Bearer {secret}"})

    assert answer.status_code == 401


def test_health_is_open_and_metrics_are_not(node: Node) -> None:
    """Whoever watches the node needs no account for its health; its counts need a token."""
    client = node.client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code in (200, 503)
    assert client.get("/metrics").status_code == 401
    assert client.get("/api/series").status_code == 401


def test_without_accounts_this_machine_may_everything(tmp_path: Path) -> None:
    """``auth = "none"`` asks nobody, and answers the loopback address alone."""
    app = create_app(queries=Queries(store(tmp_path)), access=Access())
    with listening(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/api/series").status_code == 200
        refused = client.get("/api/series", headers={"X-Forwarded-For": "10.0.0.9"})
        assert refused.status_code == 403
