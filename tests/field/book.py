"""The tables of the book of the field.

``python -m tests.field.book docs/field.md`` tries every report again and writes both tables anew.
"""

import contextlib
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from node.cli import main as pctnode
from tests.field.cases import CASES, Case
from tests.field.heads import write_model
from tests.field.reports import MADE, NOT_MADE, REPORTS, Report

CASES_BEGIN, CASES_END = "<!-- cases: begin -->", "<!-- cases: end -->"
BEGIN, END = "<!-- reports: begin -->", "<!-- reports: end -->"
_MUST = {MADE: "an sCT", NOT_MADE: "no sCT, told", "told": "told, or a valid sCT"}
_MOST_CODES = 3


def case_row(case: Case) -> str:
    """A case with what the node once made of it."""
    return f"| {case.seen} | {case.before} | `{case.name}` |"


def report_row(report: Report) -> str:
    """What stands of a report before its result."""
    return f"| {report.source} | {report.essence} | {_MUST[report.expect]} |"


def _cases() -> Iterator[str]:
    yield "| seen | here, before it was mended | case |"
    yield "|---|---|---|"
    yield from map(case_row, CASES)


def _reports(folder: Path) -> Iterator[str]:
    config = folder / "node.toml"
    config.write_text('[inference]\nproviders = ["cpu"]\n')
    write_model(folder / "onnx")
    yield "| reported | essence | what is right | result | mended |"
    yield "|---|---|---|---|---|"
    for number, report in enumerate(REPORTS):
        result = _try(report, folder / str(number), config)
        yield f"{report_row(report)} {result} | {report.mended} |"


def _try(report: Report, folder: Path, config: Path) -> str:
    """What the node says of a report today, in a few words."""
    report.write(folder / "mr")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        arguments = [str(folder / "mr"), str(folder / "out"), "--config", str(config), "--json"]
        pctnode(["convert", *arguments])
    stacks = json.loads(said.getvalue())["stacks"]
    made = [s for s in stacks if s["verdict"] == "converted"]
    shown = made or [s for s in stacks if s["verdict"] != "dropped"] or stacks
    codes = dict.fromkeys(f["code"] for s in shown for f in s["findings"])
    told = ", ".join([*codes][:_MOST_CODES])
    verdict = "sCT" if made else shown[0]["verdict"]
    return f"{verdict}: {told}" if told else verdict


def _between(text: str, begin: str, end: str, lines: Iterator[str]) -> str:
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return "\n".join([head + begin, *lines, end + tail])


def main(path: Path) -> None:
    """Write the tables into the document at ``path``."""
    warnings.simplefilter("ignore")  # pydicom's, of what is wrong on purpose
    text = _between(path.read_text(), CASES_BEGIN, CASES_END, _cases())
    with tempfile.TemporaryDirectory() as folder:
        text = _between(text, BEGIN, END, _reports(Path(folder)))
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
