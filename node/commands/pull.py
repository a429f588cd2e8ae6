"""``pctnode pull``: fetch series from an archive."""

import argparse
import json
from typing import Any

from node.commands.common import settings_of
from node.domain.errors import Retryable


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    words = "have an archive send series: those named, else every MR series of the study"
    parser = commands.add_parser("pull", parents=[common], help=words, description=words)
    parser.add_argument("peer", help="name of the peer that has them")
    parser.add_argument("study", help="Study Instance UID")
    parser.add_argument("series", nargs="*", help="Series Instance UIDs")
    within = parser.add_argument("--within", type=float, default=600.0, metavar="SECONDS")
    within.help = "how long to wait for its end"
    parser.set_defaults(command=_pull)


def _pull(arguments: argparse.Namespace) -> int:
    from node.run.series_actions import pull

    said = pull(
        settings_of(arguments),
        arguments.peer,
        arguments.study,
        arguments.series,
        within_s=arguments.within,
    )
    if arguments.json:
        print(json.dumps(said, indent=1))
    else:
        print(said["sentence"])
    if not said["ok"]:
        why = "Nothing, or not everything, was pulled."
        raise Retryable(why, remedy="Mend what the sentence says, and ask again.")
    return 0
