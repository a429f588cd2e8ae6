"""``pctnode backup``: a copy from which the node can start, taken while it runs."""

import argparse
from pathlib import Path
from typing import Any

from node.commands.common import settings_of
from node.progress import Progress


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser(
        "backup", parents=[common], help="copy databases and files while the node runs"
    )
    parser.add_argument("target", type=Path, help="folder; a later backup adds what is new")
    parser.set_defaults(command=_run_backup)


def _run_backup(arguments: argparse.Namespace) -> int:
    from node.run.diagnostics import back_up

    with Progress() as progress:
        sentence = back_up(
            settings_of(arguments),
            arguments.target,
            lambda files: progress(f"{files} files", 1.0),
        )
    print(sentence)
    return 0
