"""Tell a story to a running node, and find what is wrong with what became of it."""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.crash.harness import Node
from tests.field.evidence import GRACE_S, HELD, Evidence, Expect, Told, Truth, meaning
from tests.field.hospital import UNDER_WAY
from tests.field.recorder import Delivered, Recorder
from tests.field.sending import Answered, Ending, Sent, send
from tests.field.stories import Act, Story
from tests.peers.waiting import wait_until

_AGAIN_S = 0.5
_DELIVERED_WITHIN_S = 120.0


@dataclass(slots=True, kw_only=True)
class Played:
    """A story that was told to the node."""

    story: Story
    told: list[Told] = field(default_factory=list)
    associations: list[Sent] = field(default_factory=list)
    ended_at: float = 0.0
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the interface says of its series, by UID, once nothing is under way."""
    error: str = ""
    grace_s: float = GRACE_S
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def series(self) -> list[str]:
        """UIDs of what it sent."""
        own = [truth.series for truth in self.story.truths]
        return [*own, *([self.story.moved_to] if self.story.moved_to else [])]

    @property
    def evidence(self) -> Evidence:
        """All that it told."""
        return Evidence(
            told=tuple(self.told),
            associations=tuple(self.associations),
            truths=self.story.truths,
            grace_s=self.grace_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something the node did that it may not do."""

    story: str
    kinds: tuple[str, ...]
    what: str
    states: tuple[str, ...]


def play(node: Node, tps: Recorder, told: Story, *, patience_s: float = 0.0) -> Played:
    """Do what the story says, associations beside each other in threads of their own.

    A sender whose association breaks without its doing tries again for ``patience_s``.
    """
    played = Played(story=told)
    go_on(node, tps, played, told.acts, patience_s=patience_s)
    return played


def go_on(
    node: Node, tps: Recorder, played: Played, acts: Sequence[Act], *, patience_s: float
) -> None:
    """Do some acts of a story."""
    beside: list[threading.Thread] = []
    for act in acts:
        if not act.beside:
            _join(beside)
        if act.after_delivery:
            arrived = partial(tps.scts, played.story.truths[0].frame)
            wait_until(arrived, "an sCT", timeout_s=_DELIVERED_WITHIN_S)
        if act.after_s:
            time.sleep(act.after_s)  # the silence is part of the story
        thread = threading.Thread(target=_open, args=(node, played, act, patience_s))
        thread.start()
        beside.append(thread)
    _join(beside)
    played.ended_at = time.monotonic()


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()
    threads.clear()


def _open(node: Node, played: Played, act: Act, patience_s: float) -> None:
    """Open an association, again and again while it breaks and patience lasts."""
    until = time.monotonic() + patience_s
    while True:
        error = _once(node, played, act)
        if not error:
            return
        if time.monotonic() > until:
            played.error = error
            return
        time.sleep(_AGAIN_S)  # as a sender pauses before it tries again


def _once(node: Node, played: Played, act: Act) -> str:
    """One try; why it broke, empty when it did as it should."""
    sent = Sent(
        calling=act.calling, called=act.called, ending=act.ending, opened_at=time.monotonic()
    )
    with played.lock:
        number = len(played.associations)
        played.associations.append(sent)
    try:
        send(
            node.dicom_port,
            act.offers,
            calling=act.calling,
            called=act.called,
            ending=act.ending,
            implicit=act.implicit,
            told=lambda answer: played.told.append(_told(answer, number)),
        )
    except (OSError, ValueError) as error:
        sent.ending = Ending.DROP
        return f"{type(error).__name__}: {error}"
    finally:
        sent.closed_at = time.monotonic()
    return ""


def _told(answer: Answered, association: int) -> Told:
    dataset = answer.offer.dataset
    return Told(
        at=answer.at,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        meaning=meaning(dataset),
        held=answer.status in HELD,
        association=association,
        misnamed=answer.offer.misnamed,
    )


def faults(played: Played, tps: Recorder) -> list[Fault]:
    """Everything that is wrong with what became of a story."""
    found = [played.error] if played.error else []
    evidence = played.evidence
    for truth in played.story.truths:
        scts = tps.scts(truth.frame)
        found += [f"delivered: {why}" for sct in scts if (why := evidence.contradiction(sct))]
        found += _unexpected(played, truth, evidence.expected(truth), scts)
    item = played.items
    states = tuple(f"{item[uid]['state']}" if uid in item else "no row" for uid in played.series)
    return [
        Fault(story=played.story.name, kinds=played.story.kinds, what=what, states=states)
        for what in found
    ]


def _unexpected(
    played: Played, truth: Truth, expect: Expect, scts: Sequence[Delivered]
) -> Iterable[str]:
    item = played.items.get(truth.series)
    whole = [sct for sct in scts if sct.sources == truth.slices]
    if item is None:
        # Of what was refused to the last image nothing is here; its sender knows, and the record
        # of the association.
        if any(one.held and one.sop_instance_uid in truth.slices for one in played.told):
            yield "no row of a series that was sent"
        return
    if item["state"] in UNDER_WAY or item["state"] in ("kept", "failed"):
        yield f"stuck: {item['state']}: {item['sentence']}"
    if expect is Expect.DELIVERED and not whole:
        codes = [f["code"] for f in item["findings"]]
        yield f"a clean series was not delivered: {item['state']}: {item['sentence']} {codes}"
    if expect is Expect.TOLD and not _is_told(played, item):
        yield f"not told: {item['state']}: {item['sentence']}"


def _is_told(played: Played, item: dict[str, Any]) -> bool:
    """Whether a person who looks at the series sees that something is wrong."""
    return item["state"] in ("refused", "review") or bool(item["findings"])
