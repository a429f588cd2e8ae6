"""What went wrong, in the reader's words: by its code where one is known, else as it was raised."""

from node.domain.errors import NodeError, Rejected
from node.web.sentences import spoken, understood
from node.web.texts import TEXTS, Translator

_PLACES = ("models", "decide", "fault")


def code_of(error: NodeError) -> str:
    """The stable name of a fault."""
    return error.code if isinstance(error, Rejected) and error.code else type(error).__name__


def known(error: NodeError) -> bool:
    """Whether the fault is told in either language."""
    return _key("why", error) is not None or understood(error.message)


def why(t: Translator, error: NodeError) -> str:
    """What happened."""
    key = _key("why", error)
    return t(key) if key else spoken(error.message, t.language)


def to_do(t: Translator, error: NodeError) -> str:
    """What to do about it; empty where there is nothing."""
    key = _key("do", error)
    return t(key) if key else spoken(error.remedy, t.language)


def _key(part: str, error: NodeError) -> str | None:
    keys = (f"{place}.{part}.{code_of(error)}" for place in _PLACES)
    return next((key for key in keys if key in TEXTS), None)
