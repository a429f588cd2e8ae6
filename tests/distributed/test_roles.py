"""Database users of acceptors and page: enough for their work, nothing of the engine's."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.database import judged_private, require_private
from node.archive.schema.migrate import upgrade
from node.domain.errors import Misconfigured
from node.flow import engine as dbos_engine
from node.flow.asks import Answering, Asking
from node.flow.client import FlowClient
from tests.unit.audit.test_relay import association

_ROLES = Path(__file__).parents[2] / "docs" / "operations" / "roles.sql"


@pytest.mark.parametrize(
    ("host", "version", "mode", "told"),
    [
        ("/run/postgresql", None, "prefer", "on this machine"),
        ("127.0.0.1", None, "prefer", "on this machine"),
        ("::1", None, "disable", "on this machine"),
        ("10.0.0.5", "TLSv1.3", "verify-full", "over TLSv1.3, sslmode verify-full"),
        ("10.0.0.5", "TLSv1.2", "verify-ca", "over TLSv1.2, sslmode verify-ca"),
    ],
)
def test_what_is_private(host: str, version: str | None, mode: str, told: str) -> None:
    """What stays on the machine, or TLS whose certificate is verified."""
    assert judged_private(host, version, mode) == told


@pytest.mark.parametrize(
    ("version", "mode", "how"),
    [(None, "prefer", "without TLS"), (None, "disable", "without TLS"),
     ("TLSv1.3", "require", "its certificate not verified"),
     ("TLSv1.3", "prefer", "its certificate not verified")],
)  # fmt: skip
def test_what_is_not(version: str | None, mode: str, how: str) -> None:
    """Encrypted is not enough: whoever is in between may be the server."""
    with pytest.raises(Misconfigured, match=how) as raised:
        judged_private("10.0.0.5", version, mode)
    assert "sslmode=verify-full" in (raised.value.remedy or "")


@pytest.fixture
def urls(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database as ``roles.sql`` leaves it, its tables made by the worker; an address for each."""
    whole = database_url.replace("postgresql://", "postgresql+psycopg://")
    admin = sa.create_engine(whole, poolclass=sa.NullPool)
    names = ("pctnode_worker", "pctnode_scp", "pctnode_web")
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute(_ROLES.read_text())  # psycopg looks for its own marks where values come along
    user = sa.make_url(whole)
    made = {
        name.removeprefix("pctnode_"): user.set(username=name).render_as_string(hide_password=False)
        for name in names
    }
    owner = t.open_engine(made["worker"])
    upgrade(owner, lock_file=tmp_path / "migrate.lock")
    owner.dispose()
    # In a process of its own: the engine keeps connections it was not given.
    words = f"from node.flow import engine; engine.create_schema({made['worker']!r})"
    subprocess.run([sys.executable, "-c", words], check=True, capture_output=True)
    yield made
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP OWNED BY {name} CASCADE")
        for name in names:
            connection.exec_driver_sql(f"DROP ROLE {name}")
    admin.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("role", ["scp", "web"])
def test_a_role_does_its_work_and_has_nothing_of_the_engine(
    urls: dict[str, str], tmp_path: Path, role: str
) -> None:
    """It finds the tables as they are, writes and reads ours; not one of the engine's."""
    database = t.open_engine(urls[role])
    upgrade(database, lock_file=tmp_path / "migrate.lock")
    Index(database).add_association(association(rule="calling AE title"))
    assert Queries(database).alive()
    assert require_private(database) == "on this machine"
    assert not dbos_engine.may_reach(database)
    owner = sa.create_engine(urls["worker"], poolclass=sa.NullPool)
    with owner.connect() as connection:
        names = sa.inspect(connection).get_table_names(schema="dbos")
    assert "workflow_status" in names
    for name in names:
        for words in (f"SELECT * FROM dbos.{name}", f"DELETE FROM dbos.{name}"):  # noqa: S608
            with (
                database.connect() as connection,
                pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
            ):
                connection.exec_driver_sql(words)
    with (
        database.connect() as connection,
        pytest.raises(sa.exc.ProgrammingError, match="permission denied"),
    ):
        connection.exec_driver_sql("CREATE TABLE mine (id int)")
    database.dispose()


@pytest.mark.postgres
def test_the_page_asks_by_a_row_of_its_own(urls: dict[str, str]) -> None:
    """A worker asks the engine for what the page may ask, and the page gets the answer."""
    page, own = t.open_engine(urls["web"]), t.open_engine(urls["worker"])
    client = dbos_engine.open_client(urls["worker"])
    answering, stop = Answering(own, client), threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            answering.look()
            with own.begin() as connection:  # as if a worker had run it
                connection.exec_driver_sql(
                    "UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE status = 'ENQUEUED'"
                )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        flow = FlowClient(page, urls["web"])
        # No worker has a result for it: the workflow has ended with nothing.
        with pytest.raises(Exception, match="No worker has tried"):
            flow.echo("TPS", within_s=15)
        with own.connect() as connection:
            (name,) = connection.exec_driver_sql("SELECT name FROM dbos.workflow_status").one()
        assert name == dbos_engine.ECHO_WORKFLOW
        # What is no request of the page's is dropped.
        assert Asking(page).result_of("series", 1, within_s=15) is None
        with own.connect() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM dbos.workflow_status")
            assert count.scalar_one() == 1
        flow.close()
    finally:
        stop.set()
        thread.join()
        client.destroy()
        client._sys_db.engine.dispose()  # ours, which it does not close
        page.dispose()
        own.dispose()
