"""Each released schema becomes the present one, with its rows, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from node.archive.schema import tables as t
from node.archive.schema.migrate import HEAD, SCRIPTS, upgrade
from node.domain.errors import Misconfigured


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


RELEASED = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        engine = t.open_engine(t.sqlite_url(tmp_path / "node.sqlite"))
    else:
        url = request.getfixturevalue("database_url").replace("://", "+psycopg://")
        engine = sa.create_engine(url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()


def _make(engine: sa.Engine, revision: str) -> None:
    """The tables as a release of that revision made them, with a row in one."""
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(
            sa.text(
                "insert into site_changes (at, who, action, kind, name, mapping)"
                " values (1.5, 'me', 'add', 'peer', 'tps', '{}')"
            )
        )


@pytest.mark.long
@pytest.mark.parametrize("revision", RELEASED)
def test_a_released_schema_becomes_the_present_one(
    engine: sa.Engine, revision: str, tmp_path: Path
) -> None:
    """After the upgrade nothing differs from the tables of the code, and the rows are there."""
    _make(engine, revision)
    upgrade(engine, lock_file=tmp_path / "lock")
    upgrade(engine, lock_file=tmp_path / "lock")  # twice is once

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), t.metadata)
        kept = connection.execute(sa.text("select who, at from site_changes")).one()
    assert differences == []
    assert tuple(kept) == ("me", 1.5)


def test_the_code_names_the_newest_revision() -> None:
    """`HEAD` spares every start the import of Alembic, so it must be right."""
    assert ScriptDirectory.from_config(_config()).get_current_head() == HEAD


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """An unknown revision is an error with a remedy, before anything is written."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.sqlite"))
    upgrade(engine, lock_file=tmp_path / "lock")
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(Misconfigured, match="9999"):
        upgrade(engine, lock_file=tmp_path / "lock")
    engine.dispose()
