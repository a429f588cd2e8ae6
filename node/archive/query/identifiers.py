"""Identifiers of queries: data set to keys, found attributes to data set."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.charset import convert_encodings, encode_string
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.archive.headers.indexed_attributes import LEVEL_OF, UNIQUE_KEY, Level, above
from node.archive.headers.matching import Key
from node.archive.query.catalogue import Attributes

# What an identifier carries beside keys (PS3.4 C.4.1.1.3).
_BESIDE = frozenset(
    {"SpecificCharacterSet", "QueryRetrieveLevel", "TimezoneOffsetFromUTC", "RetrieveAETitle",
     "InstanceAvailability"}
)  # fmt: skip
UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The keys of one query."""

    keys: tuple[Key, ...]
    """Those that are kept here, of any level."""
    unknown: tuple[str, ...]
    """Keywords or tags that are not: neither compared nor returned."""


def read_keys(identifier: Dataset) -> Asked:
    """The keys of ``identifier``; a value that cannot be read is compared as it is written."""
    keys, unknown = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wild cards and ranges are not what the VR allows
        for tag in tuple(identifier.keys()):
            element = _element(identifier, tag)
            if element.keyword in _BESIDE or element.tag.element == 0:
                continue
            if element.keyword in LEVEL_OF:
                keys.append(_key(element))
            else:
                unknown.append(element.keyword or str(element.tag))
    return Asked(keys=tuple(keys), unknown=tuple(unknown))


def answer(
    found: Attributes, keys: Sequence[Key], level: Level, *, retrieve_ae: str = ""
) -> Dataset:
    """The identifier that tells ``found`` to who asked with ``keys`` (PS3.4 C.4.1.1.3.2)."""
    response = Dataset()
    allowed = above(level)
    for key in keys:
        if LEVEL_OF[key.keyword] in allowed:
            _put(response, key, found.get(key.keyword))
    for each in allowed:
        unique = UNIQUE_KEY[each]
        if unique not in response and found.get(unique):
            _put(response, Key(unique, dictionary_VR(unique)), found[unique])
    if retrieve_ae:
        response.QueryRetrieveLevel = level.value
        response.RetrieveAETitle = retrieve_ae
        response.InstanceAvailability = "ONLINE"
    names = _character_set(response, str(found.get("SpecificCharacterSet", "")))
    if names:
        response.SpecificCharacterSet = names.split("\\")
    return response


def _element(identifier: Dataset, tag: Any) -> DataElement:
    try:
        element: DataElement = identifier[tag]
    except (ValueError, KeyError, NotImplementedError):
        raw = identifier.get_item(tag)
        value = getattr(raw, "value", b"") or b""
        text = value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""
        return DataElement(tag, "LO", text, validation_mode=IGNORE)
    return element


def _key(element: DataElement) -> Key:
    if element.VR == "SQ":
        items = list(element.value or ())
        inner = tuple(_key(e) for e in items[0] if e.keyword) if items else ()
        return Key(element.keyword, "SQ", items=inner)
    vr = dictionary_VR(element.keyword)
    return Key(element.keyword, vr, _text(element.value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)


def _put(response: Dataset, key: Key, value: Any) -> None:
    tag = tag_for_keyword(key.keyword)
    if tag is not None:
        response[tag] = DataElement(tag, key.vr, _value(key, value), validation_mode=IGNORE)


def _value(key: Key, value: Any) -> Any:
    if key.vr == "SQ":
        return [_item(key.items, item) for item in value or ()]
    text = str(value or "")
    if key.vr == "US":
        return [int(part) for part in text.split("\\") if part.isdecimal()]
    if key.vr in ("IS", "DS") and not _numeric(text):
        return ""
    return text


def _item(keys: Sequence[Key], item: Mapping[str, Any]) -> Dataset:
    wanted = keys or [Key(k, dictionary_VR(k)) for k in item]
    inner = Dataset()
    for key in wanted:
        if key.keyword in item:
            _put(inner, key, item[key.keyword])
    return inner


def _numeric(text: str) -> bool:
    try:
        return all(abs(float(part)) < float("inf") for part in text.split("\\") if part)
    except ValueError:
        return False


def _character_set(response: Dataset, stored: str) -> str:
    """The one to write: none for ASCII, the stored objects' own where it will do, else UTF-8."""
    texts = [text for text in _texts(response) if not text.isascii()]
    if not texts:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom warns when it must replace characters
            encodings = convert_encodings(stored.split("\\"))
            for text in texts:
                encode_string(text, encodings)
    except (UserWarning, LookupError, UnicodeError, ValueError):
        return UTF_8
    return stored


def _texts(dataset: Dataset) -> Iterable[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        else:
            yield str(element.value)
