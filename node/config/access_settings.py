"""``[web]``, ``[oidc]`` and ``[notifications]``: how people come in and how they are told."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from node.domain.reading import Reader

EVENTS = ("failed", "refused", "review", "certificate", "disk")
_LOOPBACK_NAMES = ("localhost",)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """``[web]``."""

    host: str
    port: int
    auth: str
    """local, oidc or none."""
    names: tuple[str, ...]
    """Names the page is called by, beside its address and this machine's own."""
    certificate: Path | None
    """PEM file; None where a proxy does HTTPS, or on loopback."""
    key: Path | None
    trusted_proxies: tuple[Network, ...]
    """Proxies whose forwarding headers are believed."""
    session_hours: float
    """How long a log-in lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """``[oidc]``: the hospital's identity provider."""

    issuer: str
    """Its address; empty where there is none."""
    client_id: str
    client_secret: str
    roles_claim: str
    """Claim of the ID token that holds groups."""
    viewer: tuple[str, ...]
    """Groups that are viewers; likewise the next two."""
    physicist: tuple[str, ...]
    admin: tuple[str, ...]
    token_days: float
    """Days without a log-in there after which somebody's API tokens stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettings:
    """``[notifications]``."""

    urls: tuple[str, ...]
    """Apprise addresses: mailto://, json://, slack://, ..."""
    events: tuple[str, ...]
    """What is told, of `EVENTS`."""
    page: str
    """Address of the page that messages link to; empty for none."""


def read_web(reader: Reader, folder: Path) -> WebSettings:
    """Read ``[web]``; passwords never cross the network in the clear."""
    certificate, key = reader.text("certificate", ""), reader.text("key", "")
    settings = WebSettings(
        host=reader.text("host", "127.0.0.1"),
        port=reader.integer("port", 8080, high=65535),
        auth=reader.text("auth", "local", choices=("local", "oidc", "none")),
        names=tuple(name.lower() for name in reader.texts("names", ())),
        certificate=folder / Path(certificate).expanduser() if certificate else None,
        key=folder / Path(key).expanduser() if key else None,
        trusted_proxies=_networks(reader),
        session_hours=reader.number("session_hours", 12.0, low=0.1),
    )
    reader.finish()
    _check_web(settings, reader)
    return settings


def read_oidc(reader: Reader, auth: str) -> OidcSettings:
    """Read ``[oidc]``; it must be whole where people log in by it."""
    settings = OidcSettings(
        issuer=reader.text("issuer", "").rstrip("/"),
        client_id=reader.text("client_id", ""),
        client_secret=reader.text("client_secret", ""),
        roles_claim=reader.text("roles_claim", "groups"),
        viewer=reader.texts("viewer", ()),
        physicist=reader.texts("physicist", ()),
        admin=reader.texts("admin", ()),
        token_days=reader.number("token_days", 30.0, low=1.0),
    )
    reader.finish()
    if auth != "oidc":
        return settings
    for key in ("issuer", "client_id", "client_secret"):
        if not getattr(settings, key):
            raise reader.fault(key, "is missing.", 'auth = "oidc" in [web] needs it.')
    parts = urlsplit(settings.issuer)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise reader.fault("issuer", f"{settings.issuer!r} is not HTTPS.", "Write https://...")
    if not settings.admin:
        raise reader.fault("admin", "names no group.", "Somebody must be administrator.")
    return settings


def read_notifications(reader: Reader) -> NotificationSettings:
    """Read ``[notifications]``."""
    settings = NotificationSettings(
        urls=reader.texts("urls", ()),
        events=reader.texts("events", EVENTS, choices=EVENTS),
        page=reader.text("page", "").rstrip("/"),
    )
    for url in settings.urls:
        if "://" not in url:
            raise reader.fault(
                "urls", f"{url!r} is no address.", "Write mailto://... or json://..."
            )
    reader.finish()
    return settings


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in _LOOPBACK_NAMES


def _check_web(settings: WebSettings, reader: Reader) -> None:
    loopback = is_loopback(settings.host)
    faults: tuple[tuple[bool, str, str, str], ...] = (
        (
            settings.auth == "none" and not loopback,
            "auth",
            f'"none" lets everybody in who reaches {settings.host}.',
            'Write auth = "local", or host = "127.0.0.1".',
        ),
        (
            bool(settings.certificate) != bool(settings.key),
            "certificate" if settings.key else "key",
            "is missing.",
            "A certificate and its key come together.",
        ),
        (
            not loopback and not settings.certificate and not settings.trusted_proxies,
            "host",
            f"{settings.host} would take passwords over plain HTTP.",
            "Set certificate and key, or trusted_proxies for the proxy that does HTTPS.",
        ),
        (
            settings.host in ("0.0.0.0", "::", "") and not settings.names,  # noqa: S104 - named, not bound
            "names",
            "is missing: the page listens everywhere and must know what it is called.",
            'Write names = ["sct.hospital.example"].',
        ),
    )
    for wrong, key, message, remedy in faults:
        if wrong:
            raise reader.fault(key, message, remedy)
    _check_files(settings, reader.fault)


def _check_files(settings: WebSettings, fault: Callable[[str, str, str], Exception]) -> None:
    for key in ("certificate", "key"):
        file: Path | None = getattr(settings, key)
        if file is not None and not file.is_file():
            raise fault(key, f"there is no file {file}.", "Write the path of a PEM file.")


def _networks(reader: Reader) -> tuple[Network, ...]:
    found = []
    for text in reader.texts("trusted_proxies", ()):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise reader.fault(
                "trusted_proxies", f"{text!r} is no address.", "Write 10.0.0.2 or 10.0.0.0/24."
            ) from None
    return tuple(found)
