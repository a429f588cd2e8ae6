"""Reading settings out of plain mappings: every fault names its place, its value and the remedy.

A `Reader` walks one table. What nobody asked for is an error at `finish`, so a misspelt key is
never silently ignored.
"""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from node.domain.errors import Misconfigured

Path = tuple[str | int, ...]


class BadSetting(Misconfigured):
    """A setting that cannot be used, with the place it stands at."""

    def __init__(self, path: Path, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{dotted(path)}: {message}", remedy=remedy)
        self.path = path
        self.detail = message


def dotted(path: Path) -> str:
    """``("peers", 1, "port")`` as a person writes it: ``peers[2].port``, counting from one."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


class Reader:
    """One table of settings, read key by key."""

    def __init__(self, table: object, path: Path = ()) -> None:
        if not isinstance(table, Mapping):
            raise BadSetting(path, f"{table!r} is not a table.", remedy="Write key = value lines.")
        self._table: Mapping[str, Any] = table
        self._path = path
        self._asked: set[str] = set()

    def place(self, key: str) -> Path:
        """Where ``key`` of this table stands."""
        return (*self._path, key)

    def has(self, key: str) -> bool:
        """Whether the table holds ``key``."""
        return key in self._table

    def names(self) -> tuple[str, ...]:
        """Every key of the table, for tables whose keys are the site's own."""
        return tuple(self._table)

    def text(self, key: str, default: str | None = None, *, choices: Sequence[str] = ()) -> str:
        """A string, one of ``choices`` where they are given."""
        value = self._value(key, default, str, "a text in quotes")
        if choices and value not in choices:
            close = _suggest(value, choices)
            raise self.fault(key, f"{value!r} is not one of {', '.join(choices)}.", close)
        return str(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A boolean."""
        return bool(self._value(key, default, bool, "true or false"))

    def integer(
        self, key: str, default: int | None = None, *, low: int = 0, high: int = 2**31
    ) -> int:
        """A whole number in [low, high]."""
        value = self._value(key, default, int, "a whole number")
        if isinstance(value, bool):
            raise self.fault(key, f"{value} is not a whole number.", "Write digits.")
        if not low <= value <= high:
            raise self.fault(
                key, f"{value} is not between {low} and {high}.", "Choose one that is."
            )
        return int(value)

    def number(self, key: str, default: float | None = None, *, low: float = 0.0) -> float:
        """A number that is at least ``low``."""
        value = self._value(key, default, (int, float), "a number")
        if isinstance(value, bool) or not value >= low:
            raise self.fault(
                key, f"{value} is not a number from {low:g} up.", "Choose one that is."
            )
        return float(value)

    def texts(
        self, key: str, default: Sequence[str] | None = None, *, choices: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """A list of strings; a single string counts as a list of one."""
        value = self._value(key, default, (str, list, tuple), "a list of texts")
        items = [value] if isinstance(value, str) else list(value)
        for item in items:
            if not isinstance(item, str):
                raise self.fault(key, f"{item!r} is not a text.", "Put it in quotes.")
            if choices and item not in choices:
                close = _suggest(item, choices)
                raise self.fault(key, f"{item!r} is not one of {', '.join(choices)}.", close)
        return tuple(items)

    def table(self, key: str) -> "Reader":
        """The table under ``key``; an empty one where there is none."""
        self._asked.add(key)
        return Reader(self._table.get(key, {}), self.place(key))

    def tables(self, key: str) -> tuple["Reader", ...]:
        """Every table of the array of tables ``key``."""
        self._asked.add(key)
        value = self._table.get(key, [])
        if not isinstance(value, list | tuple):
            raise self.fault(key, "is not an array of tables.", f"Begin each with [[{key}]].")
        return tuple(Reader(item, (*self._path, key, n)) for n, item in enumerate(value))

    def finish(self) -> None:
        """Raise `BadSetting` for the first key that nobody asked for."""
        for key in self._table:
            if key not in self._asked:
                raise self.fault(key, "is not a setting.", _suggest(key, sorted(self._asked)))

    def fault(self, key: str, message: str, remedy: str = "") -> BadSetting:
        """The error to raise for ``key``."""
        return BadSetting(self.place(key), message, remedy=remedy)

    def _value(self, key: str, default: Any, kinds: Any, words: str) -> Any:
        self._asked.add(key)
        if key not in self._table:
            if default is None:
                raise self.fault(key, "is missing.", f"Add {key} = {words}.")
            return default
        value = self._table[key]
        if not isinstance(value, kinds):
            raise self.fault(key, f"{value!r} is not {words}.", f"Write {words}.")
        return value


def _suggest(value: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(value, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known here: {', '.join(known)}."
