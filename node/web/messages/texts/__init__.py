"""What the pages say, in English and French: one module for each page, one table for all.

French is written, not translated word for word. Rows write plain spaces before high punctuation;
they are set as no-break spaces here.
"""

from collections.abc import Iterator, Mapping

from node.domain.wording import Language
from node.web.messages.texts.accounts import ACCOUNTS
from node.web.messages.texts.common import COMMON
from node.web.messages.texts.door import DOOR
from node.web.messages.texts.models import MODELS
from node.web.messages.texts.network import NETWORK
from node.web.messages.texts.queue import QUEUE
from node.web.messages.texts.series import SERIES
from node.web.messages.texts.states import STATES
from node.web.messages.texts.system import SYSTEM

_HIGH_MARKS = (" :", " ;", " ?", " !", " %", " »")


def _joined(*tables: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    seen: set[str] = set()
    for table in tables:
        for key, (english, french) in table.items():
            if key in seen:
                raise ValueError(f"{key} is written twice")
            seen.add(key)
            yield key, (english, _typeset(french))


def _typeset(french: str) -> str:
    for mark in _HIGH_MARKS:
        french = french.replace(mark, "\u00a0" + mark[1:])
    return french.replace("« ", "«\u00a0")


TEXTS: dict[str, tuple[str, str]] = dict(
    _joined(COMMON, STATES, QUEUE, SERIES, DOOR, ACCOUNTS, NETWORK, MODELS, SYSTEM)
)
"""English and French by key. A new page adds its own module to the line above."""


class Translator:
    """Says a text of the table in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of ``key`` with its values; raises `KeyError` when there is none."""
        text = TEXTS[key][self.language == Language.FR]
        return text.format_map({k: self._said(v) for k, v in values.items()}) if values else text

    def count(self, key: str, number: int, **values: object) -> str:
        """The text of ``key`` for a number: ``key.one`` for one, ``key.many`` for others.

        French counts zero as one.
        """
        one = number == 1 or (number == 0 and self.language == Language.FR)
        return self(f"{key}.one" if one else f"{key}.many", n=number, **values)

    def _said(self, value: object) -> object:
        if isinstance(value, float):
            text = f"{value:g}".replace("-", "−")
            return text.replace(".", ",") if self.language == Language.FR else text
        return value
