"""QIDO-RS (PS3.18 10.6): parameters to keys, matches to DICOM JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from node.archive.headers.indexed_attributes import ATTRIBUTES, COMPUTED, LEVEL_OF, Level, above
from node.archive.headers.matching import Key
from node.archive.query.catalogue import Attributes
from node.archive.query.identifiers import answer
from node.domain.errors import Rejected

UTF_8 = "ISO_IR 192"
_CONTROL = frozenset({"includefield", "limit", "offset", "fuzzymatching", "emptyvaluematching"})
# PS3.18 tables 10.6.3-3 to 10.6.3-5: what comes without being asked for.
_ALWAYS = {
    Level.STUDY: (
        "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName "
        "PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID NumberOfStudyRelatedSeries "
        "NumberOfStudyRelatedInstances"
    ),
    Level.SERIES: (
        "Modality SeriesDescription SeriesInstanceUID SeriesNumber NumberOfSeriesRelatedInstances "
        "PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence"
    ),
    Level.IMAGE: (
        "SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames"
    ),
}
_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search."""

    level: Level
    keys: tuple[Key, ...]
    """What is compared."""
    wanted: tuple[Key, ...]
    """What is returned."""
    limit: int
    offset: int
    fuzzy: bool
    """Fuzzy matching was asked for; it is not done, and the answer says so."""


def read_search(
    level: Level, parameters: Iterable[tuple[str, str]], path: Mapping[str, str]
) -> Search:
    """Read the query string; ``path`` are the UIDs in the URL. Raises `Rejected` (PARAMETER)."""
    values: dict[str, list[str]] = {}
    for name, value in parameters:
        values.setdefault(name, []).append(value)
    keys = [Key(keyword, "UI", uid) for keyword, uid in path.items()]
    for name, given in values.items():
        if name.lower() not in _CONTROL:
            keys.append(_key(name, ",".join(given)))
    included = [f for value in values.get("includefield", ()) for f in value.split(",")]
    return Search(
        level=level,
        keys=tuple(keys),
        wanted=tuple(_wanted(level, keys, included, whole=not path)),
        limit=_count(values, "limit", _MOST),
        offset=_count(values, "offset", 0),
        fuzzy=values.get("fuzzymatching", [""])[-1].lower() == "true",
    )


def as_json(found: Attributes, search: Search, base: str) -> dict[str, Any]:
    """One match as DICOM JSON, with where to fetch it."""
    result = answer(found, search.wanted, search.level)
    result.SpecificCharacterSet = UTF_8
    result.InstanceAvailability = "ONLINE"
    result.RetrieveURL = url_of(found, search.level, base)
    return dict(result.to_json_dict(suppress_invalid_tags=True))


def url_of(found: Attributes, level: Level, base: str) -> str:
    """Where an entity is fetched by WADO-RS."""
    url = f"{base}/studies/{found['StudyInstanceUID']}"
    if level in (Level.SERIES, Level.IMAGE):
        url += f"/series/{found['SeriesInstanceUID']}"
    if level is Level.IMAGE:
        url += f"/instances/{found['SOPInstanceUID']}"
    return url


def _wanted(
    level: Level, keys: Sequence[Key], included: Sequence[str], *, whole: bool
) -> Iterable[Key]:
    levels = [each for each in above(level) if each in _ALWAYS]
    # Below a study or series that the URL names, what is the same for all is left out.
    words = [w for each in (levels if whole else [level]) for w in _ALWAYS[each].split()]
    if "all" in included:
        words += [a.keyword for a in ATTRIBUTES] + list(COMPUTED)
    else:
        words += [_keyword(f.split(".")[0]) for f in included if f]
    words += [k.keyword for k in keys]
    nested = {k.keyword: k for k in keys if k.vr == "SQ" and "all" not in included}
    for word in dict.fromkeys(words):
        if word in LEVEL_OF:
            # All attributes of a sequence's items come, not only the compared ones.
            vr = nested[word].vr if word in nested else _vr(word)
            yield Key(word, vr)


def _key(name: str, value: str) -> Key:
    keyword, *inner = [_keyword(part) for part in name.split(".")]
    if keyword not in LEVEL_OF:
        raise _bad(name, "it is not indexed here")
    if inner:
        nested = Key(inner[-1], _vr(inner[-1]), value)
        for part in reversed(inner[:-1]):
            nested = Key(part, "SQ", items=(nested,))
        return Key(keyword, "SQ", items=(nested,))
    vr = _vr(keyword)
    # PS3.18 8.3.4.1: a UID list is divided by commas.
    return Key(keyword, vr, value.replace(",", "\\") if vr in ("UI", "CS") else value)


def _keyword(name: str) -> str:
    if tag_for_keyword(name) is not None:
        return name
    try:
        keyword = keyword_for_tag(int(name, 16)) if len(name) == 8 else ""
    except ValueError:
        keyword = ""
    if not keyword:
        raise _bad(name, "it is no attribute")
    return keyword


def _vr(keyword: str) -> str:
    return dictionary_VR(keyword).split(" ")[0]


def _count(values: Mapping[str, Sequence[str]], name: str, default: int) -> int:
    text = values.get(name, [str(default)])[-1]
    if not text.isdecimal() or len(text) > 9:
        raise _bad(name, f"{text[:20]!r} is no number")
    return min(int(text), _MOST)


def _bad(name: str, why: str) -> Rejected:
    return Rejected(
        f"Parameter {name[:64]!r} cannot be used: {why}.",
        code="PARAMETER",
        remedy="The conformance statement lists the attributes that can.",
    )
