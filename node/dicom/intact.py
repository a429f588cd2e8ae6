"""One verifying reader: an archived file is what was written, or nobody gets anything of it."""

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from node.domain.errors import Rejected

DAMAGED = "FILE_DAMAGED"
# Preamble, prefix, then the group length element (0002,0000) UL (PS3.10 7.1).
_META_LENGTH_END = 128 + 4 + 12
_META = struct.Struct("<HH2sH")
_START = b"\0" * 128 + b"DICM" + _META.pack(2, 0, b"UL", 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What a file must be."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    size: int
    """Bytes of the file."""
    sha256: str
    of_file: bool
    """Of the whole file, as of what the node made; else of the data set, as it came."""


class NotIntact(Rejected):
    """A file is gone, unreadable or not what was written."""

    def __init__(self, digest: Digest, why: str) -> None:
        super().__init__(
            f"The file of SOP instance {digest.sop_instance_uid} is not what was stored ({why}); "
            "nobody gets it.",
            code=DAMAGED,
            remedy="Send the series again, or restore it from the backup.",
        )
        self.digest = digest


def split_file(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """Values of group 0002 by element, and the data set; ValueError for what is no Part 10 file."""
    if len(data) < _META_LENGTH_END or not data.startswith(_START):
        raise ValueError("no DICOM file")
    (length,) = struct.unpack_from("<I", data, _META_LENGTH_END - 4)
    end = _META_LENGTH_END + length
    return _elements(data[_META_LENGTH_END:end]), data[end:]


def check_intact(path: Path, digest: Digest) -> None:
    """Read a file and raise `NotIntact` unless it is what was written."""
    try:
        with path.open("rb") as file:
            _check_meta(file, digest)
            found = hashlib.file_digest(file, "sha256")
            size = file.tell()
    except OSError as error:  # gone, or an unreadable sector
        raise NotIntact(digest, error.strerror or "unreadable") from None
    _compare(found.hexdigest(), size, digest)


def read_intact(path: Path, digest: Digest) -> bytes:
    """The bytes of a file; `NotIntact` unless they are what was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotIntact(digest, error.strerror or "unreadable") from None
    file = BytesIO(data)
    _check_meta(file, digest)
    found = hashlib.sha256(memoryview(data)[file.tell() :])
    _compare(found.hexdigest(), len(data), digest)
    return data


def _compare(sha256: str, size: int, digest: Digest) -> None:
    if size != digest.size:
        raise NotIntact(digest, f"{size} bytes instead of {digest.size}")
    if sha256 != digest.sha256:
        raise NotIntact(digest, "other bytes")


def _check_meta(file: IO[bytes], digest: Digest) -> None:
    """Read what the node put before a data set, up to its end; it says what the row says.

    What the node made has a digest from its first byte on: nothing is read then.
    """
    if digest.of_file:
        return
    head = file.read(_META_LENGTH_END)
    if len(head) < _META_LENGTH_END or not head.startswith(_START):
        raise NotIntact(digest, "no DICOM file")
    (length,) = struct.unpack_from("<I", head, _META_LENGTH_END - 4)
    told = _elements(file.read(min(length, 4096)))
    expected = {2: digest.sop_class_uid, 3: digest.sop_instance_uid, 16: digest.transfer_syntax_uid}
    for element, value in expected.items():
        if told.get(element, b"").rstrip(b"\0") != value.encode():
            raise NotIntact(digest, f"(0002,{element:04X}) is another")


def _elements(raw: bytes) -> dict[int, bytes]:
    """Values of group 0002, which is always Explicit VR Little Endian (PS3.10 7.1)."""
    found, position = {}, 0
    while position + _META.size <= len(raw):
        group, element, vr, length = _META.unpack_from(raw, position)
        position += _META.size
        if vr == b"OB":
            if position + 4 > len(raw):
                break
            (length,) = struct.unpack_from("<I", raw, position)
            position += 4
        if group != 2:
            break
        found[element] = raw[position : position + length]
        position += length
    return found
