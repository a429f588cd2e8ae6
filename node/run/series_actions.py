"""What a person does to a series from a shell: in the database at once, with its audit line."""

import getpass
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.archive.work.decisions import Decisions
from node.config.settings import Settings
from node.domain.errors import Rejected
from node.run.app import database, engine_database, site_book

if TYPE_CHECKING:
    from node.archive.people.audit import By
    from node.archive.work.decisions import Signature


def act_on_series(
    settings: Settings, series_id: int, action: str, *, reason: str, seen: str | None = None
) -> str:
    """Run again, release, reject or resend a series; the sentence says what happens next.

    Only the attempt ``seen``, as ``1.2``, is released; None releases the one there is.
    """
    from node.archive.people.audit import By

    decisions = Decisions(database(settings))
    by = By(who=f"{getpass.getuser()} (command)")
    if action == "retry":
        return decisions.retry(series_id, by)
    if action == "release":
        return decisions.release(series_id, by, reason=reason, seen=seen)
    if action == "reject":
        return decisions.reject(series_id, by, reason=reason)
    return decisions.resend(series_id, by)


def sign_series(
    settings: Settings, series_id: int, signature: "Signature", *, name: str, password: str
) -> str:
    """Release an sCT in review by the signature of an account, proved by its password."""
    by = _proved(settings, name, password)
    return Decisions(database(settings)).sign(series_id, signature, by)


def correct_series(
    settings: Settings,
    series_id: int,
    action: str,
    *,
    reason: str,
    correction: int | None,
    name: str,
    password: str,
) -> str:
    """Adopt or dismiss the correction of a series; who does proves who he is, as for signing."""
    from node.archive.files import Folder
    from node.flow.corrections import Corrections

    by = _proved(settings, name, password)
    decide = Corrections(database(settings), Folder(settings.node.data_dir))
    do = decide.adopt if action == "adopt" else decide.dismiss
    return do(series_id, by, reason=reason, correction=correction)


def _proved(settings: Settings, name: str, password: str) -> "By":
    """Who decides: an account proved by its password; the system's user where there is none."""
    from node.archive.people.accounts import Accounts
    from node.archive.people.audit import By
    from node.domain.access import Role

    accounts = Accounts(database(settings))
    if not accounts.any():
        return By(who=f"{getpass.getuser()} (command)")
    accounts.log_in(name, password, address="command")
    role = next(Role(a["role"]) for a in accounts.all() if a["name"] == name.strip().lower())
    if not role.covers(Role.PHYSICIST):
        raise Rejected(
            f"{name} is {role}; a signature needs the role physicist.",
            code="ROLE",
            remedy="Sign as a physicist or administrator.",
        )
    return By(who=name.strip().lower(), role=role.value, address="command")


def pull(
    settings: Settings, peer: str, study: str, series: Sequence[str], *, within_s: float
) -> dict[str, Any]:
    """Have a running worker pull series from a peer."""
    site_book(settings).current().archive(peer)
    from node.flow.client import FlowClient

    client = FlowClient(database(settings), engine_database(settings))
    try:
        return client.pull(peer, study, series, within_s=within_s)
    finally:
        client.close()
