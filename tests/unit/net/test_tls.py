"""The node's identity: what is refused at once, what is reloaded, what is warned of."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.domain.errors import Misconfigured
from node.net.tls import PROFILES, Tls, TlsFiles
from tests.peers.pki import Authority, Identity


def files_of(identity: Identity, profile: str = "bcp195") -> TlsFiles:
    """As the settings give them."""
    return TlsFiles(
        certificate=identity.certificate, key=identity.key, ca=identity.ca, profile=profile
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A certification authority."""
    return Authority(tmp_path / "pki")


@pytest.mark.parametrize("profile", PROFILES)
def test_both_profiles_ask_for_tls_1_2_and_forward_secrecy(
    authority: Authority, profile: str
) -> None:
    """PS3.15 B.12 and B.13: no older version, no static key exchange, both ends authenticated."""
    tls = Tls(files_of(authority.issue("node"), profile))

    for context in (tls.server(), tls.client()):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        suites = [c["name"] for c in context.get_ciphers() if c["protocol"] == "TLSv1.2"]
        assert suites
        assert all(name.startswith("ECDHE-") for name in suites)
    assert tls.client().check_hostname


def test_what_cannot_be_used_is_said_before_anything_listens(
    authority: Authority, tmp_path: Path
) -> None:
    """A missing file, a key that belongs to another certificate, and what is no PEM at all."""
    good, other = authority.issue("node"), authority.issue("other")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")

    for certificate, key, ca in [
        (tmp_path / "nowhere.pem", good.key, good.ca),
        (good.certificate, other.key, good.ca),
        (good.certificate, good.key, nonsense),
    ]:
        with pytest.raises(Misconfigured, match="cannot be used") as fault:
            Tls(TlsFiles(certificate=certificate, key=key, ca=ca))
        assert "PEM" in fault.value.remedy


def test_a_renewed_certificate_is_used_without_a_restart(authority: Authority) -> None:
    """While only one of the two files is there, the old pair stays in use."""
    identity = authority.issue("node")
    tls = Tls(files_of(identity))
    first = tls.server()
    key = identity.key.read_bytes()

    authority.issue("node")
    new_key = identity.key.read_bytes()
    identity.key.write_bytes(key)  # the certificate was replaced, its key not yet
    half_way = tls.server()
    identity.key.write_bytes(new_key)

    assert half_way is first
    assert tls.server() is not first


def test_the_end_of_a_certificate_is_told(authority: Authority) -> None:
    """With its date, and with what to do when it is near or over."""
    tls = Tls(files_of(authority.issue("node", days=10)))
    ours, ca = tls.validity()
    now = datetime.now(UTC)

    assert "in 10 days: renew it" in ours.sentence(now)
    assert "ended on" in ours.sentence(now + timedelta(days=11))
    assert "renew" not in ca.sentence(now)
