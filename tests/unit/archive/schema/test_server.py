"""How long a database server is waited for that is gone without a word."""

import pytest

from node.archive.schema.database import open_engine
from node.flow.engine import open_engine_database

_URL = "postgresql+psycopg://pctnode@db.example/node?sslmode=verify-full"


@pytest.mark.parametrize("open_", [open_engine, open_engine_database])
def test_a_server_that_is_gone_is_missed_within_half_a_minute(open_: object) -> None:
    """Linux's defaults are a quarter of an hour, and two hours for who only waits."""
    assert callable(open_)
    query = open_(_URL).url.query

    assert int(query["connect_timeout"]) <= 30
    idle, every, looks = (
        int(query[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle + every * looks <= 30
    assert int(query["tcp_user_timeout"]) <= 30_000
    assert query["sslmode"] == "verify-full"


def test_what_the_settings_say_of_it_stays() -> None:
    """A site that knows better is not overruled."""
    assert open_engine(f"{_URL}&connect_timeout=3").url.query["connect_timeout"] == "3"
