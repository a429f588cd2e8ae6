"""A signature under OpenID Connect: what proves, by the provider's own word, and what does not."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
import sqlalchemy as sa

from node.archive.people.credentials import Credentials
from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from node.domain.access import Role
from node.web.app import create_app
from node.web.auth.oidc import Claims, Provider
from node.web.auth.proof import FRESH_S
from tests.web.guarded import Node, access_of, store
from tests.web.serving import listening
from tests.web.test_oidc import GROUPS, come_back, go_there, idp, person

__all__ = ["idp"]


@pytest.fixture
def node(tmp_path: Path, idp: str) -> Iterator[Node]:
    """Serve a node whose people log in there."""
    engine = store(tmp_path)
    provider = Provider(
        issuer=idp, client_id="pctnode", client_secret="s" * 32, roles_claim="groups", groups=GROUPS
    )
    access = access_of(engine, auth="oidc", provider=provider)
    with listening(create_app(queries=Queries(engine), access=access)) as port:
        made = Node(port=port, engine=engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    engine.dispose()


def logged_in(node: Node, idp: str, **claims: Any) -> httpx.Client:
    """A browser of anna, who logged in at the provider."""
    person(idp, "anna@clinic", preferred_username="anna", groups=["physics"], **claims)
    client = node.client()
    assert client.get(come_back(go_there(client), "anna@clinic")).status_code == 303
    return client


def proved_ago_s(node: Node) -> float | None:
    """How long ago the only session's person proved himself, as a signature sees it."""
    with node.engine.connect() as connection:
        now = sa.select(t.sessions.c.proved_at, t.db_clock())
        proved, clock = connection.execute(now).one()
    return clock - proved if proved else None


def bare(there: str) -> str:
    """The provider's address without what has it ask for the password again."""
    parts = urlsplit(there)
    asked = [(k, v) for k, v in parse_qsl(parts.query) if k not in ("prompt", "max_age")]
    return urlunsplit(parts._replace(query=urlencode(asked)))


def test_a_log_in_alone_proves_nothing(node: Node, idp: str) -> None:
    """The provider may have let anybody in who sat before a browser of a person long gone."""
    logged_in(node, idp, auth_time=int(time.time()))

    assert proved_ago_s(node) is None


def test_a_fresh_proof_counts_from_when_it_was_given(node: Node, idp: str) -> None:
    """Asked again, and the provider says that the person has proved himself since."""
    client = logged_in(node, idp)
    there = go_there(client, "?again=1&next=/series/7")
    assert dict(parse_qsl(urlsplit(there).query))["prompt"] == "login"
    person(
        idp, "anna@clinic", preferred_username="anna", groups=["physics"],
        auth_time=int(time.time()),
    )  # fmt: skip
    back = client.get(come_back(there, "anna@clinic"))

    assert (back.status_code, back.headers.get("location")) == (303, "/series/7")
    ago_s = proved_ago_s(node)
    assert ago_s is not None
    assert ago_s < FRESH_S


@pytest.mark.parametrize("ago_s", [3600, 30, -3600], ids=["hour", "before", "ahead"])
def test_dropping_prompt_and_max_age_proves_nothing(node: Node, idp: str, ago_s: int) -> None:
    """The words in the address are the browser's to change; ``auth_time`` is not."""
    client = logged_in(node, idp)
    said = int(time.time()) - ago_s
    person(idp, "anna@clinic", preferred_username="anna", groups=["physics"], auth_time=said)
    back = client.get(come_back(bare(go_there(client, "?again=1")), "anna@clinic"))

    assert back.status_code == 403
    assert "does not say that you have just proved" in back.text
    assert proved_ago_s(node) is None


@pytest.mark.parametrize(
    ("ago_s", "age_s", "proved"),
    [(0, 10, True), (9, 10, True), (20, 10, False), (None, 10, False), (-60, 10, False)],
)
def test_what_counts_is_one_clock_on_each_side(
    ago_s: float | None, age_s: float, proved: bool
) -> None:
    """The provider's two moments are compared with each other, the node's with its own."""
    claims = Claims(
        subject="s", name="n", display_name="n", groups=frozenset(), authenticated_ago_s=ago_s
    )
    assert claims.is_proved_since(age_s) is proved


def test_tokens_end_with_the_account_at_the_provider(node: Node, idp: str) -> None:
    """A token of somebody who logs in there no more stops; a log-in revives it."""
    client = logged_in(node, idp)
    credentials = Credentials(node.engine)
    owner = credentials.session(next(iter(client.cookies.values())))
    assert owner is not None
    secret = credentials.add_token(owner, label="x", role=Role.VIEWER, days=0)
    assert credentials.token(secret) is not None
    with node.engine.begin() as connection:
        connection.execute(sa.update(t.accounts).values(seen_at=t.db_clock() - 31 * 86400))
    assert credentials.token(secret) is None
    logged_in(node, idp)
    assert credentials.token(secret) is not None


def test_who_is_in_no_group_any_more_loses_sessions_and_tokens(node: Node, idp: str) -> None:
    """The provider's word that somebody has no role ends what he was given here."""
    client = logged_in(node, idp)
    credentials = Credentials(node.engine)
    owner = credentials.session(next(iter(client.cookies.values())))
    assert owner is not None
    secret = credentials.add_token(owner, label="x", role=Role.VIEWER, days=0)
    person(idp, "anna@clinic", preferred_username="anna", groups=["cooks"])
    assert client.get(come_back(go_there(client), "anna@clinic")).status_code == 403

    assert credentials.token(secret) is None
    assert client.get("/who").status_code == 401
    assert node.audit()[-1]["action"] == "end access"


def test_a_secret_that_is_none_takes_no_lock(node: Node) -> None:
    """While another process writes, a made-up token is refused at once."""
    with node.engine.begin():  # SQLite's one write lock
        began = time.monotonic()
        answer = node.client(Authorization="Bearer pct_made_up").get("/who")
        took_s = time.monotonic() - began

    assert answer.status_code == 401
    assert took_s < 5  # the lock is waited for during 30 s
