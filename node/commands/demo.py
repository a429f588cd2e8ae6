"""``pctnode demo``: the main job once, on loopback."""

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    parser = commands.add_parser(
        "demo", parents=[common], help="run the main job once, end to end, on loopback"
    )
    parser.add_argument("series", nargs="?", type=Path, help="folder of your own MR series")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.set_defaults(command=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    from node.demo.run import run_demo

    return run_demo(series=arguments.series, out=arguments.out)
