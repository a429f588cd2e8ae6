"""The DICOM Conformance Statement of the running configuration, in the structure of PS3.2.

The prose is ``conformance.md``; the tables are made of those the code negotiates with, so that the
statement cannot say otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from pydicom.uid import UID

from node.archive.headers.indexed_attributes import ATTRIBUTES, COMPUTED, UNIQUE_KEY, Level
from node.dicom.ct_series import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from node.net.tls import PROFILES
from node.scp import query_status, status
from node.scp.contexts import SERVICES
from node.scp.server import MAX_PDU_BYTES
from node.scp.status import Status
from node.scu.services import USED_SERVICES


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What of the settings the statement tells."""

    version: str
    ae_titles: tuple[str, ...]
    """The first is the one the node calls with."""
    port: int
    tls_port: int
    """0 without a listener for TLS."""
    tls_profile: str
    unknown_peers: str
    """``refuse`` or ``accept``."""
    acceptors: int
    max_associations: int
    network_timeout_s: float
    quiet_s: float
    mark_synthetic: bool


_UNKNOWN = {
    "refuse": "Calling AE titles that are no peer of the node are rejected.",
    "accept": "Calling AE titles that are no peer of the node are accepted, and may store.",
}
_SYNTHETIC = {
    True: "SyntheticData (0008,001C) is written: of older editions a Standard Extended SOP Class.",
    False: "SyntheticData (0008,001C) is not written.",
}
_REJECTIONS = (
    ("Called AE title is not the node's", "1, 1, 7"),
    ("Calling AE title unknown, blank or not ASCII; address not the peer's", "1, 1, 3"),
    ("Peer came without TLS, or with another certificate than its own", "1, 1, 1"),
    ("Host name of the peer cannot be resolved now; fault of the node", "2, 1, 1"),
    ("Limit of associations of the node or of the peer", "2, 3, 2"),
)


def statement(configuration: Configuration) -> str:
    """The whole statement as Markdown."""
    prose = files("node").joinpath("conformance.md").read_text("utf-8")
    return prose.format(**_texts(configuration), **_tables(configuration))


def _texts(configuration: Configuration) -> dict[str, object]:
    port, profile = configuration.tls_port, configuration.tls_profile
    return {
        "version": configuration.version,
        "port": configuration.port,
        "tls_port": f", and {port} with TLS" if port else "",
        "tls": f"port {port}, profile `{profile}`" if port else "no port is configured for it",
        "suites": PROFILES[profile].replace(":", ", "),
        "unknown": _UNKNOWN[configuration.unknown_peers],
        "synthetic": _SYNTHETIC[configuration.mark_synthetic],
    }


def _tables(configuration: Configuration) -> dict[str, str]:
    given = ("Service", "SOP Class", "UID", "Transfer syntaxes", "Role", "Right")
    status_head = ("Status", "Meaning", "Defined in")
    return {
        "overview": _table(("SOP Class", "User (SCU)", "Provider (SCP)"), _overview_rows()),
        "policies": _table(("Policy", "Value"), _policy_rows(configuration)),
        "used": _table(("Activity", "SOP Class", "UID", "Transfer syntaxes", "Role"), _used_rows()),
        "rejections": _table(("Rejected because", "Result, source, reason"), _REJECTIONS),
        "given": _table(given, _given_rows()),
        "syntaxes": _table(("List", "Transfer syntax", "UID"), _syntax_rows()),
        "store_statuses": _table(status_head, _status_rows(status)),
        "query_statuses": _table(status_head, _status_rows(query_status)),
        "attributes": _table(("Level", "Unique key", "Further attributes"), _attribute_rows()),
        "parameters": _table(("Parameter", "Value"), _parameter_rows(configuration)),
    }


def _overview_rows() -> list[tuple[str, ...]]:
    used = [uid for s in USED_SERVICES for uid in s.sop_classes]
    given = [uid for s in SERVICES if not s.peer_is_scp for uid in s.sop_classes]
    everything = sorted({*used, *given}, key=lambda uid: uid.name)
    return [(u.name, _yes(u in used), _yes(u in given)) for u in everything]


def _policy_rows(configuration: Configuration) -> list[tuple[str, ...]]:
    at_once = f"{configuration.max_associations} in each of {configuration.acceptors} processes"
    return [
        ("Application context", "1.2.840.10008.3.1.1.1"),
        ("Longest PDU received", f"{MAX_PDU_BYTES} bytes"),
        ("Associations at one time, as SCP", f"{at_once}; a peer may have a lower limit"),
        ("Asynchronous operations", "not supported; one operation at a time"),
        ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
        ("Implementation Version Name", IMPLEMENTATION_VERSION),
        ("Silence after which the SCP aborts", f"{configuration.network_timeout_s:g} s"),
        ("User identity negotiation", "not supported; ignored when offered"),
        ("SOP class extended negotiation", "not supported; ignored when offered"),
    ]


def _parameter_rows(configuration: Configuration) -> list[tuple[str, ...]]:
    return [
        ("AE titles", ", ".join(configuration.ae_titles)),
        ("Unknown peers", configuration.unknown_peers),
        ("Silence before a series is looked at", f"{configuration.quiet_s:g} s"),
        ("Peers: AE title, host, port, rights, classes, limit, TLS, proof", "`[[peers]]`"),
        ("Routes: conditions, model, destinations, release", "`[[routes]]`"),
    ]


def _used_rows() -> list[tuple[str, ...]]:
    return [
        (s.activity, uid.name, f"`{uid}`", ", ".join(f"`{t}`" for t in s.syntaxes), "SCU")
        for s in USED_SERVICES
        for uid in s.sop_classes
    ]


def _given_rows() -> list[tuple[str, ...]]:
    return [
        (
            service.name,
            uid.name,
            f"`{uid}`",
            f"T{_lists().index(service.syntaxes) + 1}",
            "SCU" if service.peer_is_scp else "SCP",
            service.right or "-",
        )
        for service in SERVICES
        for uid in service.sop_classes
    ]


def _lists() -> list[tuple[UID, ...]]:
    """The different lists of transfer syntaxes, in the order of the services."""
    return list(dict.fromkeys(service.syntaxes for service in SERVICES))


def _syntax_rows() -> list[tuple[str, ...]]:
    return [
        (f"T{number}", syntax.name, f"`{syntax}`")
        for number, syntaxes in enumerate(_lists(), start=1)
        for syntax in syntaxes
    ]


def _status_rows(table: object) -> list[tuple[str, ...]]:
    found = [value for value in vars(table).values() if isinstance(value, Status)]
    return [(f"{s.code:04X}", s.meaning, s.section) for s in found]


def _attribute_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for level in Level:
        kept = [a.keyword for a in ATTRIBUTES if a.level is level]
        computed = [keyword for keyword, at in COMPUTED.items() if at is level]
        others = [k for k in (*kept, *computed) if k != UNIQUE_KEY[level]]
        rows.append((level.value, UNIQUE_KEY[level], ", ".join(others)))
    return rows


def _yes(value: bool) -> str:
    return "yes" if value else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
