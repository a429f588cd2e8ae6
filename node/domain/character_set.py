"""SpecificCharacterSet (PS3.3 C.12.1.1.2): its terms, and the slips that have one meaning."""

import re
from collections.abc import Sequence

# Without code extensions, and those that admit none beside them.
_ALONE = frozenset({"ISO_IR 192", "GB18030", "GBK"})
_PLAIN = (
    "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 144", "ISO_IR 127",
    "ISO_IR 126", "ISO_IR 138", "ISO_IR 148", "ISO_IR 203", "ISO_IR 13", "ISO_IR 166",
)  # fmt: skip
_EXTENDED = (
    "ISO 2022 IR 6", "ISO 2022 IR 100", "ISO 2022 IR 101", "ISO 2022 IR 109", "ISO 2022 IR 110",
    "ISO 2022 IR 144", "ISO 2022 IR 127", "ISO 2022 IR 126", "ISO 2022 IR 138", "ISO 2022 IR 148",
    "ISO 2022 IR 203", "ISO 2022 IR 13", "ISO 2022 IR 166", "ISO 2022 IR 87", "ISO 2022 IR 159",
    "ISO 2022 IR 149", "ISO 2022 IR 58",
)  # fmt: skip
# The default repertoire has no term when it stands alone; some write its name (PS3.5 6.1.2.1).
_DEFAULT = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
# Names of the same sets elsewhere (IANA), as writers of data sets put them here.
_ELSEWHERE = {
    "ISOIR6": "", "ISO646": "", "ISOIR646": "", "ASCII": "", "USASCII": "",
    "UTF8": "ISO_IR 192", "ISOIRUTF8": "ISO_IR 192", "ISO10646": "ISO_IR 192",
    "ISO88591": "ISO_IR 100", "LATIN1": "ISO_IR 100", "ISO88592": "ISO_IR 101",
    "ISO88595": "ISO_IR 144", "ISO88597": "ISO_IR 126",
}  # fmt: skip


def character_sets(stated: Sequence[str]) -> tuple[str, ...] | None:
    """The defined terms that ``stated`` means; empty for the default repertoire.

    Marks and spaces between letters and numbers are often mistaken (``ISO-IR 100``,
    ``ISO_2022_IR_6``), and other names of a set are used; those have one meaning. None where no
    term is meant, or where sets stand together that exclude each other.
    """
    found = [_term(value) for value in stated]
    terms = [term for term in found if term is not None]
    if len(terms) < len(found):
        return None
    if all(term in _DEFAULT for term in terms):
        return ()
    if len(terms) == 1 and terms[0] in _EXTENDED:
        # PS3.3 C.12.1.1.2: a single value uses no code extensions; sets that are reached by an
        # escape sequence alone stand beside the default repertoire.
        single = terms[0].replace("ISO 2022 IR ", "ISO_IR ")
        return (single,) if single in _PLAIN else ("", terms[0])
    if terms[0] in _ALONE and not set(terms[1:]) & _ALONE:
        return (terms[0],)  # PS3.3 C.12.1.1.2: no code extensions beside it
    return None if len(terms) > 1 and set(terms) & _ALONE else tuple(terms)


def is_default(stated: Sequence[str]) -> bool:
    """Whether nothing but the default repertoire is stated, in the standard's own words."""
    return all(value in _DEFAULT for value in stated)


def _term(value: str) -> str | None:
    bare = _bare(value)
    if not bare and value:
        return None
    return _TERMS.get(bare, _ELSEWHERE.get(bare))


def _bare(value: str) -> str:
    """Letters and numbers of a term: what is left when the marks are mistaken."""
    return re.sub(r"[^A-Z0-9]", "", value.upper())


_TERMS = {_bare(term): term for term in ("", *_ALONE, *_PLAIN, *_EXTENDED)}
