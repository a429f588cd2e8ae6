"""Deliveries, their proof and pulls in French, values and all."""

import pytest

from node.domain.errors import Rejected
from node.domain.site import Site
from node.domain.wording import Language
from node.web.messages.sentences import spoken, understood

SENTENCES = (
    "120 objects stored at pacs and found there.",
    "120 objects stored at pacs and committed to.",
    "120 objects stored at pacs and fetched back, the same.",
    "120 objects stored at pacs, not confirmed yet: pacs does not list 3 yet.",
    "pacs says it does not have 3 of 120 objects; they are sent again.",
    "pacs did not give 3 of 120 objects as sent after 6 attempts. Look at the peer's log.",
    "120 objects stored at pacs, which stands in for 3d. Waiting for the proof it asks for (get).",
    "There is no peer pacs any more; add it and send again.",
    "pacs (PACS at 10.0.0.3:104) accepts none of the object classes offered to it.",
    "pacs answered 0xA700 (out of resources) for 1.3.120.",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_delivery_speaks_french(sentence: str) -> None:
    """Its numbers and names stay."""
    said = spoken(sentence, Language.FR)

    assert said != sentence
    assert "pacs" in said
    assert all(number in said for number in ("120", "3") if number in sentence)


def test_a_refused_pull_speaks_french() -> None:
    """What happened, and what to do."""
    with pytest.raises(Rejected) as refused:
        Site(peers=(), routes=()).archive("pasc")

    assert understood(refused.value.message)
    assert understood(refused.value.remedy)
    assert "'pasc'" in spoken(refused.value.message, Language.FR)
