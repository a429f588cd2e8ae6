"""Sentences count as people do."""

import re

import pytest

from node.domain.checks.rules import place
from node.domain.codes.table import CODES, sentence, words
from node.domain.findings import Severity, finding
from node.domain.instance import Slice
from node.domain.plan import ReleasePolicy
from node.domain.release import decide
from node.domain.wording import Language, agreed, counted, filled
from tests.unit.domain.headers import framed, header


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [("0", "0 slices are", "0 coupe est"), ("1", "1 slice is", "1 coupe est"),
     ("10", "10 slices are", "10 coupes sont")],
)  # fmt: skip
def test_words_agree_with_the_number_before_them(count: str, english: str, french: str) -> None:
    """French counts none as one."""
    values = {"count": count}

    assert filled("{count} [slice is|slices are]", values) == english
    assert filled("{count} [coupe est|coupes sont]", values, "fr") == french
    assert agreed(f"{count} [coupe est|coupes sont]", "fr") == french


def test_a_label_with_a_number_does_not_count() -> None:
    """The form follows the count, not what a value says of an echo time."""
    told = sentence("STACK_CUT_OFF", {"count": "1", "label": "EchoTime 4.9"})

    assert told.startswith("1 image of the series lies")
    assert told.endswith("It is missing from it.")
    assert counted(1, "match", "matches") == "1 match"


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("language", Language)
def test_no_sentence_leaves_its_plural_open(code: str, language: Language) -> None:
    """No "image(s)", and no form that nothing chose."""
    said = words(code, language)

    assert not re.search(r"\w\((?:s|es|e|x)\)", said.title + said.sentence + said.remedy)
    assert not re.search(r"\[[^\]]*\|", sentence(code, {}, language))


def test_nothing_lies_at_minus_zero() -> None:
    """A position of -0.0 or of -0.001 mm is 0 mm to a person."""
    odd = framed(header(0), position_mm=(-0.0, -0.001, -12.5))

    assert "(0 0 -12.5)" in place(Slice(instance=odd, frame=odd.frames[0]))
    assert "-0 " not in finding("SLICES_THICK", spacing_mm=-0.0, limit_mm=3.0).sentence


def test_what_passed_with_warnings_is_not_called_passed() -> None:
    """The policy lets it leave; the sentence names what there is to read."""
    warned = [
        finding("DISTORTION_UNKNOWN", manufacturer="M"),
        finding("STACK_OBLIQUE", angle_deg=2),
    ]

    released = decide(ReleasePolicy.AUTO, warned)
    clean = decide(ReleasePolicy.AUTO, warned[1:])
    held = decide(ReleasePolicy.CHECKS_PASSED, warned)

    assert released.released
    assert released.sentence == "Released by its route with 1 warning: DISTORTION_UNKNOWN."
    assert clean.sentence == "All checks passed."
    assert held.sentence == "1 finding to read: DISTORTION_UNKNOWN."
    assert warned[0].severity is Severity.WARNING
