"""``pctnode users``: the people who may log in to the page."""

import argparse
import getpass
import sys
from typing import Any

from node.commands.common import add_verb, add_verbs, print_rows, settings_of
from node.domain.access import Role
from node.domain.errors import Misconfigured


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "users", "the people who may log in to the page")
    add_verb(verbs, common, "list", _list_users)
    new = add_verb(verbs, common, "add", _add_user)
    new.add_argument("name", help="log-in name")
    new.add_argument("--role", required=True, choices=[role.value for role in Role])
    new.add_argument("--display-name", default="", help="name as the page shows it")
    _add_stdin(new)
    password = add_verb(verbs, common, "password", _set_password)
    password.add_argument("name")
    _add_stdin(password)


def _add_stdin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def _list_users(arguments: argparse.Namespace) -> int:
    from node.run.app import accounts

    rows = accounts(settings_of(arguments)).all()
    return print_rows(arguments, rows, ("name", "role", "disabled", "logs_in", "seen_at"))


def _add_user(arguments: argparse.Namespace) -> int:
    from node.run.app import accounts

    accounts(settings_of(arguments)).add(
        arguments.name,
        Role(arguments.role),
        _password(arguments),
        who=f"{getpass.getuser()} (shell)",
        display_name=arguments.display_name,
    )
    print(f"{arguments.name} may log in as {arguments.role}.")
    return 0


def _set_password(arguments: argparse.Namespace) -> int:
    from node.run.app import accounts

    who = f"{getpass.getuser()} (shell)"
    accounts(settings_of(arguments)).set_password(arguments.name, _password(arguments), who=who)
    print(f"{arguments.name} has a new password; sessions are ended.")
    return 0


def _password(arguments: argparse.Namespace) -> str:
    """A password never stands on a command line, where every process could read it."""
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise Misconfigured(
            "There is no terminal to ask for the password.",
            remedy="Give --password-stdin and the password on standard input.",
        )
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise Misconfigured("The two passwords differ.", remedy="Try again.")
    return first
