"""``pctnode series``: what the page shows and does, from a shell."""

import argparse
import getpass
import json
import sys
from typing import Any

from node.archive.work.decisions import Signature
from node.commands.common import add_verb, add_verbs, print_rows, settings_of
from node.domain.errors import Misconfigured
from node.domain.plan import ReleasePolicy
from node.domain.release import to_read


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "series", "what the page shows and does, from a shell")
    add_verb(verbs, common, "list", _list_series)
    add_verb(verbs, common, "show", _show_series).add_argument("id", type=int)
    for word in ("retry", "release", "reject", "resend"):
        verb = add_verb(verbs, common, word, _act_on_series)
        verb.add_argument("id", type=int)
        verb.add_argument("--reason", default="", help="why; needed to reject")
        if word == "release":
            verb.add_argument(
                "--attempt", default="", metavar="REVISION.ATTEMPT"
            ).help = "the one that was looked at, as 1.2; another one is refused"
            verb.add_argument("--as", dest="account", default="", help="account that signs")
            accept = verb.add_argument("--accept", action="append", default=[], metavar="N:CODE")
            accept.help = "a warning that was read and is acceptable; asked for where not given"
        verb.set_defaults(action=word)
    for word in ("adopt", "dismiss"):
        verb = add_verb(verbs, common, word, _correct_series)
        verb.add_argument("id", type=int)
        verb.add_argument("--reason", default="", help="why; needed to dismiss")
        verb.add_argument(
            "--correction", type=int, metavar="N"
        ).help = "the one that was looked at (see pctnode series show); another one is refused"
        verb.add_argument("--as", dest="account", default="", help="account that decides")
        verb.set_defaults(action=word)


def _list_series(arguments: argparse.Namespace) -> int:
    from node.run.app import queries

    rows = queries(settings_of(arguments)).series_items()
    return print_rows(arguments, rows, ("id", "state", "description", "instances", "sentence"))


def _show_series(arguments: argparse.Namespace) -> int:
    from node.run.app import queries

    detail = queries(settings_of(arguments)).series_detail(arguments.id)
    if detail is None:
        raise Misconfigured(
            f"There is no series {arguments.id}.", remedy="See pctnode series list."
        )
    print(json.dumps(detail, indent=1, default=str))
    return 0


def _act_on_series(arguments: argparse.Namespace) -> int:
    from node.run.app import queries
    from node.run.series_actions import act_on_series

    seen = None
    if arguments.action == "release":
        item = queries(settings_of(arguments)).series_detail(arguments.id)
        plan = item["runs"][-1]["plan"] if item and item["runs"] else None
        seen = arguments.attempt or (_attempt(item) if item else None)
        if item and plan and plan["release"] == ReleasePolicy.SIGNATURE:
            print(_sign(arguments, item, plan, seen))
            return 0
    # What the policy was read of is what leaves: a new attempt may ask for a signature.
    settings = settings_of(arguments)
    print(
        act_on_series(settings, arguments.id, arguments.action, reason=arguments.reason, seen=seen)
    )
    return 0


def _correct_series(arguments: argparse.Namespace) -> int:
    """Adopt the images that came again, or leave those that are held."""
    from node.run.series_actions import correct_series

    settings = settings_of(arguments)
    name, password = _who(arguments)
    print(
        correct_series(
            settings,
            arguments.id,
            arguments.action,
            reason=arguments.reason,
            correction=arguments.correction,
            name=name,
            password=password,
        )
    )
    return 0


def _who(arguments: argparse.Namespace) -> tuple[str, str]:
    """Account and password of the person at the terminal."""
    account = arguments.account or _asked("Account: ")
    if sys.stdin.isatty():
        return account, getpass.getpass()
    return account, sys.stdin.readline().rstrip("\n")


def _attempt(item: dict[str, Any]) -> str:
    return f"{item['revision']}.{item['attempts']}"


def _sign(
    arguments: argparse.Namespace, item: dict[str, Any], plan: dict[str, Any], seen: str | None
) -> str:
    """Show what leaves, have each warning accepted, ask who signs; the sentence of what follows."""
    from node.run.series_actions import sign_series

    count = sum(output["instances"] for output in item["outputs"])
    print(f"{count} objects to {', '.join(plan['destinations']) or 'nobody'}.")
    ticked = [key for key in to_read(item["findings"]) if _accepted(key, item, arguments.accept)]
    signature = Signature(
        attempt=seen or _attempt(item),
        ticked=ticked,
        destinations=plan["destinations"],
        instances=count,
        comment=arguments.reason,
    )
    account, password = _who(arguments)
    settings = settings_of(arguments)
    return sign_series(settings, arguments.id, signature, name=account, password=password)


def _accepted(key: str, item: dict[str, Any], accepted: list[str]) -> bool:
    found = item["findings"][int(key.partition(":")[0])]
    print(f"{key}  {found['sentence']}")
    return key in accepted or _asked("Read and acceptable? [y/N] ").lower() == "y"


def _asked(words: str) -> str:
    """An answer of the person at the terminal; empty where there is none."""
    return input(words).strip() if sys.stdin.isatty() else ""
