"""``pctnode models``: the generators in the models folder."""

import argparse
from typing import Any

from node.commands.common import add_verb, add_verbs, print_rows, settings_of


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add its arguments."""
    verbs = add_verbs(commands, "models", "the generators in the models folder")
    add_verb(verbs, common, "list", _list_models)
    add_verb(verbs, common, "verify", _verify_models).add_argument("name", nargs="?")


def _list_models(arguments: argparse.Namespace) -> int:
    from node.run.generators import model_rows

    rows = model_rows(settings_of(arguments))
    return print_rows(arguments, rows, ("name", "version", "body_part", "spacing_mm", "sha256"))


def _verify_models(arguments: argparse.Namespace) -> int:
    from node.run.generators import verify_models

    rows = verify_models(settings_of(arguments), arguments.name)
    print_rows(arguments, rows, ("name", "version", "provider", "verdict"))
    return 0 if all(row["ok"] for row in rows) else 1
