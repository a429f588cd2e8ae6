"""The tables of the triage document: every code, and what the checks say of the real data.

``python -m tests.triage_table docs/triage.md`` writes that of the codes anew, with ../shared/data
before it both. They hold names of files, verdicts and codes; nothing of a patient.
"""

import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import read_volume
from node.domain.checks.rules import Rules
from node.domain.codes.table import CODES
from node.domain.errors import Rejected
from node.domain.findings import Finding, Severity, worst
from node.domain.instance import Instance
from node.pipeline import Verdict, collect, examine
from tests.realdata import unpack

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
CODES_BEGIN, CODES_END = "<!-- codes: begin -->", "<!-- codes: end -->"
QUICK = ("corrupt", "mr-enhanced", "mr-compressed/single-files")
_HEAD = "| item | series or file | images | verdict | codes |\n|---|---|---|---|---|"
_NOT_DICOM = (".gz", ".json", ".md")


def rows(data: Path, items: tuple[str, ...] = ()) -> Iterator[str]:
    """A line of the table for each stack and bad file; only of ``items`` where they are given."""
    for path in sorted(data.rglob("*")):
        name = str(path.relative_to(data))
        if items and not name.startswith(items):
            continue
        if path.suffix == ".xz":
            with tempfile.TemporaryDirectory() as folder:
                unpack(path, Path(folder))
                for inner in sorted({p.parent for p in Path(folder).rglob("*") if p.is_file()}):
                    yield from _folder(inner, name.removesuffix(".tar.xz"), inner.name)
        elif path.is_dir() and any(
            p.suffix in {".dcm", ""} and p.is_file() for p in path.iterdir()
        ):
            yield from _folder(path, name, "")


def codes() -> str:
    """The table of every code, in the order of its themes."""
    lines = [
        f"| {code} | {row.title} | {row.severity} | {row.least} |" for code, row in CODES.items()
    ]
    return "\n".join(["| code | what it says | severity | mildest |", "|---|---|---|---|", *lines])


def between(text: str, begin: str, end: str, table: str) -> str:
    """``text`` with ``table`` between two marks."""
    before, after = text.split(begin)[0], text.split(end)[1]
    return f"{before}{begin}\n{table}\n{end}{after}"


def _folder(folder: Path, item: str, part: str) -> Iterator[str]:
    where = item if part in ("", Path(item).name) else f"{item} {part}"
    series: dict[str, dict[str, tuple[Instance, Dataset]]] = {}
    alone = sum(p.is_file() for p in folder.iterdir()) < 20 and "series" not in part
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        if path.suffix in _NOT_DICOM:
            continue
        try:
            dataset = read_file(path.read_bytes(), name=path.name)
        except Rejected as error:
            yield _row(where, path.name, 1, "refused", [error.code])
            continue
        instance = read_instance(dataset)
        uid = instance.series_instance_uid or path.name
        key = path.name if alone and "mr-enhanced" not in item else uid
        series.setdefault(key, {})[instance.sop_instance_uid] = (instance, dataset)
    for number, (key, members) in enumerate(sorted(series.items()), start=1):
        named = key if key in {p.name for p in folder.iterdir()} else f"series {number}"
        yield from _series(where, named, members)


def _series(where: str, named: str, members: dict[str, tuple[Instance, Dataset]]) -> Iterator[str]:
    datasets = {uid: dataset for uid, (_, dataset) in members.items()}
    for examined in examine(collect(i for i, _ in members.values()), Rules()):
        found: list[Finding] = list(examined.findings)
        verdict = examined.verdict.value
        if examined.verdict is Verdict.ACCEPTED:
            try:
                found += read_volume(examined.stack, datasets)[1]
            except Rejected as error:
                verdict, found = "refused", [*found, *getattr(error, "findings", ())]
        if verdict == "accepted" and worst(found) in (Severity.HOLD, Severity.REFUSE):
            verdict = "held" if worst(found) is Severity.HOLD else "refused"
        codes = [f.code for f in found if f.severity is not Severity.INFO]
        yield _row(where, named, len(examined.stack.slices), verdict, codes)


def _row(item: str, name: str, images: int, verdict: str, codes: list[str]) -> str:
    told = ", ".join(f"{code}" for code in Counter(codes)) or "–"
    return f"| {item} | {name} | {images} | {verdict} | {told} |"


def main() -> None:
    """Write the tables into the document, that of real data where its folder is named."""
    *data, document = map(Path, sys.argv[1:])
    text = between(document.read_text(), CODES_BEGIN, CODES_END, codes())
    for folder in data:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = between(text, BEGIN, END, "\n".join([_HEAD, *rows(folder)]))
    document.write_text(text)


if __name__ == "__main__":
    main()
