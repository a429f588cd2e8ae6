"""How a row of the table of findings is written: its severity and its words in each language."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """Languages a person may read the node in."""

    EN = "en"
    FR = "fr"


@dataclass(frozen=True, slots=True)
class Words:
    """What a person reads of one code."""

    title: str
    """A few words, without values: the heading."""
    sentence: str
    """What happened, with the values in braces."""
    remedy: str
    """What to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One row of the table."""

    severity: str
    """Usual severity, a value of `node.domain.findings.Severity`; a check may change it."""
    least: str
    """The mildest severity a route may give it; what moves or bends anatomy stays refused."""
    en: Words
    fr: Words

    @property
    def title(self) -> str:
        """The English heading."""
        return self.en.title

    @property
    def sentence(self) -> str:
        """The English sentence, with the values in braces."""
        return self.en.sentence

    @property
    def remedy(self) -> str:
        """What to do, in English."""
        return self.en.remedy


# ``{count} [slice is|slices are]``: one form for one, another for more.
_FORMS = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")


def filled(template: str, values: Mapping[str, str], language: str = Language.EN) -> str:
    """``template`` with its values, and the form of each word that the number before it asks for.

    French counts none as one does. Raises `KeyError` for a value that is not given.
    """
    parts, many = [], True
    for literal, name, _, _ in string.Formatter().parse(template):
        parts.append(_FORMS.sub(r"\2" if many else r"\1", literal))
        if name is not None:
            value = values[name]
            parts.append(value)
            if re.fullmatch(r"\d+", value):
                many = int(value) > 1 or (value == "0" and language != Language.FR)
    return "".join(parts)


def agreed(text: str, language: str) -> str:
    """Whole ``text`` with the form of each word that the number before it asks for."""

    def form(found: re.Match[str]) -> str:
        numbers = re.findall(r"\d+", text[: found.start()])
        one = bool(numbers) and int(numbers[-1]) <= 1 and (numbers[-1] == "1" or language == "fr")
        return found[1] if one else found[2]

    return _FORMS.sub(form, text)


def counted(count: int, one: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``; ``many`` where its form is not ``one`` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


_LEAST = {"info": "info", "drop": "drop", "warning": "warning", "hold": "warning"}
# French sets a no-break space before these (Imprimerie nationale); the rows write a plain one.
_HIGH_MARKS = (" :", " ;", " ?", " %", " »")


def row(
    severity: str, *, en: tuple[str, str, str], fr: tuple[str, str, str], least: str | None = None
) -> Code:
    """Write one row; each language gives title, sentence and remedy."""
    return Code(
        severity=severity,
        least=least or _LEAST.get(severity, severity),
        en=Words(*en),
        fr=Words(*(_typeset(text) for text in fr)),
    )


def _typeset(french: str) -> str:
    for mark in _HIGH_MARKS:
        french = french.replace(mark, "\u00a0" + mark[1:])
    return french.replace("« ", "«\u00a0").replace("'", "’")


RESEND = (
    "Send the whole series again from the PACS.",
    "Renvoyez la série entière depuis le PACS.",
)
EXPORT = (
    "Export the series again from the scanner or the PACS, as the scanner made it.",
    "Réexportez la série depuis l'IRM ou le PACS, telle que l'IRM l'a produite.",
)
ORIGINALS = (
    "Send the original magnitude images of the planning sequence.",
    "Envoyez les images d'amplitude originales de la séquence de planification.",
)
