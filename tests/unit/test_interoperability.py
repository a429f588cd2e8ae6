"""The documented matrix of services and peers: no empty cell, no test that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "interoperability.md").read_text("utf-8")


def rows() -> list[list[str]]:
    """Cells of every row of every table, headings and rules aside."""
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-") and row[1] != "test"]


def test_every_cell_has_a_test_or_a_reason() -> None:
    """Each service of each peer; and every test and reason is used."""
    tests = {row[0]: row[1] for row in rows() if len(row) == 2}
    reasons = set(re.findall(r"^(\d+)\. \S", DOCUMENT, re.MULTILINE))
    matrix = [row for row in rows() if len(row) > 2 and row[0] != "peer"]
    used = {word for row in matrix for cell in row[1:] for word in cell.split(", ")}

    assert {len(row) for row in matrix} == {7, 10}
    assert len(matrix) == 9
    assert used == {*tests, *reasons}


def test_every_test_that_is_named_is_there() -> None:
    """File and function."""
    for place in (row[1] for row in rows() if len(row) == 2):
        file, _, name = place.partition("::")
        text = (ROOT / file).read_text("utf-8")
        assert not name or f"\ndef {name}(" in text, place


def test_every_tool_of_the_peers_is_named() -> None:
    """Those that the tests drive."""
    tools = ("echoscu", "storescu", "dcmsend", "findscu", "movescu", "getscu", "dcmqrscp",
             "storescp", "Orthanc", "pynetdicom", "dicomweb-client")  # fmt: skip

    assert [tool for tool in tools if tool not in DOCUMENT] == []
