"""Builds the guard of the pages from Settings; `node.run.app` hands it on."""

import sys

import sqlalchemy as sa

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Audit
from node.archive.people.credentials import Credentials
from node.config.settings import Settings
from node.web.auth.oidc import Provider
from node.web.auth.origin import LOOPBACK_NAMES, OriginRules
from node.web.auth.security import SET_UP, Access

_SET_UP_HOURS = 24.0
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


def web_access(settings: Settings, engine: sa.Engine) -> Access:
    """Who may come in, and how."""
    web, oidc = settings.web, settings.oidc
    names = {*LOOPBACK_NAMES, *web.names}
    if web.host not in _EVERYWHERE:
        names.add(f"[{web.host}]" if ":" in web.host else web.host)
    provider = None
    if web.auth == "oidc":
        provider = Provider(
            issuer=oidc.issuer,
            client_id=oidc.client_id,
            client_secret=oidc.client_secret,
            roles_claim=oidc.roles_claim,
            groups={"viewer": oidc.viewer, "physicist": oidc.physicist, "admin": oidc.admin},
        )
    return Access(
        auth=web.auth,
        origin=OriginRules(names=frozenset(names), proxies=web.trusted_proxies),
        session_hours=web.session_hours,
        accounts=Accounts(engine),
        credentials=Credentials(engine, token_days=oidc.token_days),
        audit=Audit(engine),
        provider=provider,
    )


def set_up_link(settings: Settings, engine: sa.Engine) -> str | None:
    """A one-time link to make the first administrator; None where there is an account."""
    if settings.web.auth != "local" or Accounts(engine).any():
        return None
    credentials = Credentials(engine)
    credentials.void(SET_UP)
    secret = credentials.issue(SET_UP, {}, hours=_SET_UP_HOURS)
    return f"{_address(settings)}/set-up?ticket={secret}"


def tell_set_up(settings: Settings, engine: sa.Engine) -> None:
    """Print the set-up link where nobody has an account yet."""
    link = set_up_link(settings, engine)
    if link is not None:
        # Not a log line: whoever collects the logs is not who sets the node up.
        sys.stdout.write(
            f"\nNobody has an account on this node yet. Make the first administrator here, once, "
            f"within {_SET_UP_HOURS:.0f} hours:\n\n  {link}\n\n"
        )
        sys.stdout.flush()


def _address(settings: Settings) -> str:
    web = settings.web
    scheme = "https" if web.certificate or web.trusted_proxies else "http"
    host = web.names[0] if web.names else web.host
    port = "" if web.trusted_proxies and not web.certificate else f":{web.port}"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{port}"
