"""``pctnode conformance``: the DICOM Conformance Statement."""

import argparse
import sys
from typing import Any

from node.commands.common import settings_of


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser(
        "conformance",
        parents=[common],
        help="print the DICOM Conformance Statement of the running configuration",
    )
    parser.set_defaults(command=_run_conformance)


def _run_conformance(arguments: argparse.Namespace) -> int:
    from node.run.app import conformance_statement

    sys.stdout.write(conformance_statement(settings_of(arguments)))
    return 0
