"""PS3.4 C.2.2.2, case by case."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.archive.headers.matching import MOST_ALTERNATIVES, Key, matches, require_modest
from node.domain.errors import Rejected


@pytest.mark.parametrize(
    ("vr", "wanted", "stored", "expected"),
    [
        # universal
        ("LO", "", None, True),
        ("LO", "*", "", True),
        ("PN", "**", None, True),
        ("DA", "", "", True),
        # single value; case counts, spaces around do not
        ("LO", "ACC1", "ACC1", True),
        ("LO", "acc1", "ACC1", False),
        ("LO", "ACC1", None, False),
        ("SH", "A ", "A", True),
        ("IS", "2", "02", True),
        ("IS", "2", "20", False),
        ("DS", "1.50", "1.5", True),
        ("UI", "1.2", "1.2.3", False),
        # wild cards: nothing else is special
        ("LO", "A*C", "ABBC", True),
        ("LO", "A?C", "ABBC", False),
        ("LO", "[AB]*", "A", False),
        ("LO", "a.c*", "abc", False),
        ("UI", "1.2.*", "1.2.3", False),
        ("LO", "*****************************a", "b" * 2000, False),
        ("LO", "*A*B*", "xBxAxB", True),
        ("LO", "*A*B*A", "xBxAxB", False),
        ("LO", "A*A", "A", False),
        ("LO", "A*A", "AA", True),
        ("LO", "*A?C*C", "AxCABC", True),
        ("LO", "?*?", "A", False),
        ("LO", "a*", "", False),
        # lists
        ("UI", "1.2\\1.3", "1.3", True),
        ("CS", "CT\\MR", "MR", True),
        ("CS", "MR", "CT\\MR", True),
        ("CS", "US", "CT\\MR", False),
        # ranges
        ("DA", "20240101-20241231", "20240610", True),
        ("DA", "20240101-", "20231231", False),
        ("DA", "-20240101", "20240101", True),
        ("DA", "20240101-", "", False),
        ("DA", "20240610", "2024.06.10", True),
        ("TM", "080000-0815", "081530.5", True),
        ("TM", "0800-0815", "081600", False),
        ("TM", "08", "081530", True),
        ("DT", "20240101-20240102", "20240102120000.5", True),
        ("DT", "20240101120000+0100", "20240101120000+0100", True),
        # names: without case and accents, by component group
        ("PN", "muller^jorg", "Müller^Jörg", True),
        ("PN", "MÜLLER*", "Müller^Jörg", True),
        ("PN", "Müller", "Müller^Jörg", False),
        ("PN", "Müller^Jörg^^", "Müller^Jörg", True),
        ("PN", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("PN", "Yamada*", "Yamada^Tarou=山田^太郎", True),
        ("PN", "Tarou*", "Yamada^Tarou=山田^太郎", False),
    ],
)
def test_matching(vr: str, wanted: str, stored: Any, expected: bool) -> None:
    """A key of that value representation matches the stored value, or does not."""
    assert matches(Key("Some", vr, wanted), stored) is expected


def test_sequence_matching_takes_one_item_for_all_keys() -> None:
    """One item must match every key of the sequence; two items that match one each do not."""
    both = Key("S", "SQ", items=(Key("CodeValue", "SH", "a*"), Key("CodeMeaning", "LO", "x")))

    assert matches(both, [{"CodeValue": "b"}, {"CodeValue": "ab", "CodeMeaning": "x"}])
    assert not matches(both, [{"CodeValue": "ab"}, {"CodeMeaning": "x"}])
    assert not matches(both, [])
    assert matches(Key("S", "SQ", items=(Key("CodeValue", "SH", ""),)), [])


@given(st.text("ab*?", max_size=9), st.text("abc", min_size=1, max_size=9))
def test_wild_cards_are_those_of_a_regular_expression(wild: str, text: str) -> None:
    """``*`` is any run of characters, ``?`` any one, whatever stands beside it."""
    words = {"*": ".*", "?": "."}
    expected = re.fullmatch("".join(words.get(c, c) for c in wild), text) is not None
    wanted = Key("Some", "LO", wild)
    if wanted.universal:
        expected = True
    assert matches(wanted, text) is (expected or wild == text)


# Patterns whose stars can be placed in exponentially many ways; 64 characters against 64.
HOSTILE = [
    ("*?" * 31 + "*x", "a" * 64),
    ("*a" * 31 + "*b", "a" * 64),
    ("*a?" * 21 + "x", "a" * 64),
    ("*" * 63 + "x", "a" * 64),
    ("a*" * 31 + "bb", "a" * 62 + "ba"),
    ("*?*?*?*?*?*?*?*?*?*x", "a" * 64),
]


@pytest.mark.parametrize(("wild", "text"), HOSTILE)
@pytest.mark.parametrize("vr", ["LO", "PN"])
def test_no_pattern_takes_long(vr: str, wild: str, text: str) -> None:
    """64 characters against 64 within 50 ms of the processor, whatever they are."""
    assert len(wild) <= 64
    assert len(text) <= 64
    began = time.thread_time()
    assert not matches(Key("Some", vr, wild), text)
    assert time.thread_time() - began < 0.05


def test_a_key_out_of_all_proportion_is_refused() -> None:
    """A list of UIDs may be long; what is compared value by value may not."""
    require_modest([Key("SOPInstanceUID", "UI", "\\".join(["1.2"] * 50_000))])
    for key in (
        Key("Modality", "CS", "\\".join(["MR"] * (MOST_ALTERNATIVES + 1))),
        Key("PatientName", "PN", "*a" * 600),
        Key("S", "SQ", items=(Key("CodeMeaning", "LO", "*a" * 600),)),
    ):
        with pytest.raises(Rejected) as refused:
            require_modest([key])
        assert refused.value.code == "IDENTIFIER"
