"""Text in the character set that the source's patient is written in."""

import unicodedata
import warnings
from collections.abc import Sequence

from pydicom.charset import convert_encodings, encode_string
from pydicom.dataset import Dataset

from node.domain.character_set import character_sets

_ASCII = ("ascii",)  # PS3.5 6.1.2.1: the default repertoire, ISO-IR 6


def stated_character_sets(dataset: Dataset) -> tuple[str, ...]:
    """The values of SpecificCharacterSet as they stand; none where it is absent or empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = dataset.get("SpecificCharacterSet") or ""
    stated = [value] if isinstance(value, str) else [str(term or "") for term in value]
    return tuple(term.strip(" \0") for term in stated) if any(stated) else ()


def encodings_of(dataset: Dataset) -> list[str]:
    """Python codecs of the data set's SpecificCharacterSet; ASCII where there is none.

    Raises `LookupError` for a term that the standard does not define and that means none it does.
    """
    stated = stated_character_sets(dataset)
    terms = character_sets(stated)
    if terms is None:
        raise LookupError(f"{'/'.join(stated)} is no character set of the standard")
    return codecs_of(terms)


def codecs_of(terms: Sequence[str]) -> list[str]:
    """Python codecs of defined terms; ASCII for none."""
    if not terms:
        return list(_ASCII)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(convert_encodings(list(terms)))
    # The library reads the default repertoire as Latin alphabet No. 1, of which it is a half.
    plain = {"", "ISO 2022 IR 6"}
    return ["ascii" if term in plain else codec for term, codec in zip(terms, found, strict=True)]


def is_written_in(text: str, encodings: Sequence[str]) -> bool:
    """Whether every character of ``text`` has a place in one of ``encodings``."""
    if text.isascii():
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encode_string(text, list(encodings))
    except (UnicodeError, LookupError, ValueError, UserWarning):
        return False
    return True


def fitting(text: str, encodings: Sequence[str]) -> str:
    """``text`` where one of ``encodings`` can hold it, else what ASCII keeps of it.

    Accents are dropped before letters are: "validé" becomes "valide".
    """
    for encoding in encodings[:1]:  # without escape sequences: every reader knows the first one
        try:
            text.encode(encoding)
        except (UnicodeError, LookupError):
            continue
        return text
    spread = unicodedata.normalize("NFKD", text.replace("–", "-").replace("—", "-"))
    return (
        "".join(c for c in spread if not unicodedata.combining(c))
        .encode("ascii", "replace")
        .decode("ascii")
    )
