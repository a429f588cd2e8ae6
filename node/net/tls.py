"""The node's identity on TLS connections: certificate, key and the authorities it trusts.

PS3.15 B.12 and B.13 (BCP 195: RFC 8996 and RFC 9325): TLS 1.2 or newer, forward secrecy, both ends
show a certificate. The files are looked at before each connection, so that a renewed certificate
is used without a restart.
"""

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from node.domain.errors import Misconfigured
from node.log import get_logger

log = get_logger(__name__)

_GCM = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
)
# TLS 1.2 suites; those of TLS 1.3 are all admitted by both profiles.
PROFILES: Mapping[str, str] = {
    "bcp195": _GCM,
    "bcp195-modified": f"{_GCM}:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    ":ECDHE-ECDSA-AES256-CCM:ECDHE-ECDSA-AES128-CCM",
}
WARN_DAYS = 30
"""A certificate that ends sooner is warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the PEM files lie."""

    certificate: Path
    """Ours, with the intermediate ones after it."""
    key: Path
    """Without a pass phrase."""
    ca: Path
    """Authorities whose certificates a peer may show."""
    profile: str = "bcp195"
    """A key of `PROFILES`."""
    crl: Path | None = None
    """Revocation lists of the authorities that sign peers' certificates, PEM; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long a certificate is good for."""

    file: Path
    subject: str
    ends_at: datetime

    def days_left(self, now: datetime) -> float:
        """Negative once it has ended."""
        return (self.ends_at - now).total_seconds() / 86400

    def sentence(self, now: datetime) -> str:
        """State the date, and what to do where it is near."""
        days = self.days_left(now)
        when = f"{self.subject} ({self.file}) "
        if days < 0:
            return f"{when}ended on {self.ends_at:%Y-%m-%d}: put a new certificate there."
        renew = ": renew it" if days < WARN_DAYS else ""
        return f"{when}ends on {self.ends_at:%Y-%m-%d}, in {days:.0f} days{renew}."


class Tls:
    """Contexts for both roles, built anew when a file changes; safe to use from several threads."""

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._lock = threading.Lock()
        self._seen = self._signature()
        self._server, self._client = _build(files)

    def server(self) -> ssl.SSLContext:
        """For connections peers open: they must show a certificate we trust."""
        self._refresh()
        return self._server

    def client(self) -> ssl.SSLContext:
        """For connections we open: the peer's certificate must stand for its name."""
        self._refresh()
        return self._client

    def validity(self) -> tuple[Validity, ...]:
        """Of our certificate and of each authority."""
        return (*validity_of(self.files.certificate)[:1], *validity_of(self.files.ca))

    def warn_of_ends(self, now: datetime | None = None) -> None:
        """Log every certificate that ends soon or has ended."""
        moment = now or datetime.now(UTC)
        for one in self.validity():
            if one.days_left(moment) < WARN_DAYS:
                log.warning("certificate_ends", sentence=one.sentence(moment))

    def _refresh(self) -> None:
        with self._lock:
            signature = self._signature()
            if signature == self._seen:
                return
            self._seen = signature
            try:
                self._server, self._client = _build(self.files)
            except Misconfigured as error:
                # Key and certificate are seldom replaced in one instant: the old pair stays until
                # both are there.
                log.warning("certificate_not_reloaded", reason=error.message)
                return
            log.info("certificate_reloaded", file=str(self.files.certificate))

    def _signature(self) -> tuple[tuple[int, int, int], ...]:
        files = (self.files.certificate, self.files.key, self.files.ca, self.files.crl)
        return tuple(_stamp(file) for file in files if file is not None)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _build(files: TlsFiles) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = _context(files, ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    return server, _context(files, ssl.PROTOCOL_TLS_CLIENT)


def _context(files: TlsFiles, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(PROFILES[files.profile])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable(f"certificate {files.certificate} with key {files.key}", error) from None
    try:
        context.load_verify_locations(files.ca)
    except (OSError, ValueError) as error:
        raise _unusable(f"authorities {files.ca}", error) from None
    if files.crl is not None:
        _refuse_revoked(context, files.crl)
    return context


def _refuse_revoked(context: ssl.SSLContext, crl: Path) -> None:
    """Let nobody in whose certificate is on a list, or whose authority has no list that holds."""
    try:
        context.load_verify_locations(crl)
    except (OSError, ValueError) as error:
        raise _unusable(f"revocation lists {crl}", error) from None
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _no_password() -> str:
    raise ValueError("the key has a pass phrase")


def _unusable(what: str, error: Exception) -> Misconfigured:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return Misconfigured(
        f"TLS {what} cannot be used: {reason}.",
        remedy="Give PEM files that the node may read: certificate and key that belong together, "
        "the key without a pass phrase, and the authorities that signed the peers' certificates.",
    )


def validity_of(file: Path) -> tuple[Validity, ...]:
    """Of each certificate in a PEM file, in its order."""
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        raise _unusable(f"file {file}", error) from None
    return tuple(
        Validity(
            file=file,
            subject=one.subject.rfc4514_string() or "certificate",
            ends_at=one.not_valid_after_utc,
        )
        for one in found
    )
