"""A served node with accounts, and browsers that talk to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Audit
from node.archive.people.credentials import Credentials
from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from node.domain.access import Role
from node.web.app import create_app
from node.web.auth.security import Access, cookie_name
from tests.web.serving import listening

PASSWORD = "correct horse battery"  # noqa: S105 - of these tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A served node with accounts."""

    port: int
    engine: sa.Engine
    access: Access
    scheme: str = "http"
    clients: list[httpx.Client] = field(default_factory=list)
    """Closed with the node."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """A browser without a session; its own page is where it posts from."""
        client = httpx.Client(
            base_url=self.url,
            headers={"Origin": self.url, **headers},
            timeout=30,
            verify=False,  # noqa: S501 - a certificate of this test
        )
        self.clients.append(client)
        return client

    def logged_in(self, name: str) -> httpx.Client:
        """A browser with a session of ``name``."""
        client = self.client()
        answer = client.post("/log-in", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    def session(self, name: str) -> httpx.Client:
        """A browser with a session of ``name``, without the time a password takes."""
        with self.engine.connect() as connection:
            query = sa.select(t.accounts.c.id).where(t.accounts.c.name == name)
            account = connection.execute(query).scalar_one()
        secret = Credentials(self.engine).open_session(account, address="127.0.0.1", hours=1)
        client = self.client()
        client.cookies.set(cookie_name(self.scheme), secret, domain="127.0.0.1")
        return client

    def audit(self) -> list[dict[str, Any]]:
        """The audit trail, oldest first."""
        return list(reversed(Audit(self.engine).rows(limit=1000)))


def store(folder: Path) -> sa.Engine:
    """An empty database of a node."""
    engine = t.open_engine(t.sqlite_url(folder / "node.db"))
    t.metadata.create_all(engine)
    return engine


def access_of(engine: sa.Engine, **more: Any) -> Access:
    """Local accounts of that database."""
    return Access(
        accounts=Accounts(engine),
        credentials=Credentials(engine),
        audit=Audit(engine),
        **{"auth": "local", **more},
    )


def roles_into(folder: Path) -> Path:
    """A database file with one account of each role, named as the role; a hash takes its time."""
    engine = store(folder)
    accounts = Accounts(engine)
    for role in Role:
        accounts.add(role.value, role, PASSWORD, who="test")
    engine.dispose()
    return folder / "node.db"


@contextmanager
def node_with_accounts(folder: Path, **more: Any) -> Iterator[Node]:
    """Serve a node with one account of each role, named as the role."""
    engine = t.open_engine(t.sqlite_url(roles_into(folder)))
    access = access_of(engine)
    app = create_app(queries=Queries(engine), access=access, archive_root=folder, **more)
    with listening(app) as port:
        node = Node(port=port, engine=engine, access=access)
        yield node
        for client in node.clients:
            client.close()
    engine.dispose()
