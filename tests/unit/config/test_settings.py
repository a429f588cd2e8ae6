"""Settings: what is read, and how a fault is told."""

from pathlib import Path

import pytest

from node.config.settings import load
from node.domain.errors import Misconfigured
from node.domain.findings import Severity
from node.domain.site import route_mapping

GOOD = """
[node]
ae_title = "PCTNODE"
data_dir = "var"

[dicom]
port = 11112
tls = { port = 0, certificate = "" }

[[peers]]
name = "pacs"
ae_title = "PACS"
host = "10.0.0.5"
port = 104
may = ["send", "query"]

[[peers]]
name = "tps"
ae_title = "TPS"
host = "10.0.0.9"
port = 104
may = ["query"]

[[routes]]
name = "head"
when = { from = ["pacs"], body_part = ["HEAD", "BRAIN"], series_description = "*T1*" }
model = "head-t1"
deliver_to = ["tps"]
release = "checks-passed"
"""


def written(tmp_path: Path, text: str) -> Path:
    """Write a settings file."""
    file = tmp_path / "node.toml"
    file.write_text(text)
    return file


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    """Not from where the command was started."""
    settings = load(written(tmp_path, GOOD), {})

    assert settings.node.data_dir == tmp_path / "var"
    assert settings.inference.models_dir == tmp_path / "onnx"


def test_peers_and_routes_are_read(tmp_path: Path) -> None:
    """As the contract writes them."""
    site = load(written(tmp_path, GOOD), {}).site

    assert [p.ae_title for p in site.peers] == ["PACS", "TPS"]
    assert site.routes[0].when.patterns["series_description"] == ("*T1*",)


def test_environment_overrides_a_key(tmp_path: Path) -> None:
    """PCTNODE_<SECTION>__<KEY>, numbers and lists as TOML, anything else as text."""
    environment = {
        "PCTNODE_DICOM__PORT": "4242",
        "PCTNODE_INFERENCE__PROVIDERS": '["cpu"]',
        "PCTNODE_NODE__AE_TITLE": "OTHER",
    }

    settings = load(written(tmp_path, GOOD), environment)

    assert settings.dicom.port == 4242
    assert settings.inference.providers == ("cpu",)
    assert settings.node.ae_title == "OTHER"


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("port = 11112", "prot = 11112", 7, "Did you mean 'port'"),
        ('ae_title = "TPS"', 'ae_title = "PACS"', 19, "already"),
        ('deliver_to = ["tps"]', 'deliver_to = ["tsp"]', 28, "no peer 'tsp'"),
        ("certificate", "certifikate", 8, "Did you mean 'certificate'"),
        ("[dicom]", "[dicon]", 6, "Did you mean 'dicom'"),
        ('host = "10.0.0.9"', 'host = "10.0.0.9 x"', 20, "neither a host name nor an address"),
        ("body_part", "bodypart", 26, "Did you mean 'body_part'"),
        ('"checks-passed"', '"maybe"', 29, "auto, checks-passed, signature"),
        ('name = "tps"', 'name = "pacs"', 18, "used twice"),
    ],
)
def test_a_fault_names_file_line_and_remedy(
    tmp_path: Path, before: str, after: str, line: int, words: str
) -> None:
    """Before anything listens."""
    file = written(tmp_path, GOOD.replace(before, after, 1))

    with pytest.raises(Misconfigured) as fault:
        load(file, {})

    assert str(file) in str(fault.value)
    assert f"line {line}:" in str(fault.value)
    assert words in str(fault.value)


def test_a_fault_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    """The file is not to blame."""
    with pytest.raises(Misconfigured, match="PCTNODE_DICOM__PORT"):
        load(written(tmp_path, GOOD), {"PCTNODE_DICOM__PORT": "many"})


def test_an_unknown_section_in_the_environment_is_an_error(tmp_path: Path) -> None:
    """A misspelt variable is never silently ignored."""
    with pytest.raises(Misconfigured, match="no section"):
        load(written(tmp_path, GOOD), {"PCTNODE_DICON__PORT": "1"})


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ("{ port = 2762 }", "no certificate"),
        ('{ port = 2762, certificate = "a", ca = "b" }', "dicom.tls.key: is missing"),
        ('{ port = 11112, certificate = "a", key = "k", ca = "b" }', "both ports are 11112"),
        ('{ profile = "ssl" }', "bcp195, bcp195-modified"),
    ],
)
def test_half_a_tls_is_an_error(tmp_path: Path, tls: str, words: str) -> None:
    """A node that would fall back to plain connections does not start."""
    text = GOOD.replace('{ port = 0, certificate = "" }', tls)

    with pytest.raises(Misconfigured) as fault:
        load(written(tmp_path, text), {})

    assert words in str(fault.value)
    assert "node.toml, line" in str(fault.value)


def test_a_peer_of_tls_needs_a_certificate_of_ours(tmp_path: Path) -> None:
    """It would never be called, and never let in."""
    text = GOOD.replace('may = ["query"]', 'may = ["query"]\ntls = true')

    with pytest.raises(Misconfigured, match="peer 'tps' uses TLS"):
        load(written(tmp_path, text), {})


def test_tls_files_count_from_the_file(tmp_path: Path) -> None:
    """Like every other path."""
    tls = '{ port = 2762, certificate = "pki/node.pem", key = "/k.pem", ca = "ca.pem" }'
    text = GOOD.replace('{ port = 0, certificate = "" }', tls)

    files = load(written(tmp_path, text), {}).dicom.tls.files

    assert files is not None
    assert files.certificate == tmp_path / "pki/node.pem"
    assert files.key == Path("/k.pem")


def test_audit_messages_over_tls_need_a_certificate(tmp_path: Path) -> None:
    """They are not sent in the clear because something is missing."""
    with pytest.raises(Misconfigured, match=r"audit\.protocol: is tls"):
        load(written(tmp_path, GOOD + '[audit]\nsyslog = "10.0.0.2"\n'), {})


def test_where_audit_messages_go(tmp_path: Path) -> None:
    """Nowhere unless a collector is named; the usual port of each protocol."""
    plain = load(written(tmp_path, GOOD), {}).audit.collector
    text = GOOD + '[audit]\nsyslog = "10.0.0.2"\nprotocol = "udp"\n'
    udp = load(written(tmp_path, text), {}).audit.collector

    assert plain is None
    assert udp is not None
    assert (udp.protocol, udp.host, udp.port) == ("udp", "10.0.0.2", 514)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(Misconfigured, match="--config"):
        load(tmp_path / "nowhere.toml", {})


def test_a_route_says_what_to_do_about_a_finding(tmp_path: Path) -> None:
    """By its code."""
    text = GOOD + 'findings = { SLICES_THICK = "hold", PATIENT_MINOR = "warn" }\n'

    (route,) = load(written(tmp_path, text), {}).site.routes

    assert route.actions == {"SLICES_THICK": Severity.HOLD, "PATIENT_MINOR": Severity.WARNING}
    assert route_mapping(route)["findings"] == {"SLICES_THICK": "hold", "PATIENT_MINOR": "warn"}


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        ('{ SLICES_THIK = "hold" }', "Did you mean SLICES_THICK?"),
        ('{ SLICE_GAP = "warn" }', "the finding is always refused"),
        ('{ SLICES_THICK = "ignore" }', "is not one of refuse, hold, warn"),
    ],
)
def test_a_wrong_action_is_told_with_its_place(tmp_path: Path, findings: str, told: str) -> None:
    """Unknown codes, unknown actions, and refusals that must stay."""
    with pytest.raises(Misconfigured) as error:
        load(written(tmp_path, GOOD + f"findings = {findings}\n"), {})

    assert told in str(error.value)
    assert "routes[1].findings" in str(error.value)


def test_a_secret_is_read_from_the_file_the_environment_names(tmp_path: Path) -> None:
    """A password need not stand in a settings file nor in the environment."""
    secret = tmp_path / "url"
    secret.write_text("postgresql://node:pass=word@db/node\n")
    settings = load(None, {"PCTNODE_DATABASE__URL_FILE": str(secret)})
    assert settings.database.url == "postgresql+psycopg://node:pass=word@db/node"


def test_a_secret_that_cannot_be_read_names_variable_and_file(tmp_path: Path) -> None:
    """The error says which variable, never a value."""
    with pytest.raises(Misconfigured, match="PCTNODE_DATABASE__URL_FILE") as fault:
        load(None, {"PCTNODE_DATABASE__URL_FILE": str(tmp_path / "gone")})
    assert "gone" in str(fault.value)
