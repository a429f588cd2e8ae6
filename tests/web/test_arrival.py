"""What the page of a series says of how it arrived, in either language."""

from typing import Any

import pytest

from node.archive.evidence.ledger import CAME_BACK, WAITING
from node.domain.door import Ending
from node.domain.wording import Language
from node.web.messages.sentences import spoken
from node.web.messages.texts import TEXTS, Translator
from node.web.views.arrival_view import arrival

EN, FR = Translator(Language.EN), Translator(Language.FR)


def association(**changes: Any) -> dict[str, Any]:
    """31 of 35 stored, 4 refused, released."""
    usual = {
        "calling_ae": "PACS",
        "called_ae": "PCTNODE",
        "peer": "pacs",
        "opened_at": "2026-12-01T10:00:00.000+00:00",
        "ending": "released",
        "stored": 31,
        "duplicates": 0,
        "conflicts": 0,
        "refused": 4,
    }
    return usual | changes


def door(*associations: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A door of ``associations``, with 31 images here."""
    usual = {
        "held": 31,
        "expected": None,
        "expected_by": None,
        "complete": True,
        "associations": list(associations),
        "missing": [],
    }
    return usual | changes


def test_refused_images_are_told_with_who_how_and_why() -> None:
    """One line for the association, one for each reason."""
    missing = [{"code": "NOT_STORED"}] * 3 + [{"code": "DATA_TRUNCATED"}]
    told = arrival(door(association(), complete=False, missing=missing), EN)
    assert told.said == "31 images are here; others may be missing."
    assert told.lines[0].startswith("pacs → PCTNODE, ")
    assert told.lines[0].endswith("31 stored, 4 refused and not here; ended in order")
    assert told.lines[1:] == (
        "Refused: Data set cut off (1)",
        "Refused: no room or no database just then (3)",
    )
    french = arrival(door(association(), complete=False, missing=missing), FR)
    assert french.lines[1:] == (
        "Refusé\u00a0: Objet tronqué (1)",
        "Refusé\u00a0: plus de place ou base indisponible (3)",
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "31 images are here; nothing says that any is missing."),
        ({"expected": 31, "expected_by": "pacs"}, "31 images are here, as many as pacs says."),
        (
            {"expected": 35, "expected_by": "pacs", "complete": False},
            "31 images are here; pacs says 35.",
        ),
        ({"associations": []}, "Who brought this series was not recorded."),
        (
            {"associations": [association(ending="open")], "complete": False},
            "31 images are here; an association is open and may bring more.",
        ),
    ],
)
def test_whether_it_is_whole_is_said_first(changes: dict[str, Any], said: str) -> None:
    """As far as anybody knows."""
    assert arrival(door(association(), **changes), EN).said == said


def test_every_ending_has_its_words() -> None:
    """In both languages."""
    for ending in (*Ending, "open"):
        english, french = TEXTS[f"series.ending.{ending}"]
        assert english != french


def test_what_the_series_says_meanwhile_is_spoken() -> None:
    """The sentences that the ledger writes have their French."""
    for sentence in (WAITING, CAME_BACK):
        assert spoken(sentence, Language.FR) != sentence
