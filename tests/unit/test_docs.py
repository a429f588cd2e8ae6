"""What the documents point at is there."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_TEST = re.compile(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def test_every_test_that_a_document_names_is_there() -> None:
    """With its folder, so that it is found."""
    named = [(d.name, name) for d in _documents() for name in _TEST.findall(d.read_text())]
    assert len(named) > 20

    assert [(d, name) for d, name in named if not (REPOSITORY / "tests" / name).exists()] == []


def test_every_file_that_a_document_links_is_there() -> None:
    """Below the document, or above it."""
    linked = [(d, link) for d in _documents() for link in _LINK.findall(d.read_text())]
    assert len(linked) > 40

    assert [(d.name, link) for d, link in linked if not (d.parent / link).exists()] == []


def _documents() -> list[Path]:
    return [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob(".github/*.md"),
    ]
