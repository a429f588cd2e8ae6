"""Frozen settings, read once from node.toml and the environment.

Only the commands and `node.run.app` read this module; everything below receives plain values. A
fault names file, line and remedy before anything listens.
"""

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.audit.syslog import PROTOCOLS, Collector
from node.config.access_settings import (
    NotificationSettings,
    OidcSettings,
    WebSettings,
    read_notifications,
    read_oidc,
    read_web,
)
from node.config.settings_file import merged, place_name, read_environment, read_text
from node.domain.errors import Misconfigured, Rejected
from node.domain.names import AETitle, ae_title
from node.domain.reading import BadSetting, Reader
from node.domain.reading import Path as Place
from node.domain.site import Site, read_site
from node.net.tls import PROFILES, TlsFiles

PROVIDERS = ("cuda", "tensorrt", "cpu")
SECTIONS = (
    "node",
    "dicom",
    "web",
    "oidc",
    "notifications",
    "database",
    "intake",
    "inference",
    "output",
    "retention",
    "audit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """``[node]``."""

    ae_title: AETitle
    """Our own AE title: called by senders, calling when we send."""
    data_dir: Path
    """Archive, database and work files; absolute."""
    machine: str
    """This machine's name among those that share the work; the same after a restart."""
    takeover_s: float
    """Silence of a worker after which another one goes on with its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """``[dicom] tls``; port 0 means no TLS listener."""

    port: int
    files: TlsFiles | None
    """None where no certificate is set: no TLS, not even as a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """``[dicom]``."""

    host: str
    port: int
    unknown_peers: str
    """``refuse`` or ``accept``."""
    acceptors: int
    """Processes that share the port."""
    max_associations: int
    """At one time, in each acceptor."""
    receiver: str
    """``loop``: our own for C-STORE; ``stock``: pynetdicom for everything."""
    journal_mb: int
    """Length of each of an acceptor's two journal segments; 0: file and row before the answer."""
    network_timeout_s: float
    """Silence after which an association is aborted."""
    called_ae_titles: tuple[AETitle, ...]
    """AE titles the node answers to besides its own."""
    tls: TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """``[database]``."""

    url: str
    """SQLAlchemy URL; empty means SQLite in the data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeSettings:
    """``[intake]``."""

    quiet_s: float
    """Silence after the last instance before a series is looked at."""
    return_s: float
    """Wait for a sender whose association broke off, or whose instances were refused."""
    open_s: float
    """Wait for more of a series on an association that stays open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """``[inference]``."""

    models_dir: Path
    providers: tuple[str, ...]
    """In order of preference: cuda, tensorrt, cpu."""
    vram_budget_gb: float
    """Most memory one pass may take; 0 means 8, whatever is free."""
    trusted_keys: tuple[Path, ...]
    """Public keys (Ed25519, PEM) of whom a model must be signed by; empty: none is asked for."""
    flips: bool
    """Average with the answer to the mirrored MR: twice the time, a little less error."""

    @property
    def that_change_pixels(self) -> dict[str, str]:
        """What a plan records of these and the UIDs of its sCT depend on."""
        return {"flips": "lr"} if self.flips else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """``[output]``: what is written into every sCT."""

    label: str
    """Prefix of SeriesDescription where the model is signed off for scanner and protocol; may be
    empty. Everything else says RESEARCH."""
    mark_synthetic: bool
    """Write SyntheticData (0008,001C)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """``[retention]``."""

    days: int
    """After so many, what every destination has is removed here; 0: never."""
    min_free_gb: float
    """Below this C-STORE answers 0xA700."""
    max_gb: float
    """What the archive may hold before what was delivered longest ago goes; 0: no limit."""

    @property
    def min_free_bytes(self) -> int:
        """A gigabyte is 10^9 bytes everywhere."""
        return int(self.min_free_gb * 1e9)

    scrub_days: float
    """Each archived file is read and compared with its digest once in so many; 0: never."""
    scrub_mb_s: float
    """Never faster than this, in each worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """``[audit]``: where security events go as DICOM audit messages."""

    collector: Collector | None
    """None: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the site decides."""

    file: Path | None
    """Where they were read; None for the defaults."""
    node: NodeSettings
    dicom: DicomSettings
    web: WebSettings
    oidc: OidcSettings
    notifications: NotificationSettings
    database: DatabaseSettings
    intake: IntakeSettings
    inference: InferenceSettings
    output: OutputSettings
    retention: RetentionSettings
    audit: AuditSettings
    site: Site
    """Peers and routes of the file; those added at run time live in the database."""


def load(file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read ``file`` (None: the defaults, counted from the working folder) and the environment.

    Raises `Misconfigured` naming file, line, value and remedy.
    """
    text = read_text(file) if file else ""
    overrides = read_environment(os.environ if environment is None else environment, SECTIONS)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: {error}.", remedy="Correct the TOML there.") from None
    try:
        return _read(Reader(merged(raw, overrides)), file)
    except BadSetting as fault:
        raise Misconfigured(
            f"{place_name(fault.path, text, file, overrides)}: {fault}", remedy=""
        ) from None


def fault_at(settings: Settings, place: Place, message: str, *, remedy: str) -> Misconfigured:
    """The error for a setting that only a later check could find wrong, with file and line."""
    text = read_text(settings.file) if settings.file else ""
    fault = BadSetting(place, message, remedy=remedy)
    return Misconfigured(f"{place_name(place, text, settings.file, {})}: {fault}")


def _read(root: Reader, file: Path | None) -> Settings:
    folder = file.resolve().parent if file else Path.cwd()
    web = read_web(root.table("web"), folder)
    settings = Settings(
        file=file,
        node=_read_node(root.table("node"), folder),
        dicom=_read_dicom(root.table("dicom"), folder),
        web=web,
        oidc=read_oidc(root.table("oidc"), web.auth),
        notifications=read_notifications(root.table("notifications")),
        database=_read_database(root.table("database")),
        intake=_read_intake(root.table("intake")),
        inference=_read_inference(root.table("inference"), folder),
        output=_read_output(root.table("output")),
        retention=_read_retention(root.table("retention")),
        audit=_read_audit(root.table("audit")),
        site=read_site(root),
    )
    root.finish()
    collector = settings.audit.collector
    if collector and collector.protocol == "tls" and settings.dicom.tls.files is None:
        raise BadSetting(
            ("audit", "protocol"),
            "is tls, and the node has no certificate.",
            remedy="Set certificate, key and ca in [dicom] tls, or protocol to tcp or udp.",
        )
    for peer in settings.site.peers:
        if peer.tls and settings.dicom.tls.files is None:
            raise BadSetting(
                ("dicom", "tls"),
                f"peer {peer.name!r} uses TLS, and the node has no certificate.",
                remedy="Set certificate, key and ca.",
            )
    return settings


def _read_node(reader: Reader, folder: Path) -> NodeSettings:
    checked = _checked_title(reader, "ae_title", reader.text("ae_title", "PCTNODE"))
    data_dir = folder / Path(reader.text("data_dir", "var")).expanduser()
    machine = reader.text("machine", "") or socket.gethostname()
    takeover_s = reader.number("takeover_s", 60.0, low=2.0)
    reader.finish()
    return NodeSettings(ae_title=checked, data_dir=data_dir, machine=machine, takeover_s=takeover_s)


def _read_titles(reader: Reader, key: str) -> tuple[AETitle, ...]:
    return tuple(_checked_title(reader, key, title) for title in reader.texts(key, ()))


def _checked_title(reader: Reader, key: str, title: str) -> AETitle:
    try:
        return ae_title(title)
    except Rejected as error:
        raise reader.fault(key, error.message, error.remedy) from None


def _read_dicom(reader: Reader, folder: Path) -> DicomSettings:
    settings = DicomSettings(
        host=reader.text("host", "127.0.0.1"),
        port=reader.integer("port", 11112, high=65535),
        unknown_peers=reader.text("unknown_peers", "refuse", choices=("refuse", "accept")),
        acceptors=reader.integer("acceptors", 2, low=1, high=64),
        max_associations=reader.integer("max_associations", 50, low=1, high=1000),
        receiver=reader.text("receiver", "loop", choices=("loop", "stock")),
        journal_mb=reader.integer("journal_mb", 256, high=4096),
        network_timeout_s=reader.number("network_timeout_s", 60.0, low=1.0),
        called_ae_titles=_read_titles(reader, "called_ae_titles"),
        tls=_read_tls(reader.table("tls"), folder),
    )
    if settings.tls.port and settings.tls.port == settings.port:
        raise reader.fault("tls", f"both ports are {settings.port}.", "TLS has a port of its own.")
    reader.finish()
    return settings


def _read_tls(reader: Reader, folder: Path) -> TlsSettings:
    port = reader.integer("port", 0, high=65535)
    names = {key: reader.text(key, "") for key in ("certificate", "key", "ca")}
    profile = reader.text("profile", "bcp195", choices=tuple(PROFILES))
    crl = reader.text("crl", "")
    reader.finish()
    if port and not any(names.values()):
        raise reader.fault("port", "is set, and no certificate.", "Set certificate, key and ca.")
    missing = [key for key, value in names.items() if not value]
    if len(missing) == len(names):
        return TlsSettings(port=port, files=None)
    if missing:
        raise reader.fault(missing[0], "is missing.", "TLS needs certificate, key and ca.")
    paths = {key: folder / Path(value).expanduser() for key, value in names.items()}
    lists = folder / Path(crl).expanduser() if crl else None
    return TlsSettings(port=port, files=TlsFiles(**paths, profile=profile, crl=lists))


def _read_database(reader: Reader) -> DatabaseSettings:
    url = reader.text("url", "")
    # The driver we install, whatever SQLAlchemy's own choice is.
    url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
    reader.finish()
    return DatabaseSettings(url=url)


def _read_intake(reader: Reader) -> IntakeSettings:
    settings = IntakeSettings(
        quiet_s=reader.number("quiet_s", 20.0),
        return_s=reader.number("return_s", 300.0),
        open_s=reader.number("open_s", 900.0),
    )
    reader.finish()
    return settings


def _read_inference(reader: Reader, folder: Path) -> InferenceSettings:
    settings = InferenceSettings(
        models_dir=folder / Path(reader.text("models_dir", "onnx")).expanduser(),
        providers=reader.texts("providers", ("cuda", "cpu"), choices=PROVIDERS),
        vram_budget_gb=reader.number("vram_budget_gb", 0.0),
        trusted_keys=tuple(
            folder / Path(name).expanduser() for name in reader.texts("trusted_keys", ())
        ),
        flips=reader.flag("flips", False),
    )
    reader.finish()
    return settings


def _read_output(reader: Reader) -> OutputSettings:
    settings = OutputSettings(
        label=reader.text("label", ""),
        mark_synthetic=reader.flag("mark_synthetic", True),
    )
    if len(settings.label) > 16 or not settings.label.isascii():
        raise reader.fault("label", "is longer than 16 ASCII characters.", "Shorten it.")
    reader.finish()
    return settings


def _read_retention(reader: Reader) -> RetentionSettings:
    settings = RetentionSettings(
        days=reader.integer("days", 30),
        min_free_gb=reader.number("min_free_gb", 5.0),
        max_gb=reader.number("max_gb", 0.0),
        scrub_days=reader.number("scrub_days", 30.0),
        scrub_mb_s=reader.number("scrub_mb_s", 4.0, low=0.1),
    )
    reader.finish()
    return settings


def _read_audit(reader: Reader) -> AuditSettings:
    protocol = reader.text("protocol", "tls", choices=PROTOCOLS)
    host = reader.text("syslog", "")
    port = reader.integer("port", 514 if protocol == "udp" else 6514, low=1, high=65535)
    reader.finish()
    found = Collector(protocol=protocol, host=host, port=port) if host else None
    return AuditSettings(collector=found)
