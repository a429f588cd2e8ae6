"""Secrets that were handed out: sessions, API tokens, one-time tickets. Only hashes are kept."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from node.archive.people.audit import Act, append
from node.archive.rows.series_rows import moment
from node.archive.schema import tables as t
from node.domain.access import Identity, Role
from node.domain.errors import Rejected

TOKEN_PREFIX = "pct_"  # noqa: S105 - how a token is known from other secrets, in a leak as well
_HOUR_S = 3600.0
# A session's row is not written at each request; seconds of an account's "last seen".
_SEEN_EVERY_S = 60.0
# Days without a log-in at the identity provider after which API tokens of its people stop: nobody
# tells this node that somebody has left the hospital.
TOKEN_DAYS = 30.0


class Credentials:
    """The database as the guard of the pages sees it; safe to use from several threads."""

    def __init__(self, engine: sa.Engine, *, token_days: float = TOKEN_DAYS) -> None:
        self.engine = engine
        self._token_days = token_days

    def open_session(self, account_id: int, *, address: str, hours: float) -> str:
        """A new session; returns its secret. It proves nothing that a signature asks for."""
        secret = secrets.token_urlsafe(32)
        values = {
            "secret_sha256": digest(secret),
            "account_id": account_id,
            "created_at": t.db_clock(),
            "proved_at": 0.0,
            "expires_at": t.db_clock() + hours * _HOUR_S,
            "address": address,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.delete(t.sessions).where(t.sessions.c.expires_at < t.db_clock()))
            connection.execute(sa.insert(t.sessions).values(values))
        return secret

    def session(self, secret: str) -> Identity | None:
        """Whose session that is; None when there is none any more."""
        s, a = t.sessions.c, t.accounts.c
        query = (
            sa.select(t.accounts, s.proved_at, t.db_clock().label("now"))
            .join(t.sessions, s.account_id == a.id)
            .where(s.secret_sha256 == digest(secret), s.expires_at > t.db_clock())
            .where(a.disabled.is_(False))
        )
        with t.reading(self.engine).begin() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        if row["seen_at"] is None or row["now"] - row["seen_at"] > _SEEN_EVERY_S:
            self._seen(row["id"])
        ago_s = row["now"] - row["proved_at"] if row["proved_at"] else None
        return _identity(row, Role(row["role"]), "session", proved_ago_s=ago_s)

    def prove(self, secret: str, *, ago_s: float = 0.0) -> None:
        """Remember that the session's person proved himself again ``ago_s`` seconds ago."""
        change = sa.update(t.sessions).where(t.sessions.c.secret_sha256 == digest(secret))
        with self.engine.begin() as connection:
            connection.execute(change.values(proved_at=t.db_clock() - ago_s))

    def close_session(self, secret: str) -> None:
        """End a session."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.delete(t.sessions).where(t.sessions.c.secret_sha256 == digest(secret))
            )

    def add_token(self, owner: Identity, *, label: str, role: Role, days: int) -> str:
        """A new API token of ``owner``, at most as mighty as he is; returns its secret."""
        if owner.account_id is None or not owner.role.covers(role):
            raise Rejected(
                f"{owner.name} is {owner.role} and cannot give a token the role {role}.",
                code="ROLE",
                remedy="Choose a lesser role.",
            )
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        values = {
            "account_id": owner.account_id,
            "label": label[:100],
            "role": role.value,
            "secret_sha256": digest(secret),
            "created_at": t.db_clock(),
            "expires_at": t.db_clock() + days * 24 * _HOUR_S if days else None,
        }
        act = Act(
            who=owner.name,
            role=owner.role,
            action="add token",
            target=f"account {owner.name}",
            details={"label": label[:100], "role": role.value, "days": days},
        )
        with self.engine.begin() as connection:
            connection.execute(sa.insert(t.tokens).values(values))
            append(connection, act)
        return secret

    def token(self, secret: str) -> Identity | None:
        """Whose token that is, with the lesser of the token's and the account's role.

        One of an account of the identity provider lives while its owner logs in there. A secret
        that is none costs no lock of the database.
        """
        k, a = t.tokens.c, t.accounts.c
        living = a.seen_at > t.db_clock() - self._token_days * 24 * _HOUR_S
        query = (
            sa.select(t.accounts, k.role.label("token_role"), k.used_at, t.db_clock().label("now"))
            .join(t.tokens, k.account_id == a.id)
            .where(k.secret_sha256 == digest(secret), a.disabled.is_(False))
            .where(k.expires_at.is_(None) | (k.expires_at > t.db_clock()))
            .where(a.subject.is_(None) | living)
        )
        with t.reading(self.engine).begin() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        if row["used_at"] is None or row["now"] - row["used_at"] > _SEEN_EVERY_S:
            self._used(secret)
        account, asked = Role(row["role"]), Role(row["token_role"])
        return _identity(row, asked if account.covers(asked) else account, "token")

    def tokens(self, account_id: int) -> list[dict[str, Any]]:
        """The tokens of an account, without their secrets."""
        k = t.tokens.c
        query = sa.select(k.id, k.label, k.role, k.created_at, k.expires_at, k.used_at)
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(query.where(k.account_id == account_id).order_by(k.id))
            return [_times(dict(row)) for row in rows.mappings()]

    def remove_token(self, token_id: int, owner: Identity) -> None:
        """Make a token of ``owner`` void; `Rejected` when he has none of that number."""
        k = t.tokens.c
        with self.engine.begin() as connection:
            gone = connection.execute(
                sa.delete(t.tokens).where(k.id == token_id, k.account_id == owner.account_id)
            )
            if not gone.rowcount:
                raise Rejected(f"You have no token {token_id}.", code="UNKNOWN")
            act = Act(
                who=owner.name,
                role=owner.role,
                action="remove token",
                target=f"account {owner.name}",
                details={"token": token_id},
            )
            append(connection, act)

    def issue(self, kind: str, content: Mapping[str, Any], *, hours: float) -> str:
        """A one-time ticket; returns its secret."""
        secret = secrets.token_urlsafe(32)
        values = {
            "secret_sha256": digest(secret),
            "kind": kind,
            "content": dict(content),
            "created_at": t.db_clock(),
            "expires_at": t.db_clock() + hours * _HOUR_S,
        }
        with self.engine.begin() as connection:
            connection.execute(sa.delete(t.tickets).where(t.tickets.c.expires_at < t.db_clock()))
            connection.execute(sa.insert(t.tickets).values(values))
        return secret

    def look(self, kind: str, secret: str) -> dict[str, Any] | None:
        """What a ticket holds, without using it up; None when it is void."""
        k = t.tickets.c
        query = sa.select(k.content).where(
            k.secret_sha256 == digest(secret), k.kind == kind, k.expires_at > t.db_clock()
        )
        with t.reading(self.engine).begin() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else dict(found)

    def age_s(self, secret: str) -> float:
        """How long ago a ticket was issued; 0 when it is void."""
        k = t.tickets.c
        query = sa.select(t.db_clock() - k.created_at).where(k.secret_sha256 == digest(secret))
        with t.reading(self.engine).begin() as connection:
            return connection.execute(query).scalar_one_or_none() or 0.0

    def take(self, kind: str, secret: str) -> dict[str, Any] | None:
        """Use a ticket up: of two who come at once, one gets it."""
        content = self.look(kind, secret)
        with self.engine.begin() as connection:
            gone = connection.execute(
                sa.delete(t.tickets).where(t.tickets.c.secret_sha256 == digest(secret))
            )
        return content if gone.rowcount else None

    def void(self, kind: str) -> None:
        """Make every ticket of that kind void."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(t.tickets).where(t.tickets.c.kind == kind))

    def _seen(self, account_id: int) -> None:
        change = sa.update(t.accounts).where(t.accounts.c.id == account_id)
        with self.engine.begin() as connection:
            connection.execute(change.values(seen_at=t.db_clock()))

    def _used(self, secret: str) -> None:
        change = sa.update(t.tokens).where(t.tokens.c.secret_sha256 == digest(secret))
        with self.engine.begin() as connection:
            connection.execute(change.values(used_at=t.db_clock()))


def digest(secret: str) -> str:
    """How a secret is kept: it is random and long, so a plain hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _identity(
    row: Mapping[Any, Any], role: Role, how: str, *, proved_ago_s: float | None = None
) -> Identity:
    return Identity(
        account_id=row["id"],
        name=row["name"],
        display_name=row["display_name"] or row["name"],
        role=role,
        how=how,
        has_password=row["password_hash"] is not None,
        proved_ago_s=proved_ago_s,
    )


def _times(row: dict[str, Any]) -> dict[str, Any]:
    names = ("created_at", "expires_at", "used_at")
    return row | {n: moment(row[n]).isoformat() if row[n] is not None else None for n in names}
