"""The error tree. The class of an error decides what happens next.

NodeError
├── Rejected        the sender's data: final, with a reason the sender can act on
├── Retryable       a peer or a resource: the same work may succeed later
├── Misconfigured   the site's settings: final until somebody edits them
└── Defect          ours: stop and say so

Every message is one sentence that names the value that was met; ``remedy`` says what to do.
"""


class NodeError(Exception):
    """Base of everything the node raises on purpose."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class Rejected(NodeError):
    """The data that arrived cannot be used; sending the same bytes again will not help."""

    def __init__(self, message: str, *, code: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


class Retryable(NodeError):
    """A peer or a resource is not available now; the same work is tried again later."""


class Misconfigured(NodeError):
    """A setting, a site file or a model folder is wrong; a person must edit it."""


class Defect(NodeError):
    """The node broke one of its own promises; the work stops here and says so."""


def reason_of(error: BaseException) -> str:
    """Why, without what a library's message may say of a patient."""
    if isinstance(error, NodeError):
        return error.message.rstrip(".")
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
