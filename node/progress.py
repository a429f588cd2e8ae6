"""Progress of long work on standard error: one line on a terminal, silence in a pipe."""

import sys
from types import TracebackType


class Progress:
    """Call it with a word and a share; leave the ``with`` block to clear the line."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = ""

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, word: str, share: float) -> None:
        """Show ``word`` and ``share`` (0 to 1)."""
        line = f"{word:12} {round(100 * share):3d} %"
        if self._shown and line != self._last:
            self._write(f"\r{line}")
            self._last = line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._last:
            self._write("\r" + " " * len(self._last) + "\r")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
