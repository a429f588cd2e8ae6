"""No fuzzed series passes in silence with anatomy out of place, and none ends in a traceback.

``make fuzz`` runs all of it, the default run a sample.
"""

import pytest

from tests.fuzz.series import fuzz, judge_clean

# Of classic and of Enhanced MR each.
SERIES, SAMPLE = {False: 1200, True: 600}, {False: 60, True: 30}
CLEAN, CLEAN_SAMPLE = 100, 5
KINDS = pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])


@KINDS
@pytest.mark.filterwarnings("ignore")
def test_nothing_wrong_passes_in_silence(whole_fuzz: bool, enhanced: bool) -> None:
    """One or two random faults each; what is accepted in silence is where it is, on one scale."""
    count = (SERIES if whole_fuzz else SAMPLE)[enhanced]

    outcomes = [fuzz(seed, enhanced=enhanced) for seed in range(count)]

    assert [o for o in outcomes if o.wrong] == []
    assert sum(o.silent for o in outcomes) < count / 3  # the faults do break something
    assert any(len(o.faults) == 2 for o in outcomes)


@KINDS
@pytest.mark.filterwarnings("ignore")
def test_no_clean_series_is_held_or_refused(whole_fuzz: bool, enhanced: bool) -> None:
    """Any orientation, order, spacing and scale; no finding of weight at all."""
    count = CLEAN if whole_fuzz else CLEAN_SAMPLE

    found = {seed: judge_clean(seed, enhanced=enhanced) for seed in range(count)}

    assert {seed: codes for seed, codes in found.items() if codes} == {}
