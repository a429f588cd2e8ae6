"""Kinds of destination an sCT can go to: one Protocol, one table."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from node.archive.rows.delivery_values import Answer
from node.domain.site import Peer
from node.scu import store
from node.scu.store import InstanceStatus, Outgoing, Stored

Answered = Callable[[Answer], None]
Leaving = Callable[[], None]


class Destination(Protocol):
    """Something that takes objects."""

    def send(
        self,
        peer: Peer,
        files: Sequence[Outgoing],
        *,
        calling_ae: str,
        leaving: Leaving,
        answered: Answered,
    ) -> None:
        """Send ``files`` in order and return once each is stored there.

        ``leaving`` is called before the first byte of them; what it raises ends the sending.
        ``answered`` gets each answer as it comes. Raises `Retryable` when the same work may succeed
        later, `Rejected` when it will not.
        """
        ...


class DicomDestination:
    """An AE that takes C-STORE, all objects in one association."""

    def send(
        self,
        peer: Peer,
        files: Sequence[Outgoing],
        *,
        calling_ae: str,
        leaving: Leaving,
        answered: Answered,
    ) -> None:
        """Send ``files`` by C-STORE."""

        def on_status(status: InstanceStatus) -> None:
            answered(
                Answer(
                    sop_instance_uid=status.sop_instance_uid,
                    status=status.status,
                    stored=status.stored in (Stored.STORED, Stored.WARNED),
                    sentence=status.sentence,
                )
            )

        store.send(peer, files, calling_ae=calling_ae, on_open=leaving, on_status=on_status)


DESTINATIONS: Mapping[str, Destination] = {"dicom": DicomDestination()}
"""By kind; every peer is of kind ``dicom`` today."""
