"""A sender that does to an association what senders in the field do."""

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.dataset import FileDataset

from tests.field.heads import encoded
from tests.peers import raw
from tests.phantoms.headers import MR_IMAGE_STORAGE

ABORT = struct.pack(">BBI4x", raw.ABORT, 0, 4)  # PS3.8 9.3.8
_NOT_ITS_NAME = ".999"


class Ending(StrEnum):
    """How an association ends."""

    RELEASE = "release"
    ABORT = "abort"
    DROP = "drop"
    """The connection is closed without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One C-STORE."""

    dataset: FileDataset
    misnamed: bool = False
    """The command names another object than the data set, which no node may take."""
    cut: bool = False
    """The data set ends in the middle of its pixels."""
    wait_s: float = 0.0
    """Silence before it, with the association open."""
    implicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a node answered to an offer, and when."""

    offer: Offer
    status: int
    at: float


@dataclass(slots=True, kw_only=True)
class Sent:
    """How an association went."""

    calling: str
    called: str
    ending: Ending
    opened_at: float
    closed_at: float = float("inf")
    answers: list[Answered] = field(default_factory=list)

    @property
    def statuses(self) -> list[int]:
        """In the order of the offers."""
        return [answer.status for answer in self.answers]


def send(
    port: int,
    offers: Sequence[Offer | FileDataset],
    *,
    calling: str = "PACS",
    called: str = "AUTO",
    ending: Ending = Ending.RELEASE,
    implicit: bool = False,
    told: Callable[[Answered], None] = lambda _: None,
) -> Sent:
    """Send ``offers`` in one association; ``told`` hears of every answer."""
    sent = Sent(calling=calling, called=called, ending=ending, opened_at=time.monotonic())
    syntax = "1.2.840.10008.1.2" if implicit else raw.EXPLICIT_LITTLE
    with raw.associated(
        port, [MR_IMAGE_STORAGE], called=called, calling=calling, syntax=syntax
    ) as (peer, limit):
        for number, each in enumerate(offers, start=1):
            offer = each if isinstance(each, Offer) else Offer(dataset=each)
            if offer.wait_s:
                time.sleep(offer.wait_s)  # the silence is what is tried
            peer.sendall(_request(offer, number, limit, implicit=implicit))
            answer = Answered(offer=offer, status=raw.receive_status(peer), at=time.monotonic())
            sent.answers.append(answer)
            told(answer)
        if ending is Ending.RELEASE:
            peer.sendall(raw.RELEASE)
            raw.receive_pdu(peer)
        elif ending is Ending.ABORT:
            peer.sendall(ABORT)
    sent.closed_at = time.monotonic()
    return sent


@contextmanager
def held_open(
    port: int, datasets: Sequence[FileDataset], *, calling: str = "PACS", called: str = "AUTO"
) -> Iterator[Callable[[Sequence[FileDataset]], list[int]]]:
    """Send some and keep the association open; what is given sends more, and it is released."""
    with raw.associated(port, [MR_IMAGE_STORAGE], called=called, calling=calling) as (peer, limit):

        def more(datasets: Sequence[FileDataset]) -> list[int]:
            statuses = []
            for number, dataset in enumerate(datasets, start=1):
                peer.sendall(_request(Offer(dataset=dataset), number, limit, implicit=False))
                statuses.append(raw.receive_status(peer))
            return statuses

        more(datasets)
        yield more
        peer.sendall(raw.RELEASE)
        raw.receive_pdu(peer)


def _request(offer: Offer, number: int, limit: int, *, implicit: bool) -> bytes:
    named = str(offer.dataset.SOPInstanceUID) + (_NOT_ITS_NAME if offer.misnamed else "")
    data = encoded(offer.dataset, implicit=implicit)
    if offer.cut:
        data = data[: len(data) - 100]
    command = raw.store_command(MR_IMAGE_STORAGE, named[:64], number)
    return raw.message(command, data, limit)


def by_index(datasets: Sequence[FileDataset]) -> Mapping[str, int]:
    """Place in the series by SOP Instance UID."""
    return {str(dataset.SOPInstanceUID): n for n, dataset in enumerate(datasets)}
