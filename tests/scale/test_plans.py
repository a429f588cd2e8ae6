"""No hot operation reads a whole table: its cost does not grow with what is stored."""

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.scale.filled import filled
from tests.scale.operations import operations

# What SQLite says of a table it reads from end to end; an index read so is marked by its name.
_SCAN = re.compile(r"^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
_SMALL = {"leases", "removals", "site_entries", "alembic_version", "sqlite_master"}
# Read in their order and left after a page, or holding only what is open.
_IN_ORDER = {"ix_series_state_at_id", "ix_runs_open", "ix_steps_finished_at"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[sa.Engine, Path]:
    """Two thousand delivered series."""
    folder = tmp_path_factory.mktemp("scale")
    return filled(folder, 2000), folder


def _scans(engine: sa.Engine, statement: str, parameters: Any) -> list[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    found = (_SCAN.match(row[3]) for row in rows)
    return [m[0] for m in found if m and m[1] not in _SMALL and m[2] not in _IN_ORDER]


def test_no_hot_operation_reads_a_whole_table(archive: tuple[sa.Engine, Path]) -> None:
    """Every statement of every operation finds its rows by an index."""
    engine, folder = archive
    said: list[tuple[str, Any]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    faults = []
    for name, operation in operations(engine, folder).items():
        said.clear()
        operation()
        for statement, parameters in said:
            if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
                faults += [(name, scan) for scan in _scans(engine, statement, parameters)]
    assert faults == []
