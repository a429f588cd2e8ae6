"""``pctnode check``: verify an installation."""

import argparse
import json
from typing import Any

from node.commands.common import settings_of


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser(
        "check", parents=[common], help="verify settings, folders, database, models and peers"
    )
    parser.add_argument(
        "--deep", action="store_true", help="read every file of the archive and compare its digest"
    )
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take up received files that the database does not know, after a restore above all",
    )
    parser.set_defaults(command=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    from node.run.diagnostics import examine_node

    results = examine_node(settings_of(arguments), deep=arguments.deep, adopt=arguments.adopt)
    if arguments.json:
        print(json.dumps([r.as_json() for r in results], indent=1))
    else:
        for result in results:
            print(f"{'ok  ' if result.ok else 'FAIL'} {result.name}: {result.sentence}")
    return 0 if all(r.ok for r in results) else 4
