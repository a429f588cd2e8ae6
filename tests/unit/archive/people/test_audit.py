"""The audit trail: chained, and broken by any change."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.archive.people.audit import FIRST, Act, Audit
from node.archive.schema import tables as t


@pytest.fixture
def trail(tmp_path: Path) -> Audit:
    """Make a trail of five acts."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.db"))
    t.metadata.create_all(engine)
    audit = Audit(engine)
    for n in range(5):
        audit.add(Act(who="anna", action="sign", target=f"series {n}", details={"n": n}))
    return audit


def test_rows_are_chained_from_the_first(trail: Audit) -> None:
    """Each row names the digest of the one before it; the chain holds."""
    rows = list(reversed(trail.rows()))

    assert [r["previous"] for r in rows] == [FIRST, *(r["digest"] for r in rows[:-1])]
    assert trail.verify().broken_at is None
    assert trail.verify().rows == 5
    assert trail.verify().head == rows[-1]["digest"]


@pytest.mark.parametrize(
    "change",
    [
        sa.update(t.audit).where(t.audit.c.id == 3).values(who="eve"),
        sa.update(t.audit).where(t.audit.c.id == 3).values(details='{"n": 9}'),
        sa.update(t.audit).where(t.audit.c.id == 3).values(at="2020-01-01T00:00:00.000+00:00"),
        sa.delete(t.audit).where(t.audit.c.id == 3),
        sa.update(t.audit).where(t.audit.c.id == 3).values(previous=FIRST),
    ],
)
def test_any_change_breaks_the_chain_where_it_was_made(trail: Audit, change: Any) -> None:
    """A changed, removed or re-linked row is found at its number."""
    with trail.engine.begin() as connection:
        connection.execute(change)

    assert trail.verify().broken_at == 3


def test_a_row_recomputed_by_itself_breaks_the_next(trail: Audit) -> None:
    """Whoever forges one row with a right digest has to forge all that follow."""
    with trail.engine.begin() as connection:
        connection.execute(sa.delete(t.audit).where(t.audit.c.id >= 3))
    trail.add(Act(who="eve", action="sign"))
    forged = trail.rows(limit=1)[0]
    assert trail.verify().broken_at is None  # the tail was cut: only the log knows
    with trail.engine.begin() as connection:
        connection.execute(
            sa.insert(t.audit).values(
                id=4, at="x", action="sign", previous="0" * 64, digest="1" * 64
            )
        )

    assert forged["id"] == 3
    assert trail.verify().broken_at == 4


def test_acts_of_many_threads_make_one_chain(trail: Audit) -> None:
    """Writers at the same time wait for each other."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: trail.add(Act(who="anna", action="see", target=str(n))), range(40)))

    assert trail.verify().rows == 45
    assert trail.verify().broken_at is None


def test_hostile_text_is_kept_as_it_is(trail: Audit) -> None:
    """Line breaks, quotes and lone surrogates neither break the chain nor another row."""
    hostile = 'a\r\n{"id": 7}\x00\x1b[2J'
    trail.add(Act(who=hostile, action="log in", details={"text": hostile}))

    assert trail.rows(limit=1)[0]["who"] == hostile
    assert trail.verify().broken_at is None
