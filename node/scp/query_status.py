"""Every status the node answers C-FIND, C-MOVE and C-GET with, in one table."""

from node.domain.errors import NodeError, Rejected, Retryable
from node.scp.status import NOT_AUTHORISED, Status

OUT_OF_RESOURCES = Status(0xA700, "Refused: out of resources", "PS3.4 C.4.1.1.4")
IDENTIFIER = Status(0xA900, "Error: identifier does not match SOP class", "PS3.4 C.4.1.1.4")
UNABLE = Status(0xC001, "Error: unable to process", "PS3.4 C.4.1.1.4")


def status_of(error: NodeError) -> Status:
    """The status that tells who queries or retrieves what ``error`` means."""
    if isinstance(error, Rejected):
        return {"NOT_AUTHORISED": NOT_AUTHORISED, "IDENTIFIER": IDENTIFIER}.get(error.code, UNABLE)
    return OUT_OF_RESOURCES if isinstance(error, Retryable) else UNABLE
