"""``pctnode evaluate``: SynthRAD's figures of a synthetic CT against a CT."""

import argparse
import json
from pathlib import Path
from typing import Any


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    words = "measure a synthetic CT against a CT of the same place"
    parser = commands.add_parser("evaluate", parents=[common], help=words, description=words)
    parser.add_argument("sct", type=Path, metavar="SCT_DIR", help="folder of DICOM, or image file")
    parser.add_argument("ct", type=Path, metavar="CT_DIR", help="folder of DICOM, or image file")
    parser.add_argument("--mask", type=Path, help="image file; without it the CT's outline")
    parser.add_argument("--html", type=Path, help="write the report with pictures here")
    parser.set_defaults(command=_run_evaluate)


def _run_evaluate(arguments: argparse.Namespace) -> int:
    from node.evaluation import evaluate, write_report

    found = evaluate(arguments.sct, arguments.ct, arguments.mask)
    if arguments.html:
        arguments.html.write_text(write_report(found, f"{arguments.sct.name} against a CT"))
    told = found.figures.as_json() | {"notes": list(found.notes)}
    if arguments.json:
        print(json.dumps(told, indent=1))
        return 0
    for key, value in told.items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{key:16} {_line(line)}")
    return 0


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{k} {_line(v)}" for k, v in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
