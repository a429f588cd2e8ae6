"""What the commands share: settings, verbs, tables."""

import argparse
import getpass
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node.config.settings import Settings, fault_at, load
from node.domain.errors import Misconfigured

DEFAULT_CONFIG = Path("node.toml")
Command = Callable[[argparse.Namespace], int]


def add_verbs(commands: Any, noun: str, words: str) -> Any:
    """Add a command that takes verbs; what `add_verb` needs."""
    parser = commands.add_parser(noun, help=words, description=words)
    return parser.add_subparsers(required=True, metavar="VERB")


def add_verb(
    verbs: Any, common: argparse.ArgumentParser, word: str, command: Command
) -> argparse.ArgumentParser:
    """Add one verb of a command; the parser for its arguments."""
    parser: argparse.ArgumentParser = verbs.add_parser(word, parents=[common])
    parser.set_defaults(command=command)
    return parser


def changes_of(words: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as a mapping: TOML values, else plain text; nothing: the default."""
    found: dict[str, Any] = {}
    for word in words:
        key, separator, raw = word.partition("=")
        if not separator:
            raise Misconfigured(f"{word!r} is not key=value.", remedy="Write max_associations=4.")
        found[key] = _value(raw) if raw else None
    return found


def _value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def who() -> str:
    """Who gives the command, for the records."""
    return f"{getpass.getuser()} (command)"


def print_rows(
    arguments: argparse.Namespace, rows: Sequence[dict[str, Any]], columns: Sequence[str]
) -> int:
    """Print ``columns`` of ``rows``, or all of them as JSON; exit status 0."""
    if arguments.json:
        print(json.dumps(list(rows), indent=1, default=str))
        return 0
    print("  ".join(columns))
    for row in rows:
        print("  ".join(_cell(row.get(c)) for c in columns))
    return 0


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(v) for v in value) or "-"
    return "-" if value in (None, "", {}) else str(value)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings a command runs with."""
    named: Path | None = arguments.config
    return load(named or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None))


def check_routes(settings: Settings) -> None:
    """Raise `Misconfigured` with file and line where a route names a model that is not there."""
    from node.run.generators import registry

    names = {m.ref.name for m in registry(settings).models}
    for n, route in enumerate(settings.site.routes):
        if route.model not in names:
            raise fault_at(
                settings,
                ("routes", n, "model"),
                f"there is no model {route.model!r} in {settings.inference.models_dir}.",
                remedy=f"Models there: {', '.join(sorted(names)) or 'none'}.",
            )
