"""HTTPS by the certificate of the settings, and by a declared proxy in front."""

import ipaddress
import os
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from node.archive.query.queries import Queries
from node.config.settings import load
from node.domain.access import Role
from node.run.app import accounts
from node.web.app import create_app
from node.web.auth.origin import LOOPBACK_NAMES, OriginRules
from tests.peers import processes
from tests.peers.pki import Authority
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.web.guarded import PASSWORD, access_of, roles_into, store
from tests.web.serving import listening

FORM = {"name": "physicist", "password": PASSWORD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A page served over TLS."""

    port: int
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """A browser that trusts the hospital's authority and nobody else."""
        return httpx.Client(
            base_url=self.url, verify=self.trust, headers={"Origin": self.url}, timeout=60
        )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run the web process with a certificate in its settings."""
    folder = tmp_path_factory.mktemp("https")
    authority = Authority(folder / "pki")
    ours, port = authority.issue("page"), free_port()
    environment = {
        "PCTNODE_NODE__DATA_DIR": str(folder / "var"),
        "PCTNODE_WEB__PORT": str(port),
        "PCTNODE_WEB__CERTIFICATE": str(ours.certificate),
        "PCTNODE_WEB__KEY": str(ours.key),
    }
    people = accounts(load(None, environment))
    people.add("physicist", Role.PHYSICIST, PASSWORD, who="test")
    people.engine.dispose()
    command = [sys.executable, "-m", "node", "serve", "--role", "web"]
    process = processes.start(command, folder / "web.log", env=dict(os.environ) | environment)
    wait_until(lambda: is_listening(port), "the page", timeout_s=120)
    yield Served(port=port, trust=ssl.create_default_context(cafile=authority.file))
    processes.stop(process)


def test_a_password_goes_over_tls_and_so_does_its_session(page: Served) -> None:
    """The certificate is the settings' own; the cookie is for this host, over TLS, alone."""
    with page.client() as client:
        answer = client.post("/log-in", data=FORM)
        cookie = answer.headers["set-cookie"]
        assert answer.status_code == 303
        assert cookie.startswith("__Host-pctnode_session=")
        assert "Secure" in cookie
        assert client.get("/who").json()["name"] == "physicist"
        assert "max-age" in answer.headers["strict-transport-security"]


def test_nobody_speaks_plainly_to_it(page: Served) -> None:
    """Plain HTTP on that port, and whoever does not trust the authority, get nothing."""
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://127.0.0.1:{page.port}/log-in", data=FORM, timeout=10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{page.url}/healthz", timeout=10)


@pytest.mark.parametrize(
    ("proto", "address", "status"),
    [("https", "10.1.1.1", 303), ("http", "10.1.1.1", 403), ("http", "127.0.0.1", 403)],
)
def test_a_declared_proxy_says_how_the_browser_came(
    tmp_path: Path, proto: str, address: str, status: int
) -> None:
    """Behind it a password comes in over HTTPS alone; the session is then one for HTTPS."""
    roles_into(tmp_path)
    engine = store(tmp_path)
    rules = OriginRules(
        names=frozenset({*LOOPBACK_NAMES, "sct.example"}),
        proxies=(ipaddress.ip_network("127.0.0.1/32"),),
    )
    app = create_app(queries=Queries(engine), access=access_of(engine, origin=rules))
    headers = {
        "Host": "sct.example",
        "Origin": f"{proto}://sct.example",
        "X-Forwarded-For": address,
        "X-Forwarded-Proto": proto,
    }
    with listening(app) as port:
        answer = httpx.post(
            f"http://127.0.0.1:{port}/log-in", data=FORM, headers=headers, timeout=60
        )
    engine.dispose()

    assert answer.status_code == status
    cookie = answer.headers.get("set-cookie", "")
    assert cookie.startswith("__Host-") == (status == 303)
