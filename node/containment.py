"""The edges where a fault of ours is logged and goes no further."""

from types import TracebackType
from typing import Self

from node.log import Logger


class Contained:
    """Logs what went wrong inside its block, and lets what comes after it go on.

    For edges alone: a peer that must hear a failure instead of silence, a thread that must not
    end. Say at each why nothing else may suffer, and look at ``error`` for what to answer. What
    ends the process, and the end of a generator, passes through.
    """

    def __init__(self, log: Logger, event: str, **fields: object) -> None:
        self._log = log
        self._event = event
        self._fields = fields
        self.error: Exception | None = None
        """What went wrong; None where nothing did."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = error
        self._log.exception(self._event, **self._fields)
        return True
