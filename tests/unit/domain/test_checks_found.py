"""A check is one file: to be there is to be registered, with its code and its words."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from node.domain.codes.registry import CODES, register
from node.domain.wording import row

CHECK = '''
"""Acceptance check of one file."""

from node.domain.checks.rules import Rules, uids_of
from node.domain.codes.registry import register
from node.domain.findings import Finding, finding
from node.domain.stack import Stack
from node.domain.wording import row

register(
    {
        "FEW_ROWS": row(
            "hold",
            en=("Few rows", "The images have {rows} rows.", "Scan again."),
            fr=("Peu de lignes", "Les images ont {rows} lignes.", "Refaites l'examen."),
        )
    }
)


def few_rows(stack: Stack, _rules: Rules) -> Finding | None:
    """Images of less than 64 rows show too little."""
    rows = stack.header.rows
    return finding("FEW_ROWS", rows=rows, uids=uids_of(stack.slices)) if rows < 64 else None


ACCEPTANCE = (few_rows,)
'''
USE = """
import sys

import node.domain.checks as checks

checks.__path__.append(sys.argv[1])

from node.domain.codes.table import CODES, sentence
from node.domain.reading import Reader
from node.domain.site import read_site
from node.dicom.headers import read_instance
from node.pipeline import collect, examine, rules_for
from tests.phantoms.mr import mr_series

site = read_site(Reader({"peers": [], "routes": [
    {"name": "r", "when": {}, "model": "m", "deliver_to": [], "release": "auto",
     "findings": {"FEW_ROWS": "refuse"}}]}))
for rules in (rules_for(None), rules_for(site.routes[0])):
    (examined,) = examine(collect(map(read_instance, mr_series().datasets)), rules)
    (found,) = (f for f in examined.findings if f.code == "FEW_ROWS")
    print(examined.verdict.value, found.severity.value, found.sentence)
print(sentence("FEW_ROWS", found.values, "fr"))
"""


@pytest.mark.long
def test_a_check_in_a_file_of_its_own_is_found(tmp_path: Path) -> None:
    """It runs, a route may say what is to be done about it, and it speaks each language."""
    (tmp_path / "few_rows.py").write_text(CHECK)

    told = subprocess.run(
        [sys.executable, "-c", dedent(USE), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        "accepted hold The images have 40 rows.",
        "refused refuse The images have 40 rows.",
        "Les images ont 40 lignes.",
    ]


def test_a_code_has_one_row() -> None:
    """A second file cannot change what a code means."""
    code = next(iter(CODES))
    before = CODES[code]

    with pytest.raises(ValueError, match=code):
        register({code: row("info", en=("a", "b.", "c."), fr=("a", "b.", "c."))})

    assert CODES[code] is before
