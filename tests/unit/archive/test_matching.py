"""PS3.4 C.2.2.2, case by case."""

from typing import Any

import pytest

from node.archive.matching import Key, matches


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
