"""How people come in: what the settings allow, and what they do not."""

from pathlib import Path

import pytest

from node.config.settings import load
from node.domain.errors import Misconfigured


def _load(folder: Path, text: str) -> None:
    (folder / "cert.pem").write_text("")
    (folder / "node.toml").write_text(text)
    load(folder / "node.toml", {})


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[web]\nhost = "0.0.0.0"\nauth = "none"', 3, "everybody"),
        ('[web]\nhost = "10.0.0.7"', 2, "plain HTTP"),
        ('[web]\nhost = "10.0.0.7"\ncertificate = "cert.pem"', 1, "come together"),
        (
            '[web]\nhost = "10.0.0.7"\ncertificate = "no.pem"\nkey = "cert.pem"',
            3,
            "there is no file",
        ),
        ('[web]\nhost = "0.0.0.0"\ntrusted_proxies = ["10.0.0.2"]', 1, "what it is called"),
        ('[web]\ntrusted_proxies = ["proxy"]', 2, "no address"),
        ('[web]\nauth = "oidc"', 1, "issuer"),
        (
            '[web]\nauth = "oidc"\n[oidc]\nissuer = "http://idp.example"\nclient_id = "a"\n'
            'client_secret = "b"\nadmin = ["c"]',
            4,
            "not HTTPS",
        ),
        ('[notifications]\nurls = ["somebody@example.org"]', 2, "no address"),
        ('[notifications]\nevents = ["faild"]', 2, "failed"),
    ],
)
def test_what_would_open_the_node_is_refused(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    """File, line and remedy before anything listens."""
    with pytest.raises(Misconfigured) as caught:
        _load(tmp_path, text)

    assert words in str(caught.value)
    assert f"node.toml, line {line}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[web]\nauth = "none"',
        '[web]\nauth = "none"\nhost = "::1"',
        '[web]\nhost = "10.0.0.7"\ncertificate = "cert.pem"\nkey = "cert.pem"',
        '[web]\nhost = "0.0.0.0"\nnames = ["sct.example"]\ntrusted_proxies = ["10.0.0.0/24"]',
        '[web]\nauth = "oidc"\n[oidc]\nissuer = "https://idp.example"\nclient_id = "a"\n'
        'client_secret = "b"\nadmin = ["c"]',
    ],
)
def test_what_is_safe_is_taken(tmp_path: Path, text: str) -> None:
    """Loopback, a certificate, a declared proxy, a whole identity provider."""
    _load(tmp_path, text)
