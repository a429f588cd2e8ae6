"""``pctnode serve``: run the node."""

import argparse
from typing import Any

from node import log
from node.commands.common import check_routes, settings_of


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser("serve", parents=[common], help="run the node")
    parser.add_argument("--role", choices=("all", "scp", "worker", "web"), default="all")
    parser.add_argument("--slot", type=int, default=0, help="which of several processes of a role")
    parser.set_defaults(command=_run_serve)


def _run_serve(arguments: argparse.Namespace) -> int:
    from node.run.processes import serve

    log.configure("INFO", role=arguments.role)
    settings = settings_of(arguments)
    log.keep(settings.node.data_dir, f"{arguments.role}-{arguments.slot}")
    check_routes(settings)
    return serve(settings, role=arguments.role, slot=arguments.slot)
