"""Text we write ourselves, in the character set the source's patient is written in."""

import unicodedata
from collections.abc import Sequence

from pydicom.charset import convert_encodings, python_encoding
from pydicom.dataset import Dataset


def encodings_of(dataset: Dataset) -> list[str]:
    """Python codecs of the data set's SpecificCharacterSet; ASCII where there is none.

    Raises `LookupError` for a term that the standard does not define.
    """
    value = dataset.get("SpecificCharacterSet") or ""
    terms = [value] if isinstance(value, str) else list(value)
    if not any(terms):
        return ["ascii"]  # PS3.5 6.1.2.1: ISO-IR 6
    unknown = [term for term in terms if term not in python_encoding]
    if unknown:
        raise LookupError(f"{unknown[0]} is no character set of the standard")
    return list(convert_encodings(terms))


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
