"""What went wrong, in the reader's words: by its code where a page knows it, else spoken."""

from node.domain.errors import NodeError, Rejected
from node.web.messages.sentences import spoken, understood
from node.web.messages.texts import TEXTS, Translator


def code_of(error: NodeError) -> str:
    """The stable name of a fault."""
    return error.code if isinstance(error, Rejected) and error.code else type(error).__name__


def known(error: NodeError, place: str = "") -> bool:
    """Whether the fault is told in either language; ``place`` is the page that tells it."""
    return _key("why", error, place) in TEXTS or understood(error.message)


def why(t: Translator, error: NodeError, place: str = "") -> str:
    """What happened. The same code is another thing on another page."""
    key = _key("why", error, place)
    return t(key) if key in TEXTS else spoken(error.message, t.language)


def to_do(t: Translator, error: NodeError, place: str = "") -> str:
    """What to do about it; empty where there is nothing."""
    key = _key("do", error, place)
    return t(key) if key in TEXTS else spoken(error.remedy, t.language)


def _key(part: str, error: NodeError, place: str) -> str:
    return f"{place}.{part}.{code_of(error)}"
