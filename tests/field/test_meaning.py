"""A sample of the fuzz of meaning."""

from pathlib import Path

import pytest

from tests.field.evidence import Evidence, Expect
from tests.field.fuzz import count_for, fuzz
from tests.field.stories import FIRST, LATER, story

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("field")]
SEED, SERIES = 12, 24


def test_a_sample_of_live_series(tmp_path: Path) -> None:
    """Nothing contradicted leaves, nothing is stuck, every clean one is delivered."""
    run = fuzz(tmp_path, SEED, range(count_for(SEED, SERIES)))

    assert run.found == []
    expected = {p.evidence.expected(truth) for p in run.done for truth in p.story.truths}
    assert {Expect.DELIVERED, Expect.TOLD} <= expected


def test_the_stories_of_a_seed_are_always_the_same() -> None:
    """And all kinds are among a few hundred."""
    told = [story(SEED, number) for number in range(300)]

    assert {kind for one in told for kind in one.kinds} == FIRST.keys() | LATER.keys()
    for number in (0, 7, 99):
        again = story(SEED, number)
        assert again.kinds == told[number].kinds
        assert [len(act.offers) for act in again.acts] == [len(a.offers) for a in told[number].acts]


def test_nothing_is_expected_of_what_was_never_told() -> None:
    """The judge asks for a person's look where nothing of a series was held."""
    (truth, *_) = story(SEED, 0).truths

    assert Evidence(told=(), associations=(), truths=(truth,)).expected(truth) is Expect.TOLD
