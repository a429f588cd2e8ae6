"""What a file would take in memory, asked before a reader or a decoder reserves it."""

import struct
import zlib

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.domain.budget import BUDGET, require_frame
from node.domain.errors import Rejected

# Preamble, prefix, and the first element up to its value (PS3.10 7.1); where its syntax stands.
_GROUP_LENGTH, _META = 128 + 4 + 8, 4096
_PIECE = 1 << 20
_NAMES = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")


def require_decodable(dataset: Dataset, *, whole: bool = False) -> None:
    """Raise `Rejected` (PIXELS) where a frame, or ``whole`` the object, would take too much."""
    try:
        rows, columns, samples, bits = (int(dataset.get(name) or 0) for name in _NAMES)
        frames = int(dataset.get("NumberOfFrames") or 1) if whole else 1
    except (TypeError, ValueError):  # several values, or none that is a number
        raise Rejected("The header does not say how large a frame is.", code="PIXELS") from None
    require_frame(rows, columns, samples, bits, frames=frames)


def require_inflatable(file: bytes) -> None:
    """Raise `Rejected` (FILE_TRUNCATED) for a deflated file that unpacks beyond reason.

    pydicom unpacks all of it at once. Unpacked here piece by piece, it takes no memory.
    """
    if DeflatedExplicitVRLittleEndian.encode() not in file[:_META]:
        return
    try:
        # PS3.10 7.1: the first element says how long the group is that it begins.
        (length,) = struct.unpack_from("<I", file, _GROUP_LENGTH)
    except struct.error:
        return  # the reader says what is wrong with it
    packed, size = file[_GROUP_LENGTH + 4 + length :], 0
    limit, inflater = BUDGET.inflated(len(packed)), zlib.decompressobj(-zlib.MAX_WBITS)
    while packed and size <= limit:
        try:
            size += len(inflater.decompress(packed, _PIECE))
        except zlib.error:
            return
        packed = inflater.unconsumed_tail
    if size > limit:
        raise Rejected(f"it inflates to more than {limit >> 20} MiB", code="FILE_TRUNCATED")
