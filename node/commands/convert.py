"""``pctnode convert``: a folder of MR files becomes synthetic CT."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.commands.common import settings_of
from node.progress import Progress


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser(
        "convert", parents=[common], help="turn a folder of MR files into synthetic CT"
    )
    parser.add_argument("in_dir", type=Path, metavar="IN_DIR")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--model", help="name of a model in the models folder")
    parser.set_defaults(command=_run_convert)


def _run_convert(arguments: argparse.Namespace) -> int:
    from node.convert import convert_folder, exit_status
    from node.run.app import conversion_context

    context = conversion_context(settings_of(arguments), model_name=arguments.model)
    with Progress() as progress:
        reports = convert_folder(arguments.in_dir, arguments.out_dir, context, progress)
    if arguments.json:
        print(json.dumps({"stacks": [r.as_json() for r in reports]}, indent=1))
    else:
        for report in reports:
            _print_stack(report.verdict, report.series_instance_uid, report.findings)
            if report.output:
                print(f"    {report.output}")
    return exit_status(reports)


def _print_stack(verdict: str, uid: str | None, findings: Sequence[Any]) -> None:
    print(f"{verdict:10} {uid or '(no series)'}")
    for found in findings:
        print(f"    {found.severity.value:8} {found.code}: {found.sentence}")
