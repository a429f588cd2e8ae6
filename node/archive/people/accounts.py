"""Accounts of people: who they are, how they prove it, and how often they may fail to."""

import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from node.archive.people.audit import Act, append
from node.archive.people.credentials import digest
from node.archive.rows.series_rows import insert_missing, moment
from node.archive.schema import tables as t
from node.domain.access import Role, account_name, checked_password
from node.domain.errors import Rejected, Retryable

# Failures within the window after which further tries are refused unseen. Counted for name and
# address together, so that nobody can lock somebody else out; for an address, against guessing
# many names; for a name, against guessing from many addresses.
WINDOW_S = 900.0
PAIR_LIMIT, ADDRESS_LIMIT, NAME_LIMIT = 5, 30, 50
_HASHER = PasswordHasher()  # Argon2id, RFC 9106 second recommendation: 64 MiB, 3 passes
# Each hash takes 64 MiB and a core: a flood of log-ins waits here, not the node's memory.
_HASHING = threading.BoundedSemaphore(2)
# A name nobody has takes as long as one somebody has.
_NOBODYS_HASH = _HASHER.hash("nobody has this password")


class TooMany(Retryable):
    """Too many failures; the next try is refused unseen until the window has passed."""


class Accounts:
    """The accounts; safe to use from several threads and processes."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def any(self) -> bool:
        """Whether there is any account yet."""
        with t.reading(self.engine).begin() as connection:
            return connection.execute(sa.select(t.accounts.c.id).limit(1)).first() is not None

    def all(self) -> list[dict[str, Any]]:
        """Every account, without secrets."""
        with t.reading(self.engine).begin() as connection:
            rows = connection.execute(sa.select(t.accounts).order_by(t.accounts.c.name))
            return [_shown(row) for row in rows.mappings()]

    def add(self, name: str, role: Role, password: str, *, who: str, display_name: str = "") -> int:
        """Add a local account; `Rejected` when the name is taken or the password will not do."""
        name = account_name(name)
        values = {
            "name": name,
            "display_name": display_name.strip()[:100],
            "role": role.value,
            "password_hash": _hashed(checked_password(password, name)),
            "created_at": t.db_clock(),
        }
        with self.engine.begin() as connection:
            if not insert_missing(connection, t.accounts, values).rowcount:
                raise Rejected(f"There is an account {name!r} already.", code="NAME")
            append(connection, _act(who, "add account", name, role=role.value))
            return _id(connection, name)

    def add_first(self, name: str, password: str, *, address: str) -> int:
        """The first administrator, by the set-up link; `Rejected` when somebody was faster."""
        if self.any():
            raise Rejected(
                "This node has an account already.", code="SET_UP", remedy="Log in instead."
            )
        return self.add(name, Role.ADMIN, password, who=f"set-up link at {address}")

    def set_password(self, name: str, password: str, *, who: str) -> None:
        """Give an account a password; its sessions end."""
        name = account_name(name)
        hashed = _hashed(checked_password(password, name))
        with self.engine.begin() as connection:
            row = _row(connection, name)
            if row["subject"] is not None:
                raise Rejected(
                    f"{name} logs in through the identity provider.",
                    code="PASSWORD",
                    remedy="Change the password there.",
                )
            _update(connection, row["id"], password_hash=hashed)
            _end_sessions(connection, row["id"])
            append(connection, _act(who, "set password", name))

    def change(
        self, name: str, *, who: str, role: Role | None = None, disabled: bool | None = None
    ) -> None:
        """Change what an account may; its sessions end. The last administrator stays one."""
        values: dict[str, Any] = {}
        if role is not None:
            values["role"] = role.value
        if disabled is not None:
            values["disabled"] = disabled
        with self.engine.begin() as connection:
            row = _row(connection, account_name(name))
            _update(connection, row["id"], **values)
            _end_sessions(connection, row["id"])
            if not _has_admin(connection):
                raise Rejected(
                    f"{name} is the last administrator.",
                    code="LAST_ADMIN",
                    remedy="Make somebody else administrator first.",
                )
            append(connection, _act(who, "change account", row["name"], **values))

    def log_in(self, name: str, password: str, *, address: str) -> int:
        """The account that name and password prove.

        Raises `Rejected` with one sentence for every reason, `TooMany` without looking.
        """
        spelled = name.strip().lower()[:64]
        key = digest(spelled)
        self._begin_try(key, address)
        with t.reading(self.engine).begin() as connection:
            query = sa.select(t.accounts).where(t.accounts.c.name == spelled)
            row = connection.execute(query).mappings().one_or_none()
        hashed = row["password_hash"] if row is not None else None
        right = _matches(hashed or _NOBODYS_HASH, password[:1024])
        if row is None or hashed is None or not right or row["disabled"]:
            self._failed(spelled if row is not None else None, address)
            raise Rejected(
                "Name and password do not match an account.",
                code="LOG_IN",
                remedy="Try again; an administrator can set a new password.",
            )
        self._succeeded(row, password, key, address)
        return int(row["id"])

    def prove(self, account_id: int, password: str, *, address: str) -> None:
        """Have a person who is logged in prove himself again; raises as `log_in` does."""
        with t.reading(self.engine).begin() as connection:
            query = sa.select(t.accounts.c.name).where(t.accounts.c.id == account_id)
            name = connection.execute(query).scalar_one()
        self.log_in(name, password, address=address)

    def by_subject(
        self, subject: str, *, name: str, display_name: str, role: Role, who: str
    ) -> int:
        """The account of an identity provider's subject, made or brought up to date.

        A name that a local account or another subject has is never taken over.
        """
        name = account_name(name)
        values = {"display_name": display_name.strip()[:100], "role": role.value}
        with self.engine.begin() as connection:
            a = t.accounts.c
            query = sa.select(t.accounts).where(a.subject == subject)
            row = connection.execute(query).mappings().one_or_none()
            if row is not None:
                if row["disabled"]:
                    raise Rejected(f"Account {row['name']} is disabled.", code="LOG_IN")
                _update(connection, row["id"], **values, seen_at=t.db_clock())
                return int(row["id"])
            new = values | {"name": name, "subject": subject, "created_at": t.db_clock()}
            new |= {"seen_at": t.db_clock()}
            if not insert_missing(connection, t.accounts, new).rowcount:
                raise Rejected(
                    f"The name {name!r} belongs to another account of this node.",
                    code="NAME",
                    remedy="An administrator can rename or disable that one.",
                )
            append(connection, _act(who, "add account", name, role=role.value, subject=subject))
            return _id(connection, name)

    def has_left(self, subject: str, *, who: str) -> None:
        """End the sessions and tokens of somebody whom the provider gives no role any more."""
        a = t.accounts.c
        with self.engine.begin() as connection:
            query = sa.select(t.accounts).where(a.subject == subject)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return
            _end_sessions(connection, row["id"])
            gone = connection.execute(sa.delete(t.tokens).where(t.tokens.c.account_id == row["id"]))
            append(connection, _act(who, "end access", row["name"], tokens=gone.rowcount))

    def _update(
        self,
        connection: sa.Connection,
        account_id: int,
        *,
        end_sessions: bool = True,
        **values: Any,
    ) -> None:
        if values:
            change = sa.update(t.accounts).where(t.accounts.c.id == account_id)
            connection.execute(change.values(values))
        if end_sessions:
            ended = sa.delete(t.sessions).where(t.sessions.c.account_id == account_id)
            connection.execute(ended)

    def _begin_try(self, name: str, address: str) -> None:
        """Count a try as failed until it has not; `TooMany` when there were too many."""
        f = t.log_in_failures
        by_name, by_address = f.c.name == name, f.c.address == address
        counts = sa.select(
            sa.func.count().filter(by_name & by_address),
            sa.func.count().filter(by_address),
            sa.func.count().filter(by_name),
        ).where(by_name | by_address)
        limits = (PAIR_LIMIT, ADDRESS_LIMIT, NAME_LIMIT)
        with self.engine.begin() as connection:
            connection.execute(sa.delete(f).where(f.c.at < t.db_clock() - WINDOW_S))
            found = connection.execute(counts).one()
            if any(n >= most for n, most in zip(found, limits, strict=True)):
                raise TooMany(
                    "Too many failed log-ins.",
                    remedy=f"Wait {WINDOW_S / 60:.0f} minutes, or ask an administrator.",
                )
            connection.execute(sa.insert(f).values(at=t.db_clock(), name=name, address=address))

    def _failed(self, name: str | None, address: str) -> None:
        # What was typed as a name may be a password: only a name that somebody has is kept.
        with self.engine.begin() as connection:
            append(
                connection,
                Act(who=name or "unknown name", action="log in refused", address=address),
            )

    def _succeeded(self, row: Mapping[Any, Any], password: str, key: str, address: str) -> None:
        f = t.log_in_failures
        with self.engine.begin() as connection:
            here = (f.c.name == key) & (f.c.address == address)
            connection.execute(sa.delete(f).where(here))
            if _HASHER.check_needs_rehash(row["password_hash"]):
                _update(connection, row["id"], password_hash=_hashed(password))


def _update(connection: sa.Connection, account_id: int, **values: Any) -> None:
    if values:
        change = sa.update(t.accounts).where(t.accounts.c.id == account_id)
        connection.execute(change.values(values))


def _end_sessions(connection: sa.Connection, account_id: int) -> None:
    ended = sa.delete(t.sessions).where(t.sessions.c.account_id == account_id)
    connection.execute(ended)


def _hashed(password: str) -> str:
    with _HASHING:
        return _HASHER.hash(password)


def _matches(hashed: str, password: str) -> bool:
    try:
        with _HASHING:
            return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _row(connection: sa.Connection, name: str) -> sa.RowMapping:
    query = sa.select(t.accounts).where(t.accounts.c.name == name)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise Rejected(
            f"There is no account {name!r}.", code="UNKNOWN", remedy="See pctnode users list."
        )
    return row


def _id(connection: sa.Connection, name: str) -> int:
    return int(_row(connection, name)["id"])


def _has_admin(connection: sa.Connection) -> bool:
    a = t.accounts.c
    query = sa.select(a.id).where(a.role == Role.ADMIN.value, a.disabled.is_(False)).limit(1)
    return connection.execute(query).first() is not None


def _act(who: str, action: str, name: str, **details: Any) -> Act:
    return Act(who=who, action=action, target=f"account {name}", details=details)


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "display_name": row["display_name"],
        "role": row["role"],
        "disabled": row["disabled"],
        "logs_in": "identity provider" if row["subject"] else "password",
        "created_at": moment(row["created_at"]).isoformat(timespec="seconds"),
        "seen_at": row["seen_at"] and moment(row["seen_at"]).isoformat(timespec="seconds"),
    }
