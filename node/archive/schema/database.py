"""Connections to the node's database, and its clock."""

import ipaddress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from node.domain.errors import Misconfigured

# Of libpq's modes, those that verify the server's certificate.
_VERIFYING = ("verify-ca", "verify-full")
# Seconds, and milliseconds for the last: ten and three looks five apart, or half a minute.
_MISSED = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class db_clock(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it becomes
    """The database's own clock, in seconds since 1970 UTC: one clock for every process."""

    type = sa.Float(53)
    inherit_cache = True


@compiles(db_clock, "sqlite")
def _sqlite_clock(_element: object, _compiler: object, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(db_clock, "postgresql")
def _postgresql_clock(_element: object, _compiler: object, **_: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def open_engine(url: str) -> sa.Engine:
    """An engine for ``url``; SQLite is put in write-ahead mode with every commit synchronised."""
    if not url.startswith("sqlite"):
        return open_server(url, pool_size=4)
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _on_sqlite_connect)
    sa.event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def open_server(url: str, *, pool_size: int) -> sa.Engine:
    """An engine for a database server that is missed within half a minute when it is gone.

    Gone without a word, as by a power cut or a pulled cable, it is waited for between a quarter of
    an hour and two hours otherwise. What ``url`` says of it stays.
    """
    asked = sa.make_url(url)
    missed = {name: value for name, value in _MISSED.items() if name not in asked.query}
    return sa.create_engine(
        asked.update_query_dict(missed), pool_pre_ping=True, pool_size=pool_size, max_overflow=8
    )


def refuse_unsafe(engine: sa.Engine) -> None:
    """Raise `Misconfigured` where the server acknowledges what it has not on the disk."""
    if engine.dialect.name != "postgresql":
        return  # ours is opened as it must be
    with reading(engine).begin() as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off":
                raise Misconfigured(
                    f"PostgreSQL runs with {name} = off: what was committed may be gone after a "
                    "crash.",
                    remedy=f"Set {name} = on for the node's database and user.",
                )


def require_private(engine: sa.Engine) -> str:
    """How nobody else reads or forges what goes to the database; `Misconfigured` where they could.

    On another machine that takes TLS with a verified certificate: with ``sslmode=require`` and less
    whoever is in between may be the server. libpq's default encrypts when the server offers to.
    """
    if engine.dialect.name != "postgresql":
        return ""
    with engine.connect() as connection:
        info = connection.connection.driver_connection.info  # type: ignore[union-attr]
        host, mode = str(info.hostaddr or info.host), info.get_parameters().get("sslmode", "prefer")
        query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"
        version = connection.execute(sa.text(query)).scalar_one_or_none()
    return judged_private(host, version, mode)


def judged_private(host: str, tls_version: str | None, sslmode: str) -> str:
    """`require_private` of a connection to ``host``."""
    if host.startswith("/") or _is_here(host):
        return "on this machine"
    if tls_version is None or sslmode not in _VERIFYING:
        how = f"over {tls_version}, its certificate not verified" if tls_version else "without TLS"
        raise Misconfigured(
            f"The database at {host} is reached {how} (sslmode {sslmode}).",
            remedy="Add ?sslmode=verify-full&sslrootcert=/path/ca.pem to [database] url.",
        )
    return f"over {tls_version}, sslmode {sslmode}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def sqlite_url(file: Path) -> str:
    """The SQLAlchemy URL of a SQLite file."""
    return f"sqlite:///{file}"


def reading(engine: sa.Engine) -> sa.Engine:
    """``engine`` for reads only: SQLite then takes no write lock."""
    return engine.execution_options(reading=True)


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, below
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later cannot upgrade its lock while another writes
    # (SQLITE_BUSY at once, whatever the time-out): writers take the lock from the start.
    read = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if read else "BEGIN IMMEDIATE")
