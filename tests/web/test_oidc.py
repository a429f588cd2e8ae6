"""Log-in through an identity provider that runs here: a server of its own, on its own port."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from node.archive.query.queries import Queries
from node.domain.access import Role
from node.web.app import create_app
from node.web.auth.oidc import Provider
from tests.peers import processes
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.web.guarded import PASSWORD, Node, access_of, store
from tests.web.serving import listening

GROUPS = {"viewer": ("radiotherapy",), "physicist": ("physics",), "admin": ("sct-admins",)}


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the identity provider, a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce"]
    log = tmp_path_factory.mktemp("idp") / "idp.log"
    process = processes.start(command, log)
    url = f"http://localhost:{port}"
    wait_until(lambda: is_listening(port), "the identity provider", timeout_s=60)
    yield url
    processes.stop(process)


@pytest.fixture
def node(tmp_path: Path, idp: str) -> Iterator[Node]:
    """Serve a node whose people log in there."""
    engine = store(tmp_path)
    provider = Provider(
        issuer=idp, client_id="pctnode", client_secret="s" * 32, roles_claim="groups", groups=GROUPS
    )
    access = access_of(engine, auth="oidc", provider=provider)
    assert access.accounts is not None
    access.accounts.add("local.admin", Role.ADMIN, PASSWORD, who="test")
    with listening(create_app(queries=Queries(engine), access=access)) as port:
        made = Node(port=port, engine=engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    engine.dispose()


def person(idp: str, sub: str, **claims: Any) -> None:
    """Have the provider know somebody."""
    answer = httpx.put(f"{idp}/users/{quote(sub)}", json=claims)
    assert answer.status_code == 204


def go_there(client: httpx.Client, query: str = "") -> str:
    """Begin at the node; gives where it sends the browser."""
    answer = client.get(f"/log-in/oidc{query}")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def come_back(there: str, sub: str) -> str:
    """Log in at the provider; gives where it sends the browser back to."""
    answer = httpx.post(there, data={"sub": sub})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def test_a_person_of_a_group_logs_in_with_its_role(node: Node, idp: str) -> None:
    """Code flow with PKCE, state and nonce; the account is made with name and role."""
    person(idp, "anna@clinic", preferred_username="anna", name="Anna Martin", groups=["physics"])
    client = node.client()
    there = go_there(client, "?next=/series/7")
    asked = parse_qs(urlsplit(there).query)
    back = client.get(come_back(there, "anna@clinic"))

    assert asked["code_challenge_method"] == ["S256"]
    assert asked["nonce"]
    assert asked["state"]
    assert asked["redirect_uri"] == [f"{node.url}/log-in/oidc/callback"]
    assert back.status_code == 303, back.text.partition('role="alert"')[2][:300]
    assert back.headers["location"] == "/series/7"
    assert client.get("/who").json() == {
        "name": "anna", "display_name": "Anna Martin", "role": "physicist",
    }  # fmt: skip
    assert [(r["who"], r["action"]) for r in node.audit()][-2:] == [
        (idp, "add account"),
        ("anna", "log in"),
    ]


def test_groups_are_asked_each_time(node: Node, idp: str) -> None:
    """Who leaves a group loses the role at the next log-in, and the account stays one."""
    for groups, role in ((["sct-admins", "radiotherapy"], "admin"), ("radiotherapy", "viewer")):
        person(idp, "bob@clinic", preferred_username="bob", groups=groups)
        client = node.client()
        client.get(come_back(go_there(client), "bob@clinic"))
        assert client.get("/who").json()["role"] == role

    assert node.access.accounts is not None
    assert [a["name"] for a in node.access.accounts.all()] == ["bob", "local.admin"]


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"preferred_username": "eve", "groups": ["cooks"]}, "is in no group"),
        ({"preferred_username": "eve"}, "is in no group"),
        ({"preferred_username": "local.admin", "groups": ["sct-admins"]}, "another account"),
        ({"preferred_username": "eve smith\r\n", "groups": ["physics"]}, "is not a log-in name"),
    ],
)
def test_who_is_not_let_in(node: Node, idp: str, claims: dict[str, Any], words: str) -> None:
    """No known group, a name of somebody else, no name: a sentence, and no session."""
    person(idp, "eve@clinic", **claims)
    client = node.client()
    back = client.get(come_back(go_there(client), "eve@clinic"))

    assert back.status_code == 403
    assert words in back.text
    assert client.get("/who").status_code == 401


def test_an_answer_for_another_browser_is_refused(node: Node, idp: str) -> None:
    """Log-in forgery: a code brought into a browser that did not ask logs nobody in."""
    person(idp, "anna@clinic", preferred_username="anna", groups=["physics"])
    attacker, victim = node.client(), node.client()
    answer = come_back(go_there(attacker), "anna@clinic")
    stolen = victim.get(answer)
    go_there(victim)
    other_state = victim.get(answer)

    for refused in (stolen, other_state):
        assert refused.status_code == 400
        assert "another browser" in refused.text
    assert victim.get("/who").status_code == 401


def test_a_code_works_once(node: Node, idp: str) -> None:
    """The same answer again, or a made-up code, is refused."""
    person(idp, "anna@clinic", preferred_username="anna", groups=["physics"])
    client = node.client()
    answer = come_back(go_there(client), "anna@clinic")
    assert client.get(answer).status_code == 303
    assert client.get(answer).status_code == 400
    other = node.client()
    state = parse_qs(urlsplit(go_there(other)).query)["state"][0]
    made_up = other.get(f"/log-in/oidc/callback?code=made-up&state={state}")

    assert made_up.status_code == 403
    assert "does not hold" in made_up.text


def test_a_provider_that_is_away_is_said(tmp_path: Path) -> None:
    """The page says who does not answer, and what to do."""
    engine = store(tmp_path)
    away = Provider(
        issuer="http://localhost:9", client_id="a", client_secret="s" * 32, roles_claim="groups",
        groups=GROUPS,
    )  # fmt: skip
    access = access_of(engine, auth="oidc", provider=away)
    with listening(create_app(queries=Queries(engine), access=access)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/log-in/oidc")
    engine.dispose()

    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_passwords_of_the_node_do_not_log_in_there(node: Node) -> None:
    """With an identity provider the node's own password form is closed."""
    client = node.client()
    client.post("/log-in", data={"name": "local.admin", "password": PASSWORD})

    assert client.get("/who").status_code == 401
