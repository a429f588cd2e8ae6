"""Checked value types for what arrives as text: AE titles, UIDs; when two names are one."""

import re
from functools import lru_cache
from typing import NewType

from node.domain.errors import Rejected

AETitle = NewType("AETitle", str)
Uid = NewType("Uid", str)

# PS3.5 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash, no control
# characters, leading and trailing spaces not significant.
_AE_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
# PS3.5 9.1: components of digits joined by dots, at most 64 characters. Leading zeros in a
# component are forbidden there but common in the field; they cannot do harm and are let pass.
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_UID_LENGTH = 64
_VALID_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


def ae_title(raw: str) -> AETitle:
    """Return ``raw`` without padding, or raise `Rejected` when it is no AE title (PS3.5 6.2)."""
    text = raw.strip(" \0")
    if not text or not _AE_TITLE.fullmatch(text):
        raise Rejected(
            f"{raw!r} is not an AE title.",
            code="AE_TITLE",
            remedy="Use 1 to 16 printable ASCII characters without a backslash.",
        )
    return AETitle(text)


@lru_cache(maxsize=4096)  # every instance of a series asks again for most of its UIDs
def is_uid(raw: str) -> bool:
    """Whether ``raw`` is a UID (PS3.5 9.1), leading zeros in a component let pass."""
    return len(raw) <= _UID_LENGTH and _UID.fullmatch(raw) is not None


@lru_cache(maxsize=4096)
def is_valid_uid(raw: str) -> bool:
    """Whether ``raw`` may be written as a UID (PS3.5 9.1): no leading zeros in a component."""
    return len(raw) <= _UID_LENGTH and _VALID_UID.fullmatch(raw) is not None


def uid(raw: str) -> Uid:
    """Return ``raw`` without padding, or raise `Rejected` when it is no UID (PS3.5 9.1)."""
    text = raw.strip(" \0")
    if not is_uid(text):
        raise Rejected(
            f"{raw[:80]!r} is not a UID.",
            code="UID",
            remedy="A UID is at most 64 characters: digits in components joined by dots.",
        )
    return Uid(text)


def person_name(raw: str) -> str:
    """The name without what says nothing, so that equal names are equal text.

    PS3.5 6.2 (PN): delimiters at the end of a group, empty groups at the end and spaces around a
    component carry no meaning: ``X^Y^`` is ``X^Y``.
    """
    groups = ["^".join(part.strip(" \0") for part in g.split("^")) for g in raw.split("=")]
    return "=".join(group.rstrip("^") for group in groups).rstrip("=")
