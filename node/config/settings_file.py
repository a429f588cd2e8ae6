"""Where settings come from: a TOML file, the environment, files that hold one secret each.

A fault is traced back to the line or the variable it came from.
"""

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from node.domain.errors import Misconfigured
from node.domain.reading import Path as Place

ENVIRONMENT_PREFIX = "PCTNODE_"
# ``PCTNODE_DATABASE__URL_FILE`` names a file with the value of ``PCTNODE_DATABASE__URL``.
_FILE = "_FILE"


def read_text(file: Path) -> str:
    """The text of a settings file; `Misconfigured` where there is none."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise Misconfigured(
            f"There is no settings file {file}.", remedy="Name another with --config."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} cannot be read: {error}.") from None


def read_environment(
    environment: Mapping[str, str], sections: Collection[str]
) -> dict[tuple[str, str], Any]:
    """``PCTNODE_<SECTION>__<KEY>`` variables; values are TOML, or plain text where that fails.

    ``PCTNODE_<SECTION>__<KEY>_FILE`` names a file that holds the value, as plain text.
    """
    found: dict[tuple[str, str], Any] = {}
    for name, raw in environment.items():
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        if section.lower() not in sections:
            raise Misconfigured(
                f"Environment variable {name}: there is no section [{section.lower()}].",
                remedy=f"Sections are {', '.join(sections)}.",
            )
        if key.endswith(_FILE):
            found[section.lower(), key.removesuffix(_FILE).lower()] = _secret(name, Path(raw))
        else:
            found[section.lower(), key.lower()] = _toml_value(raw)
    return found


def _secret(name: str, file: Path) -> str:
    """The text of a file that holds one value, such as those of systemd or a container."""
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"Environment variable {name}: {file} cannot be read: {error}.",
            remedy="Correct the path, or its rights.",
        ) from None


def _toml_value(raw: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


def merged(raw: dict[str, Any], overrides: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """The file's values with those of the environment in their place."""
    merged = dict(raw)
    for (section, key), value in overrides.items():
        table = merged.get(section, {})
        if isinstance(table, Mapping):
            merged[section] = {**table, key: value}
    return merged


def place_name(
    place: Place, text: str, file: Path | None, overrides: Mapping[tuple[str, str], Any]
) -> str:
    """Where a setting stands, for a person: the variable, or file and line."""
    if len(place) >= 2 and (place[0], place[1]) in overrides:
        name = f"{ENVIRONMENT_PREFIX}{place[0]}__{place[1]}".upper()
        return f"Environment variable {name}"
    return f"{file or 'settings'}, line {_line_of(place, text)}"


def _line_of(place: Place, text: str) -> int:
    """Line, from 1, where ``place`` stands in the TOML ``text``, or where its table does."""
    start, end = _table_span(place, text)
    key = next((part for part in reversed(place) if isinstance(part, str)), "")
    lines = text.splitlines()
    for number in range(start, end):
        if re.match(rf"\s*(\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*(=|\.|\])", lines[number]):
            return number + 1
    for number in range(start, end):  # inside an inline table
        if re.search(rf"[{{,]\s*[\"']?{re.escape(key)}[\"']?\s*=", lines[number]):
            return number + 1
    return max(start, 1)


def _table_span(place: Place, text: str) -> tuple[int, int]:
    lines = text.splitlines()
    if len(place) < 2:
        return 0, len(lines)
    index = place[1] if isinstance(place[1], int) else 0
    header = re.compile(rf"\s*\[+\s*{re.escape(str(place[0]))}\s*\]+")
    starts = [n for n, line in enumerate(lines) if header.match(line)]
    if index >= len(starts):
        return 0, len(lines)
    start = starts[index]
    later = (n for n in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[n]))
    return start + 1, next(later, len(lines))
