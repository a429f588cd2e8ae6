"""``pctnode site``: peers and routes together, from and to a file, and who changed them."""

import argparse
import sys
from pathlib import Path
from typing import Any

from node.commands.common import add_verb, add_verbs, print_rows, settings_of, who
from node.domain.errors import Misconfigured


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "site", "peers and routes together: export, import, history")
    export = add_verb(verbs, common, "export", _export)
    export.add_argument("file", type=Path, nargs="?", help="standard output when not given")
    add_verb(verbs, common, "import", _import).add_argument("file", type=Path)
    add_verb(verbs, common, "history", _history)


def _export(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    text = site_book(settings_of(arguments)).export()
    if arguments.file is None:
        sys.stdout.write(text)
    else:
        arguments.file.write_text(text, "utf-8")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from node.run.app import site_book

    try:
        text = arguments.file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{arguments.file} cannot be read: {error}.") from None
    said = site_book(settings_of(arguments)).import_toml(text, who=who())
    print("\n".join(said) or "Nothing to change.")
    return 0


def _history(arguments: argparse.Namespace) -> int:
    from node.run.app import queries

    rows = queries(settings_of(arguments)).site_changes()
    return print_rows(arguments, rows, ("at", "who", "action", "kind", "name"))
