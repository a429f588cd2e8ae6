from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.schema import tables as t
from node.archive.work.leases import Leases
from node.domain.errors import Misconfigured
from node.flow import engine as durable
from node.flow.leases import Keeper, Slot


class Clock:
    """A monotonic clock the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    """No lease yet."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.sqlite"))
    t.metadata.create_all(engine)
    return Leases(engine)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Executors whose work was asked of the engine; the kill tests do it for real."""
    found: list[str] = []

    def take_over(executor_id: str) -> int:
        found.append(executor_id)
        return 1

    monkeypatch.setattr(durable, "take_over", take_over)
    return found


def _keeper(leases: Leases, name: str, clock: Clock) -> Keeper:
    keeper = Keeper(leases, name, holder="1", time_to_live_s=60.0, clock=clock)
    keeper.beat()
    return keeper


def _wait(clock: Clock, keeper: Keeper, seconds: int) -> None:
    """Let time pass with a look every five seconds."""
    for _ in range(seconds // 5):
        clock.now += 5
        keeper.take_over()


def test_silence_for_the_time_to_live_is_death(leases: Leases, taken: list[str]) -> None:
    """The work of a silent executor is taken once, not sooner than its lease."""
    clock = Clock()
    ours, other = _keeper(leases, "a", clock), _keeper(leases, "b", clock)
    ours.take_over()
    _wait(clock, ours, 55)
    assert taken == []
    _wait(clock, ours, 60)
    assert taken == ["b"]
    assert ours.living() == {"a"}

    other.beat()
    _wait(clock, ours, 5)
    assert ours.living() == {"a", "b"}


def test_a_clock_set_anew_kills_nobody(leases: Leases, taken: list[str]) -> None:
    """Times in the table an hour off, either way, are signs of life like any other."""
    clock = Clock()
    ours, _ = _keeper(leases, "a", clock), _keeper(leases, "b", clock)
    ours.take_over()
    for step_s in (-3600.0, 3600.0):
        with leases.engine.begin() as connection:
            change = sa.update(t.leases).where(t.leases.c.executor_id == "b")
            connection.execute(change.values(beat_at=t.leases.c.beat_at + step_s))
        _wait(clock, ours, 50)
    assert taken == []


def test_who_slept_judges_nobody(leases: Leases, taken: list[str]) -> None:
    """After a stop of its own, an executor waits a whole lease before it calls another dead."""
    clock = Clock()
    ours, _ = _keeper(leases, "a", clock), _keeper(leases, "b", clock)
    ours.take_over()
    clock.now += 600
    ours.take_over()
    _wait(clock, ours, 50)
    assert taken == []
    _wait(clock, ours, 15)
    assert taken == ["b"]


def test_who_left_in_order_is_taken_over_at_once(leases: Leases, taken: list[str]) -> None:
    """A drained executor's rest does not wait for its lease."""
    clock = Clock()
    ours, other = _keeper(leases, "a", clock), _keeper(leases, "b", clock)
    other.leave()
    ours.take_over()
    assert taken == ["b"]


def test_an_older_version_begins_nothing_beside_a_newer_one(
    leases: Leases, taken: list[str]
) -> None:
    """While a newer worker lives the older one steps back; when it is gone, it leads again."""
    clock = Clock()
    ours = _keeper(leases, "a", clock)
    leases.beat("b", holder="1", version=str(int(durable.APPLICATION_VERSION) + 1))
    ours.take_over()
    assert not ours.leads()
    _wait(clock, ours, 70)
    assert ours.leads()
    assert taken == ["b"]


def test_machines_that_share_a_folder_have_their_own_slots(tmp_path: Path) -> None:
    """The same number on two machines is two places; on one machine it is refused."""
    first = Slot(tmp_path, "host-a", 0)
    second = Slot(tmp_path, "host-b", 0)
    assert first.executor_id != second.executor_id
    with pytest.raises(Misconfigured, match="host-a"):
        Slot(tmp_path, "host-a", 0)
    first.close()
    Slot(tmp_path, "host-a", 0).close()
    second.close()
