"""Whether one value has the form its value representation asks for (PS3.5 6.2).

Reader and writer ask here alike: what the writer would refuse is known when the series is checked.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date

from pydicom import config
from pydicom.valuerep import MAX_VALUE_LEN, validate_value

# PS3.5 6.2.1: components and component groups of a PN, and characters of a group.
_PN_COMPONENTS, _PN_GROUPS, _PN_LENGTH = 5, 3, 64
_BY_CHARACTER = {"LO", "SH", "PN"}
_SHOWN = 24
_DATE = re.compile(r"(\d{4})([.\-/])(\d\d)\2(\d\d)")
_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?")
_AGE = re.compile(r"(\d{1,3})([DWMYdwmy])")
# Only single times are stored; the library lets ranges of queries pass.
_ONE_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d((60|[0-5]\d)(\.\d{1,6})?)?)?")


def fault(vr: str, text: str) -> str | None:
    """What is wrong with ``text`` as one value of ``vr``, in signs alone; None when nothing is.

    No text of a patient is repeated: of LO, SH and PN the lengths and the bad character are told.
    """
    if vr == "PN":
        return _name_fault(text)
    if vr in _BY_CHARACTER:
        return _length_fault(text, MAX_VALUE_LEN[vr]) or _character_fault(text)
    return None if text.isascii() and _is_formed(vr, text) else f'"{text[:_SHOWN]}"'


def meant(vr: str, text: str) -> str | None:
    """The value that ``text`` stands for where it has another form with one meaning, else None.

    PS3.5 6.2 on DA and TM: dates with points and times with colons are those of ACR-NEMA, to be
    read still. An age without its zeros and a code in small letters are slips with one meaning.
    """
    read = _FORMS.get(vr)
    value = read(text) if read else None
    return value if value is not None and value != text and fault(vr, value) is None else None


def _date_meant(text: str) -> str | None:
    match = _DATE.fullmatch(text)
    return f"{match[1]}{match[3]}{match[4]}" if match else None


def _time_meant(text: str) -> str | None:
    match = _TIME.fullmatch(text)
    return "".join(part for part in match.groups() if part) if match else None


def _age_meant(text: str) -> str | None:
    match = _AGE.fullmatch(text)
    return f"{int(match[1]):03}{match[2].upper()}" if match else None


_FORMS: dict[str, Callable[[str], str | None]] = {
    "DA": _date_meant, "TM": _time_meant, "AS": _age_meant, "CS": str.upper,
}  # fmt: skip


def _is_formed(vr: str, text: str) -> bool:
    if vr == "DA":
        return _is_date(text)
    if vr == "TM":
        return _ONE_TIME.fullmatch(text) is not None
    try:
        validate_value(vr, text, config.RAISE)
    except ValueError:
        return False
    return vr != "DS" or math.isfinite(float(text))


def _name_fault(text: str) -> str | None:
    groups = text.split("=")
    if len(groups) > _PN_GROUPS:
        return f"= {len(groups)} > {_PN_GROUPS}"
    for group in groups:
        components = group.count("^") + 1
        if components > _PN_COMPONENTS:
            return f"^ {components} > {_PN_COMPONENTS}"
        found = _length_fault(group, _PN_LENGTH) or _character_fault(group)
        if found:
            return found
    return None


def _length_fault(text: str, limit: int) -> str | None:
    return f"{len(text)} > {limit}" if len(text) > limit else None


def _character_fault(text: str) -> str | None:
    """Control characters, and the backslash, which parts values (PS3.5 6.1.3, 6.2)."""
    odd = [c for c in text if unicodedata.category(c) == "Cc" or c in "\\\ufffd"]
    return f"U+{ord(odd[0]):04X}" if odd else None


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{8}", text, re.ASCII):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True
