"""Where a header speaks of implants: coded or flagged, and in free text.

What comes out is the attribute and the word that was met, never the patient's text.
"""

import re
import warnings
from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset

# Attributes whose very purpose is to warn: a word there is a statement.
_ALERTS = ("MedicalAlerts", "SpecialNeeds")
# Sequences of coded concepts: devices in the images, and what was known at acquisition.
_CODED = ("DeviceSequence", "AcquisitionContextSequence")
# Free text in which "no implants" is as likely as an implant.
_TEXTS = (
    "AdditionalPatientHistory", "PatientComments", "ImageComments", "StudyComments",
    "ProtocolName", "SeriesDescription",
)  # fmt: skip
_WORD = re.compile(
    r"implant|pacemaker|stimulateur|prosthes\w*|proth[eè]se|stimulator|neurostimulat\w*|cochlea\w*|"
    r"aneurysm\w* clip|clip an[eé]vri\w*|\bshunt\b|\bstent\b|\bcoil embol\w*|\bDBS\b|\bVNS\b|"
    r"\bWARP\b|\bSEMAC\b|\bMAVRIC\b|\bO-MAR\b",
    re.IGNORECASE,
)


def coded_implants(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Attribute and word of each implant that is coded or entered as an alert."""
    found = [(name, word) for name in _ALERTS for word in _words_in(_text(dataset, name))]
    for name in _CODED:
        found += [(name, word) for meaning in _meanings(dataset, name) for word in
                  _words_in(meaning)]  # fmt: skip
    return tuple(dict.fromkeys(found))


def mentioned_implants(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Attribute and word where free text mentions one."""
    found = [(name, word) for name in _TEXTS for word in _words_in(_text(dataset, name))]
    return tuple(dict.fromkeys(found))


def _words_in(text: str) -> list[str]:
    return [match.group(0).lower() for match in _WORD.finditer(text)]


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(dataset.get(keyword) or "")
    except (ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
        return ""  # unreadable text mentions nothing


def _meanings(dataset: Dataset, keyword: str) -> list[str]:
    """CodeMeaning of each item and of each code one level below it; none of unreadable ones."""
    try:
        return list(_coded(dataset.get(keyword) or ()))
    except (ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
        return []


def _coded(items: Iterable[object]) -> Iterator[str]:
    for item in items:
        if not isinstance(item, Dataset):
            continue
        yield _text(item, "CodeMeaning")
        for element in item:
            if element.VR == "SQ":
                yield from (_text(inner, "CodeMeaning") for inner in element.value or ())
