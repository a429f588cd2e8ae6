"""Who may do what: roles, and the person or program behind a request."""

import re
from dataclasses import dataclass
from enum import StrEnum

from node.domain.errors import Rejected

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# NIST SP 800-63B 3.1.1.2: length is what counts; no rules of composition.
PASSWORD_LEAST, PASSWORD_MOST = 12, 256


class Role(StrEnum):
    """What an account may do; each role may all that the ones before it may."""

    VIEWER = "viewer"
    """See series, findings and network."""
    PHYSICIST = "physicist"
    """Sign, reject, run again, send, withdraw."""
    ADMIN = "admin"
    """Change peers, routes and accounts, read the audit trail."""

    def covers(self, asked: "Role") -> bool:
        """Whether this role may what ``asked`` may."""
        order = list(Role)
        return order.index(self) >= order.index(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks."""

    account_id: int | None
    """None on a node that asks nobody who he is (``auth = "none"``)."""
    name: str
    """Log-in name; goes into the audit trail."""
    display_name: str
    role: Role
    how: str
    """``session``, ``token`` or ``open`` (``auth = "none"``)."""
    has_password: bool = False
    """Whether the account can prove itself by a password kept here."""
    proved_ago_s: float | None = None
    """How long ago a session's person last proved who he is to sign, by the database's clock; None
    where he has not: a log-in alone proves nothing, it may have been silent."""


def account_name(text: str) -> str:
    """A log-in name in its one spelling; `Rejected` when it is not one."""
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise Rejected(
            f"{text[:64]!r} is not a log-in name.",
            code="NAME",
            remedy="Use 1 to 64 letters without accents, digits, dot, dash, underscore and @.",
        )
    return name


def checked_password(password: str, name: str) -> str:
    """``password`` where it may be one; `Rejected` says why not."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise Rejected(
            f"The password has {len(password)} characters.",
            code="PASSWORD",
            remedy=f"Choose one of {PASSWORD_LEAST} to {PASSWORD_MOST} characters.",
        )
    if name in password.lower() and len(name) * 2 > len(password):
        raise Rejected(
            "The password is little more than the log-in name.",
            code="PASSWORD",
            remedy="Choose another.",
        )
    return password
