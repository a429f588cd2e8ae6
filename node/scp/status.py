"""Every status the node answers a C-STORE with, in one table."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.domain.errors import NodeError, Rejected, Retryable

# PS3.7 C: Error Comment is one LO, 64 characters.
_COMMENT_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the table."""

    code: int
    meaning: str
    """As the standard calls it."""
    section: str
    """Where the standard defines it."""


SUCCESS = Status(0x0000, "Success", "PS3.4 B.2.3")
CONFLICT = Status(0xB000, "Warning: coercion of data elements", "PS3.4 B.2.3")
OUT_OF_RESOURCES = Status(0xA700, "Refused: out of resources", "PS3.4 B.2.3")
WRONG_CLASS = Status(0xA900, "Error: data set does not match SOP class", "PS3.4 B.2.3")
NOT_UNDERSTOOD = Status(0xC000, "Error: cannot understand", "PS3.4 B.2.3")
PROCESSING_FAILURE = Status(0x0110, "Processing failure", "PS3.7 C.5.10")
INVALID_INSTANCE = Status(0x0117, "Invalid SOP Instance UID", "PS3.7 C.5.12")
NOT_AUTHORISED = Status(0x0124, "Refused: not authorised", "PS3.7 C.5.18")
# Code of a `Rejected` to its status; every other code is "cannot understand".
REJECTED = {
    "SOP_CLASS_MISMATCH": WRONG_CLASS,
    "SOP_INSTANCE_MISMATCH": WRONG_CLASS,
    "UID_INVALID": INVALID_INSTANCE,
    "NOT_AUTHORISED": NOT_AUTHORISED,
}


def status_of(error: NodeError) -> Status:
    """The status that tells the sender what ``error`` means for it."""
    if isinstance(error, Rejected):
        return REJECTED.get(error.code, NOT_UNDERSTOOD)
    if isinstance(error, Retryable):
        return OUT_OF_RESOURCES
    return PROCESSING_FAILURE


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    status: Status
    comment: str = ""

    @property
    def error_comment(self) -> str:
        """The comment as Error Comment may hold it."""
        text = self.comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")
        return text[:_COMMENT_LENGTH]


def response(status: Status, comment: str = "") -> Dataset:
    """The status elements of a response; ``comment`` is cut to what Error Comment holds."""
    elements = Dataset()
    elements.Status = status.code
    if comment:
        elements.ErrorComment = Answer(status, comment).error_comment
    return elements
