"""The console script ``pctnode``: thin commands over the rooms below.

Exit status: 0 done; 1 our defect; 2 wrong usage or settings; 3 a stack or series was refused or
held; 4 a peer or a resource was not available.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from node import __version__, log
from node.commands import (
    backup,
    check,
    conformance,
    convert,
    demo,
    evaluate,
    models,
    peers,
    pull,
    routes,
    series,
    serve,
    site,
    users,
)
from node.commands.common import Command
from node.domain.errors import Misconfigured, NodeError, Rejected, Retryable

_COMMANDS = (
    serve,
    convert,
    check,
    demo,
    peers,
    pull,
    routes,
    site,
    series,
    models,
    conformance,
    evaluate,
    users,
    backup,
)
_STATUS: tuple[tuple[type[NodeError], int], ...] = (
    (Misconfigured, 2),
    (Rejected, 3),
    (Retryable, 4),
    (NodeError, 1),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args(argv)
    log.configure("INFO" if arguments.verbose else "WARNING")
    command: Command = arguments.command
    try:
        return command(arguments)
    except NodeError as error:
        print(f"pctnode: {error}", file=sys.stderr)
        return next(status for kind, status in _STATUS if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pctnode", description="A DICOM node that turns MR series into synthetic CT."
    )
    parser.add_argument("--version", action="version", version=f"pctnode {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, help="settings file (default: node.toml, if there)")
    common.add_argument("--json", action="store_true", help="print JSON for a script")
    common.add_argument("--verbose", action="store_true", help="log to standard error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands, common)
    return parser
