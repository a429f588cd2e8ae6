"""Brings a database to the shape this version needs; every process does it before it starts."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa

from node.domain.errors import Misconfigured

SCRIPTS = Path(__file__).parent / "migrations"
# The revision the tables of this version are; a test compares it with the scripts.
HEAD = "0005"
_LOCK_KEY = 0x70637464  # "pctd": names our advisory lock among others of the same server


def upgrade(engine: sa.Engine, *, lock_file: Path) -> None:
    """Run the migrations that are missing; several processes may ask at once."""
    if _revision(engine) == HEAD:
        return
    with _alone(engine, lock_file):
        found = _revision(engine)
        if found not in (None, HEAD) and not any((SCRIPTS / "versions").glob(f"{found}_*.py")):
            raise Misconfigured(
                f"The database has revision {found}, which this version does not know.",
                remedy="Start the version that wrote it, or restore a backup.",
            )
        if found != HEAD:
            _run(engine)


def _run(engine: sa.Engine) -> None:
    # Alembic takes a quarter of a second to import: only where there is something to do.
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: sa.Engine) -> str | None:
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.begin() as connection:
        query = sa.text("SELECT version_num FROM alembic_version")
        return connection.execute(query).scalar_one_or_none()


@contextmanager
def _alone(engine: sa.Engine, lock_file: Path) -> Iterator[None]:
    """One process at a time: a lock of the server, or of the folder the SQLite file lies in."""
    with _server_lock(engine) if engine.dialect.name == "postgresql" else nullcontext():
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        with lock_file.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def _server_lock(engine: sa.Engine) -> Iterator[None]:
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK_KEY)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK_KEY)))
            connection.commit()
