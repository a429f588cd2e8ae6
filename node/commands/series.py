"""``pctnode series``: what the page shows and does, from a shell."""

import argparse
import json
from typing import Any

from node.commands.common import add_verb, add_verbs, print_rows, settings_of
from node.domain.errors import Misconfigured


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "series", "what the page shows and does, from a shell")
    add_verb(verbs, common, "list", _list_series)
    add_verb(verbs, common, "show", _show_series).add_argument("id", type=int)
    for word in ("retry", "release", "reject", "resend"):
        verb = add_verb(verbs, common, word, _act_on_series)
        verb.add_argument("id", type=int)
        verb.add_argument("--reason", default="", help="why; needed to reject")
        verb.set_defaults(action=word)


def _list_series(arguments: argparse.Namespace) -> int:
    from node.app import queries

    rows = queries(settings_of(arguments)).series_items()
    return print_rows(arguments, rows, ("id", "state", "description", "instances", "sentence"))


def _show_series(arguments: argparse.Namespace) -> int:
    from node.app import queries

    detail = queries(settings_of(arguments)).series_detail(arguments.id)
    if detail is None:
        raise Misconfigured(
            f"There is no series {arguments.id}.", remedy="See pctnode series list."
        )
    print(json.dumps(detail, indent=1, default=str))
    return 0


def _act_on_series(arguments: argparse.Namespace) -> int:
    from node.app import act_on_series

    print(
        act_on_series(
            settings_of(arguments), arguments.id, arguments.action, reason=arguments.reason
        )
    )
    return 0
