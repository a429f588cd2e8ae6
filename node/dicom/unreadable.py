"""What pydicom raises on a data set that cannot be read: there is no common base."""

import struct
import zlib

from pydicom.errors import BytesLengthException

UNREADABLE = (
    ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError,
    NotImplementedError, EOFError, LookupError, RecursionError, struct.error, OSError,
    BytesLengthException, zlib.error, AssertionError,
)  # fmt: skip
