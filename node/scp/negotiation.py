"""What was offered in an association and what was agreed, as plain values for its record."""

from collections.abc import Sequence
from typing import Any

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from node.domain.site import Peer
from node.scp.contexts import why_refused

# PS3.8 table 9-18, Result/Reason of a presentation context.
_NOT_ANSWERED = "the association was refused"


def offer(requested: Sequence[PresentationContext]) -> tuple[dict[str, Any], ...]:
    """The contexts of a request that was refused as a whole."""
    return tuple(_item(context, "", _NOT_ANSWERED) for context in requested)


def agreement(
    requested: Sequence[PresentationContext],
    accepted: Sequence[PresentationContext],
    peer: Peer | None,
) -> tuple[dict[str, Any], ...]:
    """Every context requested, with the syntax that was agreed or the rule that kept it out."""
    agreed = {context.context_id: str(context.transfer_syntax[0]) for context in accepted}
    found = []
    for context in requested:
        syntax = agreed.get(context.context_id, "")
        why = "" if syntax else why_refused(peer, str(context.abstract_syntax))
        found.append(_item(context, syntax, why))
    return tuple(found)


def _item(context: PresentationContext, syntax: str, why: str) -> dict[str, Any]:
    return {
        "id": context.context_id,
        "sop_class": str(context.abstract_syntax),
        "name": UID(str(context.abstract_syntax)).name,
        "offered": [str(s) for s in context.transfer_syntax],
        "accepted": syntax,
        "why": why,
    }
