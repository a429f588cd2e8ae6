"""Log-in, log-out, set-up, accounts and the audit trail, as a browser does it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.people.accounts import PAIR_LIMIT
from node.archive.people.credentials import Credentials
from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from node.web.app import create_app
from node.web.auth.security import SET_UP
from tests.web.guarded import PASSWORD, Node, access_of, node_with_accounts, store
from tests.web.serving import listening


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node with an account of each role."""
    with node_with_accounts(tmp_path_factory.mktemp("log-in")) as made:
        yield made


@pytest.fixture(autouse=True)
def _forget_failures(node: Node) -> None:
    with node.engine.begin() as connection:
        connection.execute(sa.delete(t.log_in_failures))


def test_a_page_asks_first_and_comes_back(node: Node) -> None:
    """Whoever opens a page without a session logs in and is then where he wanted to be."""
    client = node.client(Accept="text/html")
    asked = client.get("/series/7?x=1")

    assert asked.status_code == 303
    assert asked.headers["location"] == "/log-in?next=/series/7%3Fx%3D1"
    form = client.get(asked.headers["location"])
    assert 'name="next" value="/series/7?x=1"' in form.text
    answer = client.post(
        "/log-in", data={"name": "viewer", "password": PASSWORD, "next": "/series/7?x=1"}
    )
    assert answer.headers["location"] == "/series/7?x=1"
    assert client.get("/").status_code == 200


def test_the_session_cookie_is_out_of_reach_of_scripts(node: Node) -> None:
    """HttpOnly, SameSite, no domain; the secret is long."""
    answer = node.client().post("/log-in", data={"name": "viewer", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Domain" not in cookie
    assert len(cookie.split("=")[1].split(";")[0]) >= 43


def test_the_session_dies_with_the_log_out(node: Node) -> None:
    """A cookie kept from before the log-out is worth nothing."""
    client = node.logged_in("viewer")
    kept = dict(client.cookies)
    assert client.post("/log-out").status_code == 303

    thief = node.client(Cookie="; ".join(f"{k}={v}" for k, v in kept.items()))
    assert thief.get("/api/series").status_code == 401


def test_session_fixation_fails(node: Node) -> None:
    """A session a stranger planted before the log-in is not the one that is logged in."""
    planted = node.logged_in("viewer")
    secret = planted.cookies["pctnode_session"]
    victim = node.client()
    victim.cookies.set("pctnode_session", secret, domain="127.0.0.1")
    answer = victim.post("/log-in", data={"name": "admin", "password": PASSWORD})

    assert f"pctnode_session={secret}" not in answer.headers["set-cookie"]
    assert planted.get("/who").status_code == 401  # the planted one ended
    made_up = node.client(Cookie="pctnode_session=chosen-by-a-stranger")
    answer = made_up.post("/log-in", data={"name": "admin", "password": PASSWORD})
    assert "chosen-by-a-stranger" not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)",
     "/\t/evil.example", "evil", "/x\r\nSet-Cookie: a=b"],
)  # fmt: skip
def test_no_log_in_leads_elsewhere(node: Node, target: str) -> None:
    """The page to come back to is a path of this node, or the queue."""
    answer = node.client().post(
        "/log-in", data={"name": "viewer", "password": PASSWORD, "next": target}
    )

    assert answer.headers["location"] == "/"
    assert "a=b" not in answer.headers.get("set-cookie", "")


def test_guessing_is_slowed_down(node: Node) -> None:
    """The sixth wrong password in a row is not looked at, nor is a right one then."""
    client = node.client()
    for _ in range(PAIR_LIMIT):
        wrong = client.post("/log-in", data={"name": "viewer", "password": "wrong"})
        assert wrong.status_code == 401
        assert "do not match" in wrong.text

    right = client.post("/log-in", data={"name": "viewer", "password": PASSWORD})
    assert right.status_code == 429
    assert "Wait 15 minutes" in right.text


def test_log_in_speaks_french(node: Node) -> None:
    """Form and fault in the reader's language."""
    client = node.client(**{"Accept-Language": "fr"})
    page = client.get("/log-in")
    wrong = client.post("/log-in", data={"name": "viewer", "password": "wrong"})

    assert '<html lang="fr"' in page.text
    assert "Mot de passe" in page.text
    assert "ne correspondent à aucun compte" in wrong.text


def test_a_password_change_needs_the_old_one_and_ends_sessions(node: Node) -> None:
    """Whoever finds an open browser cannot take the account over."""
    admin, client, other = (node.logged_in(n) for n in ("admin", "viewer", "viewer"))
    wrong = client.post("/account/password", data={"old": "wrong", "new": "a new long password"})
    assert wrong.status_code == 400
    right = client.post("/account/password", data={"old": PASSWORD, "new": "a new long password"})
    assert right.status_code == 303

    assert other.get("/who").status_code == 401
    back = admin.post("/accounts/viewer", data={"password": PASSWORD})
    assert back.status_code == 303


def test_an_administrator_adds_changes_and_disables(node: Node) -> None:
    """An account made on the page logs in, gets its role, and is locked out again."""
    admin = node.logged_in("admin")
    made = admin.post(
        "/accounts",
        data={"name": "Eva", "display": "E. Rossi", "role": "viewer", "password": PASSWORD},
    )
    assert made.status_code == 303
    eva = node.logged_in("eva")
    assert eva.get("/who").json() == {"name": "eva", "display_name": "E. Rossi", "role": "viewer"}
    admin.post("/accounts/eva", data={"role": "physicist"})
    assert eva.get("/who").status_code == 401
    assert node.logged_in("eva").get("/who").json()["role"] == "physicist"
    admin.post("/accounts/eva", data={"disabled": "true"})
    assert (
        node.client().post("/log-in", data={"name": "eva", "password": PASSWORD}).status_code == 401
    )
    assert "disabled" in admin.get("/accounts").text


def test_what_was_seen_and_done_is_written_down(node: Node) -> None:
    """Log-in, looking at a series, and each change, with who, role and address."""
    before = len(node.audit())
    client = node.logged_in("physicist")
    with node.engine.begin() as connection:
        connection.execute(
            sa.insert(t.series).values(
                id=41, series_instance_uid="1.2.41", study_instance_uid="1.2", state="kept",
                findings=[], created_at=1.0, last_received_at=1.0, state_at=1.0,
            )
        )  # fmt: skip
    for _ in range(3):
        client.get("/api/series/41")
    client.get("/series/999")
    client.post("/account/tokens", data={"label": "probe", "role": "viewer", "days": 1})
    client.post("/accounts", data={"name": "x"})

    acts = [(r["who"], r["role"], r["action"], r["target"]) for r in node.audit()[before:]]
    assert acts == [
        ("physicist", "physicist", "log in", ""),
        ("physicist", "physicist", "see series", "41"),
        ("physicist", "physicist", "add token", "account physicist"),
        ("physicist", "physicist", "POST /accounts", "/accounts"),
    ]
    assert {r["address"] for r in node.audit()[before:] if r["action"] == "log in"} == {"127.0.0.1"}


def test_the_audit_page_shows_a_broken_chain(node: Node) -> None:
    """Whoever changes the table is found out on the page."""
    admin = node.logged_in("admin")
    assert "chain unbroken" in admin.get("/audit").text
    with node.engine.begin() as connection:
        kept = connection.execute(sa.select(t.audit.c.who).where(t.audit.c.id == 2)).scalar_one()
        connection.execute(sa.update(t.audit).where(t.audit.c.id == 2).values(who="somebody"))
    broken = admin.get("/audit").text
    with node.engine.begin() as connection:
        connection.execute(sa.update(t.audit).where(t.audit.c.id == 2).values(who=kept))

    assert "broken at line 2" in broken


def test_the_set_up_link_works_once(tmp_path: Path) -> None:
    """A new node has no account and no default password; the link makes the first one, once."""
    engine = store(tmp_path)
    access = access_of(engine)
    ticket = Credentials(engine).issue(SET_UP, {}, hours=1)
    app = create_app(queries=Queries(engine), access=access)
    with listening(app) as port:
        node = Node(port=port, engine=engine, access=access)
        client = node.client()
        assert client.get("/set-up?ticket=guess").status_code == 404
        assert client.get(f"/set-up?ticket={ticket}").status_code == 200
        form = {"ticket": ticket, "name": "root", "password": "short"}
        assert client.post("/set-up", data=form).status_code == 400
        made = client.post("/set-up", data=form | {"password": PASSWORD})
        assert made.status_code == 303
        assert client.get("/who").json()["role"] == "admin"
        again = node.client().post("/set-up", data=form | {"name": "eve", "password": PASSWORD})
        assert again.status_code == 404
        client.close()
        for other in node.clients:
            other.close()
    assert access.accounts is not None
    assert [a["name"] for a in access.accounts.all()] == ["root"]
    engine.dispose()


def _pctnode(folder: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "node", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_accounts_from_a_shell(tmp_path: Path) -> None:
    """``pctnode users`` adds, lists and sets passwords; none stands on a command line."""
    made = _pctnode(
        tmp_path, "users", "add", "anna", "--role", "physicist", "--password-stdin",
        typed=f"{PASSWORD}\n",
    )  # fmt: skip
    listed = _pctnode(tmp_path, "users", "list", "--json")
    changed = _pctnode(tmp_path, "users", "password", "anna", "--password-stdin", typed="short\n")

    assert made.returncode == 0, made.stderr
    assert '"role": "physicist"' in listed.stdout
    assert "hash" not in listed.stdout
    assert changed.returncode == 3
    assert "5 characters" in changed.stderr
