"""What one message, file or request may cost: one table of limits for all that comes from outside.

A limit stands where the standard or the objects that are worked on leave room many times over; what
is beyond it is refused in words, never by the death of a process. ``docs/security.md`` says what
the limits come to for each process.
"""

from dataclasses import dataclass

from node.domain.errors import Rejected
from node.domain.wording import counted

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits."""

    message_bytes: int = _MIB
    """Command and data set of a DIMSE message that is not a C-STORE: a query's identifier takes
    kilobytes, a commitment request for 10,000 instances half of this."""
    stock_store_bytes: int = 64 * _MIB
    """Data set of a C-STORE that pynetdicom holds in memory (`[dicom] receiver = "stock"`)."""
    store_bytes: int = 4 << 30
    """Data set of a C-STORE; beyond 2 MiB it lies on the disk. PS3.5 7.1.1: a native value has a
    length of 32 bits."""
    inflated_bytes: int = 256 * _MIB
    """A deflated data set, unpacked."""
    inflated_least_bytes: int = 32 * _MIB
    """Whatever it is packed to, a data set may unpack to this."""
    inflated_ratio: int = 64
    """Beyond that, so many times its packed length. Images deflate to a half or a third, masks to a
    hundredth; deflate itself reaches 1,032."""
    frame_bytes: int = 256 * _MIB
    """One decoded frame: 128 million pixels of 16 bits."""
    object_bytes: int = 1 << 30
    """All frames of an object that is decoded whole, to be sent in another syntax."""
    volume_voxels: int = 1 << 29
    """A stack as a volume of 32-bit numbers: 2 GiB, or 1024 by 1024 by 512."""
    part_bytes: int = 256 * _MIB
    """One instance of a STOW-RS request, which is in memory."""
    file_bytes: int = 1 << 30
    """One file that `convert` or a try of the routes reads into memory."""

    def inflated(self, packed_bytes: int) -> int:
        """Most bytes that ``packed_bytes`` may unpack to."""
        wanted = max(self.inflated_least_bytes, self.inflated_ratio * packed_bytes)
        return min(self.inflated_bytes, wanted)


BUDGET = Budget()


def require_frame(
    rows: int, columns: int, samples: int = 1, bits: int = 16, *, frames: int = 1
) -> None:
    """Raise `Rejected` (PIXELS) where one frame, or all of them, are declared too large to decode.

    A header of 600 bytes may declare 65535 by 65535 pixels; they are asked for before a decoder
    reserves memory for them.
    """
    size = rows * columns * max(samples, 1) * max((bits + 7) // 8, 1)
    limit = BUDGET.frame_bytes if frames == 1 else BUDGET.object_bytes
    if size * frames > limit or size > BUDGET.frame_bytes:
        raise Rejected(
            f"{rows} by {columns} pixels in {counted(frames, 'frame is', 'frames are')} declared, "
            f"{size * frames / _MIB:.0f} MiB; {limit / _MIB:.0f} MiB are decoded.",
            code="PIXELS",
            remedy="Look at the object's header at its sender.",
        )
