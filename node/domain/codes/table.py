"""The table of every finding: its usual severity, its words in each language, what to do about it.

A code never changes its meaning and is never used again for another. ``{names}`` in a sentence are
the values its check must give. The rows stand by theme beside this module, or in the file of their
check (`node.domain.checks`); here all of them are known.
"""

import re
from collections.abc import Mapping

from node.domain.checks import load_all
from node.domain.codes.door import REFUSALS
from node.domain.codes.registry import CODES
from node.domain.wording import Code, Language, Words, filled

__all__ = ["CODES", "Code", "Language", "Words", "sentence", "words"]

load_all()

# A number by itself or among others: no UID, version or address, which have two dots or letters.
_DECIMAL = re.compile(r"(?<![\w.])(\d+)\.(\d+)(?![\w.])")
# Values that are words, by the name they have in sentences.
_FRENCH_VALUES: dict[str, dict[str, str]] = {
    "words": {
        "prone, head first": "sur le ventre, tête en avant",
        "prone, feet first": "sur le ventre, pieds en avant",
        "on the right side, head first": "sur le côté droit, tête en avant",
        "on the left side, head first": "sur le côté gauche, tête en avant",
        "on the right side, feet first": "sur le côté droit, pieds en avant",
        "on the left side, feet first": "sur le côté gauche, pieds en avant",
        "in an unknown position": "dans une position inconnue",
    },
    "sides": {
        "left": "gauche",
        "right": "droite",
        "front": "avant",
        "back": "arrière",
        "top": "haut",
        "bottom": "bas",
    },
    "region": {"head": "tête", "pelvis": "bassin", "abdomen": "abdomen", "thorax": "thorax"},
    "part": {"fat": "graisse", "water": "eau", "opposed phase": "opposition de phase"},
    "declared": {"nothing more": "rien de plus"},
    "value": {"missing": "absent"},
}


def words(code: str, language: str = Language.EN) -> Words:
    """Title, sentence (values still in braces) and remedy of ``code``; `KeyError` when unknown."""
    row = CODES[code]
    return row.fr if language == Language.FR else row.en


def sentence(code: str, values: Mapping[str, str], language: str = Language.EN) -> str:
    """The sentence of ``code`` with the values of a finding, in ``language``.

    A finding of an older release may lack a value; a dash stands in its place.
    """
    told = {key: _said(key, value, language) for key, value in values.items()}
    return filled(words(code, language).sentence, _Dashed(told), language)


def refusal(code: str, language: str = Language.EN) -> str:
    """Why an image was not taken, in a few words; the code itself where it is not known."""
    if code in REFUSALS:
        return REFUSALS[code][language == Language.FR]
    return words(code, language).title if code in CODES else code


def _said(key: str, value: str, language: str) -> str:
    if language != Language.FR:
        return value
    if key == "refusals":
        for code in (*REFUSALS, *CODES):
            value = value.replace(refusal(code) + " (", refusal(code, language) + " (")
        return value
    if key not in _FRENCH_VALUES:
        return _DECIMAL.sub(r"\1,\2", value).replace("): ", ")\u00a0: ")
    known = _FRENCH_VALUES[key]
    if value in known:
        return known[value]
    parts = [known.get(part, part) for part in value.split(" and ")]
    return " et ".join(parts)


class _Dashed(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "–"
