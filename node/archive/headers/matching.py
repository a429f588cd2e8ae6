"""Attribute matching as PS3.4 C.2.2.2 says it, for C-FIND and QIDO alike. Pure: no database.

Compared are a key of the query and the text of a stored value, both decoded. Case counts, except
in person names, which are compared without case and accents, whole or by component group; a
backslash in a key lists alternatives, and of a stored value with several parts one must match.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from node.domain.errors import Rejected

# PS3.4 C.2.2.2.4: these may carry wild cards; C.2.2.2.5: these may be ranges.
WILD = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AS"})
RANGED = frozenset({"DA", "TM", "DT"})
_NUMBERS = frozenset({"IS", "DS", "US", "SS", "UL", "SL", "FL", "FD"})

# PS3.5 6.2: 64 characters in the values that are searched for, 5 x 64 and more in a name with all
# its groups; text of up to 10,240 characters is found by a piece of it.
LONGEST_WILD = 1024
MOST_ALTERNATIVES = 1000


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute of a query."""

    keyword: str
    vr: str
    value: str = ""
    """Empty: universal matching, the value is asked for."""
    items: tuple["Key", ...] = ()
    """Of a sequence: the keys of its one item."""

    @property
    def universal(self) -> bool:
        """Whether it matches whatever is there."""
        if self.vr == "SQ":
            return all(item.universal for item in self.items)
        return self.value == "" or (self.vr in WILD and not self.value.strip("*"))

    @property
    def wild(self) -> bool:
        """Whether it needs a pattern."""
        return self.vr in WILD and ("*" in self.value or "?" in self.value)


def matches(key: Key, value: Any) -> bool:
    """Whether the stored ``value`` (text, a list of items, None where it is absent) matches."""
    if key.universal:
        return True
    if key.vr == "SQ":
        return any(_item_matches(key.items, item) for item in value or ())
    if not value:
        return False
    stored = str(value).split("\\")
    if key.vr == "UI":  # the one list that is long by right: a worklist of UIDs
        return not _stripped(key.value).isdisjoint(part.strip(" \0") for part in stored)
    return any(_one(key.vr, wanted, part) for wanted in key.value.split("\\") for part in stored)


def require_modest(keys: Iterable[Key]) -> None:
    """Raise `Rejected` (IDENTIFIER) for a key whose comparison would cost out of all proportion.

    Each stored value is compared with each alternative of a key.
    """
    for key in keys:
        require_modest(key.items)
        alternatives = key.value.count("\\") + 1
        if key.vr != "UI" and (
            alternatives > MOST_ALTERNATIVES or (key.wild and len(key.value) > LONGEST_WILD)
        ):
            raise Rejected(
                f"{key.keyword} has {alternatives} alternatives in {len(key.value)} characters; "
                f"{MOST_ALTERNATIVES} are compared, and {LONGEST_WILD} characters with wild cards.",
                code="IDENTIFIER",
                remedy="Ask for fewer values at a time.",
            )


def all_match(keys: Iterable[Key], values: Mapping[str, Any]) -> bool:
    """Whether every key matches its attribute in ``values``."""
    return all(matches(key, values.get(key.keyword)) for key in keys)


def fold(text: str) -> str:
    """Without case and accents: how person names are compared."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def _item_matches(keys: Iterable[Key], item: Mapping[str, Any]) -> bool:
    return all_match(keys, item)


def _one(vr: str, wanted: str, stored: str) -> bool:
    if vr in RANGED:
        return _in_range(vr, wanted.strip(), stored.strip())
    if vr == "PN":
        return _same_name(wanted, stored)
    if vr in _NUMBERS:
        return _same_number(wanted, stored)
    if vr in WILD and ("*" in wanted or "?" in wanted):
        return _wild(wanted, stored)
    return wanted.strip(" \0") == stored.strip(" \0")


def _same_name(wanted: str, stored: str) -> bool:
    """PS3.5 6.2.1: by component group (alphabetic, ideographic, phonetic), trailing ``^`` aside."""
    key = _name(wanted)
    candidates = {_name(stored), *(_name(group) for group in stored.split("="))}
    if "*" in key or "?" in key:
        return any(_wild(key, name) for name in candidates)
    return key in candidates


def _name(text: str) -> str:
    return "=".join(group.strip(" ^") for group in fold(text).split("=")).strip("= ")


@lru_cache(maxsize=64)
def _stripped(value: str) -> frozenset[str]:
    return frozenset(part.strip(" \0") for part in value.split("\\"))


def _wild(pattern: str, text: str) -> bool:
    """Whether ``text`` is what ``pattern`` says: ``*`` any run, ``?`` any one character.

    Each piece between two stars is taken where it comes first, which leaves the most for those
    behind it, so that nothing is ever tried again. A regular expression tries every division of the
    text among the stars: 20 characters of a query held a process for half a minute.
    """
    first, *pieces = pattern.split("*")
    if not pieces:
        return len(text) == len(first) and _stands(first, text, 0)
    last = pieces.pop()
    end = len(text) - len(last)
    if end < len(first) or not _stands(first, text, 0) or not _stands(last, text, end):
        return False
    place = len(first)
    for piece in pieces:
        place = _place(piece, text, place, end)
        if place < 0:
            return False
    return True


def _place(piece: str, text: str, start: int, end: int) -> int:
    """The end of the first ``piece`` between ``start`` and ``end``; -1 where there is none."""
    if "?" not in piece:
        found = text.find(piece, start, end)
        return found + len(piece) if found >= 0 else -1
    for at in range(start, end - len(piece) + 1):
        if _stands(piece, text, at):
            return at + len(piece)
    return -1


def _stands(piece: str, text: str, at: int) -> bool:
    """Whether ``piece``, without stars, stands in ``text`` at ``at``."""
    return all(c in ("?", d) for c, d in zip(piece, text[at : at + len(piece)], strict=True))


def _same_number(wanted: str, stored: str) -> bool:
    try:
        return float(wanted) == float(stored)
    except ValueError:
        return wanted.strip() == stored.strip()


def _in_range(vr: str, wanted: str, stored: str) -> bool:
    """PS3.4 C.2.2.2.5: ``a-b``, ``a-`` and ``-b``, both ends included."""
    low, dash, high = _ends(vr, wanted)
    first, last = _span(vr, stored)
    if not first:
        return False
    if not dash:
        return _span(vr, low)[0] <= first <= _span(vr, low)[1]
    return (not low or _span(vr, low)[0] <= last) and (not high or first <= _span(vr, high)[1])


def _ends(vr: str, wanted: str) -> tuple[str, str, str]:
    # PS3.5 6.2: the offset of a DT begins with a sign, so that only a dash between moments divides.
    if vr == "DT" and re.fullmatch(r"\d+(\.\d+)?[+-]\d{4}", wanted):
        return wanted, "", ""
    if vr == "DA" and re.fullmatch(r"\d{4}-\d{2}-\d{2}", wanted):
        return wanted.replace("-", ""), "", ""
    low, dash, high = wanted.partition("-")
    return low.strip(), dash, high.strip()


def _span(vr: str, text: str) -> tuple[str, str]:
    """The first and last moment a value with missing components may mean, as digits."""
    digits = re.sub(r"[^0-9]", "", text.split("+")[0])
    if not digits:
        return "", ""
    if vr == "DA":
        return digits.ljust(8, "0"), digits.ljust(8, "9")
    width = 12 if vr == "TM" else 20  # HHMMSS.FFFFFF; YYYYMMDDHHMMSS.FFFFFF
    return digits.ljust(width, "0"), digits.ljust(width, "9")
