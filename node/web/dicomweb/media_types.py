"""Media types: what a client accepts, and multipart/related answers (PS3.18 8.6, 8.7)."""

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

JSON = "application/dicom+json"
_SPLIT = re.compile(r'((?:[^,"]|"[^"]*")+)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^;\s]*))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One entry of an Accept header."""

    media: str
    """Of the part: the ``type`` of a multipart entry."""
    multipart: bool
    syntax: str
    """``transfer-syntax``; empty where none was named."""


def read_accept(header: str) -> list[Accepted]:
    """The entries of an Accept header, best first; without one, everything is accepted."""
    found: list[tuple[float, Accepted]] = []
    for match in _SPLIT.finditer(header or "*/*"):
        entry = match.group(1).strip()
        media = entry.split(";")[0].strip().lower()
        named = {k.lower(): quoted or plain for k, quoted, plain in _PARAMETER.findall(entry)}
        multipart = media == "multipart/related"
        weight = named.get("q", "1")
        accepted = Accepted(
            media=named.get("type", "*/*").lower() if multipart else media,
            multipart=multipart,
            syntax=named.get("transfer-syntax", ""),
        )
        found.append((float(weight) if re.fullmatch(r"[01](\.\d+)?", weight) else 0.0, accepted))
    return [accepted for weight, accepted in sorted(found, key=lambda f: -f[0]) if weight > 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an answer."""

    media: str
    content: bytes
    location: str = ""


class Multipart:
    """A multipart/related body, made part by part."""

    def __init__(self, media: str, parts: Iterable[Part]) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts = parts
        self.content_type = f'multipart/related; type="{media}"; boundary={self._boundary}'

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            head = f"--{self._boundary}\r\nContent-Type: {part.media}\r\n"
            head += f"Content-Length: {len(part.content)}\r\n"
            if part.location:
                head += f"Content-Location: {part.location}\r\n"
            yield head.encode("ascii") + b"\r\n"
            yield part.content
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode("ascii")
