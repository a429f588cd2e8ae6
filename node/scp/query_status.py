"""Every status the node answers C-FIND, C-MOVE and C-GET with, in one table."""

from node.domain.errors import NodeError, Rejected, Retryable
from node.scp.status import NOT_AUTHORISED, Status

SUCCESS = Status(0x0000, "Success", "PS3.4 C.4.2.1.5")
PENDING = Status(0xFF00, "Pending", "PS3.4 C.4.2.1.5")
CANCELLED = Status(0xFE00, "Cancel", "PS3.4 C.4.2.1.5")
SOME_FAILED = Status(0xB000, "Warning: one or more failures", "PS3.4 C.4.2.1.5")
TOO_MANY = Status(0xA701, "Refused: unable to calculate number of matches", "PS3.4 C.4.2.1.5")
NOT_PERFORMED = Status(0xA702, "Refused: unable to perform sub-operations", "PS3.4 C.4.2.1.5")
NO_DESTINATION = Status(0xA801, "Refused: move destination unknown", "PS3.4 C.4.2.1.5")
OUT_OF_RESOURCES = Status(0xA700, "Refused: out of resources", "PS3.4 C.4.1.1.4")
IDENTIFIER = Status(0xA900, "Error: identifier does not match SOP class", "PS3.4 C.4.1.1.4")
UNABLE = Status(0xC001, "Error: unable to process", "PS3.4 C.4.1.1.4")

# Code of a `Rejected` to its status.
REJECTED = {
    "NOT_AUTHORISED": NOT_AUTHORISED,
    "IDENTIFIER": IDENTIFIER,
    "DESTINATION": NO_DESTINATION,
    "TOO_MANY": TOO_MANY,
}


def status_of(error: NodeError) -> Status:
    """The status that tells who queries or retrieves what ``error`` means."""
    if isinstance(error, Rejected):
        return REJECTED.get(error.code, UNABLE)
    return OUT_OF_RESOURCES if isinstance(error, Retryable) else UNABLE
