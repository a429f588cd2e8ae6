"""How the C library keeps memory that an acceptor needs again for the next image."""

import ctypes
from contextlib import suppress

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# A slice of a CT has half a MiB, and it is here twice for a moment.
KEPT_BYTES = 2 << 20


def keep_freed_memory() -> None:
    """Have freed blocks of up to `KEPT_BYTES` kept for the next instance.

    glibc gives the end of a heap back to the kernel once 128 KiB of it are free, which then clears
    and maps the same pages anew for each instance: up to a tenth of the time from request to
    answer. A C library without ``mallopt`` keeps its own ways.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
