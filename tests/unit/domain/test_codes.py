"""The table of findings: whole in each language."""

import re
import string

import pytest

from node.domain.codes.table import CODES, Language, sentence, words
from node.domain.findings import Severity

_ORDER = list(Severity)


def names_in(text: str) -> set[str]:
    """Names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", CODES)
def test_each_code_speaks_each_language(code: str) -> None:
    """Title, sentence and remedy are there, and both sentences use the same values."""
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{2,31}", code)
    for language in Language:
        said = words(code, language)
        assert said.title
        assert not said.title.endswith(".")
        assert said.sentence.endswith(".")
        assert said.remedy.endswith(".")
        assert not names_in(said.title + said.remedy)
        told = f"{said.title} {said.sentence} {said.remedy}".lower()
        assert not re.search(r"successfully|please|!|s'il vous plaît", told)
    assert names_in(words(code, "en").sentence) == names_in(words(code, "fr").sentence)
    assert words(code, "en").sentence != words(code, "fr").sentence


def test_a_route_can_only_make_a_finding_milder_than_usual_where_the_row_says_so() -> None:
    """Whatever bends or moves anatomy is refused, whatever a site wishes."""
    assert len(CODES) >= 40
    for row in CODES.values():
        if row.severity == "drop":  # set aside, and refused when nothing else is there
            assert row.least in {"drop", "warning"}
            continue
        assert _ORDER.index(Severity(row.least)) <= _ORDER.index(Severity(row.severity))
    geometry = [c for c in CODES if c.startswith(("POSITION_", "ORIENTATION_")) or "GAP" in c]
    assert {CODES[code].least for code in geometry if CODES[code].severity == "refuse"} == {
        "refuse"
    }


def test_a_sentence_is_told_in_french_with_its_values() -> None:
    """Words among the values are French too, and a value that is missing is a dash."""
    told = sentence("BODY_AT_EDGE", {"sides": "left and top"}, "fr")

    assert "(gauche et haut)" in told
    assert "–" in sentence("SLICES_THICK", {"spacing_mm": "5"}, "fr")
    assert sentence("SLICES_THICK", {"spacing_mm": "5", "limit_mm": "3"}, "en").startswith(
        "Slices lie 5 mm apart"
    )
