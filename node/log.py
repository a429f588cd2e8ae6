"""Structured logs: a fixed event name, identifiers as fields, one JSON object a line.

No patient attribute, no data set and no free text from the wire goes in; a series is named by its
UID. ``log = get_logger(__name__)`` then ``log.info("series_settled", series=uid, instances=192)``.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

FOLDER = "log"
"""In the data folder: what each process logged last."""
_FILE_BYTES, _FILES = 2**22, 2


class Logger:
    """Thin front of a standard logger that takes fields by keyword."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """Details for whoever hunts a fault."""
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """What the node did."""
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """What a person should look at."""
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """What stopped."""
        self._emit(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """A defect, with the traceback of the exception being handled."""
        self._logger.error(event, extra={"fields": fields}, exc_info=True)

    def _emit(self, level: int, event: str, fields: dict[str, object]) -> None:
        self._logger.log(level, event, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    """The logger of a module; pass ``__name__``."""
    return Logger(name)


def configure(level: str = "INFO", *, role: str = "") -> None:
    """Send every log line to standard error as one JSON object; ``role`` names the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Its warnings quote values of the data set; what matters of them our own checks say.
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    # A command says in a sentence of its own why a peer did not answer.
    network = logging.getLogger("pynetdicom")
    network.propagate = bool(role) or level == "INFO"
    network.addHandler(logging.NullHandler())


def keep(data: Path, name: str) -> None:
    """Write every line also to a file of this process, for the system page; the oldest go."""
    try:
        (data / FOLDER).mkdir(parents=True, exist_ok=True)
        file = data / FOLDER / f"{name}.jsonl"
        handler = _LastLines(
            file, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8", errors="replace"
        )
    except OSError as error:  # standard error has every line; the page says that it has none
        get_logger(__name__).warning("log_not_kept", error=type(error).__name__)
        return
    root = logging.getLogger()
    formatters = (h.formatter for h in root.handlers)
    ours = next((f for f in formatters if isinstance(f, _JsonFormatter)), _JsonFormatter(name))
    handler.setFormatter(ours)
    root.addHandler(handler)


class _LastLines(RotatingFileHandler):
    """A line that cannot be written stands on standard error all the same."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say nothing: a full disk is told elsewhere."""


class _JsonFormatter(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower()}
        if self._role:
            line["role"] = self._role
        line["event"] = record.getMessage()
        line["logger"] = record.name
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
