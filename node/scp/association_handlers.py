"""Who comes in: admission at the request, and the record of how each association went."""

import threading
from collections.abc import Callable

from pynetdicom import evt
from pynetdicom.pdu_primitives import A_ABORT, A_P_ABORT

from node.containment import Contained
from node.domain.door import Ending
from node.log import get_logger
from node.scp import pynetdicom_hooks
from node.scp.admission import (
    Admitted,
    Asked,
    Policy,
    Refused,
    admit,
    fault_of_ours,
    node_is_full,
    peer_is_full,
    plain_address,
)
from node.scp.association_recorder import Visits
from node.scp.association_slots import Held, Places
from node.scp.contexts import contexts_for
from node.scp.negotiation import agreement, offer
from node.scp.resolver import Resolver

log = get_logger(__name__)

# Of an acceptor's places, the share that strangers never get where they are let in at all.
_KEPT_SHARE = 4


class Door:
    """Handlers of what happens around the services of an association."""

    def __init__(
        self, policy: Callable[[], Policy], visits: Visits, places: Places, *, max_associations: int
    ) -> None:
        self._policy = policy
        self._seen = policy()
        self._visits = visits
        self._places = places
        self._max_associations = max_associations
        self._addresses_of = Resolver()
        self._counting = threading.Lock()

    def knows(self, address: str) -> bool:
        """Whether a peer has that address; a host name counts once it was resolved.

        It is asked before a connection has a thread, so that nothing is waited for: neither the
        database, whose peers of the last association are good enough, nor a name service.
        """
        plain = plain_address(address)
        return any(
            plain_address(known) == plain
            for peer in self._seen.peers
            for known in self._addresses_of.remembered(peer.host)
        )

    def requested(self, event: evt.Event) -> None:
        """Let in or send away."""
        association = event.assoc
        asked = _asked(association)
        place: Held | None = None
        decision: Admitted | Refused = fault_of_ours(asked)
        # The edge of DIMSE: pynetdicom would log a fault of ours and let everybody in.
        with Contained(log, "admission_failed"):
            self._seen = policy = self._policy()
            decision, place = self._decided(asked, policy)
        if isinstance(decision, Admitted):
            decision = self._opened(association, asked, decision, place)
        if isinstance(decision, Refused):
            pynetdicom_hooks.refuse(association, decision.result, decision.source, decision.reason)
            offered = association.requestor.primitive.presentation_context_definition_list
            self._visits.refuse(asked, decision, offer(offered))
            return
        roles = association.requestor.role_selection
        association.acceptor.supported_contexts = contexts_for(
            decision.peer, peer_as_scp=[u for u, role in roles.items() if role.scp_role]
        )

    def _decided(self, asked: Asked, policy: Policy) -> tuple[Admitted | Refused, Held | None]:
        decision = admit(asked, policy, self._addresses_of)
        if isinstance(decision, Admitted):
            return self._placed(asked, decision)
        return decision, None

    def _opened(
        self, association: object, asked: Asked, admitted: Admitted, place: Held | None
    ) -> Admitted | Refused:
        """Take one of the acceptor's places; those of peers that are known are kept for them."""
        stranger, most = admitted.peer is None, self._max_associations
        with self._counting:
            full = self._visits.count() >= most or (
                stranger and self._visits.count(strangers=True) >= most - most // _KEPT_SHARE
            )
            if not full:
                self._visits.open(association, asked, admitted.peer, place)
                return admitted
        if place is not None:
            place.free()
        return node_is_full(asked, most)

    def _placed(self, asked: Asked, admitted: Admitted) -> tuple[Admitted | Refused, Held | None]:
        """Take one of the peer's places, where it has a limit of its own."""
        peer = admitted.peer
        if peer is None or not peer.max_associations:
            return admitted, None
        place = self._places.take(peer.name, peer.max_associations)
        return (admitted, place) if place else (peer_is_full(asked, peer), None)

    def accepted(self, event: evt.Event) -> None:
        """Remember what was agreed."""
        visit = self._visits.of(event.assoc)
        if visit is not None:
            requested = event.assoc.requestor.primitive.presentation_context_definition_list
            visit.contexts = agreement(requested, event.assoc.accepted_contexts, visit.peer)

    def echoed(self, event: evt.Event) -> int:
        """Answer a C-ECHO (PS3.4 A)."""
        visit = self._visits.of(event.assoc)
        if visit is not None:
            visit.services["C-ECHO"] += 1
        return 0x0000

    def rejected(self, event: evt.Event) -> None:
        """An admitted association was refused by the limit of this acceptor."""
        visit = self._visits.of(event.assoc)
        if visit is not None:
            offered = event.assoc.requestor.primitive.presentation_context_definition_list
            visit.contexts = offer(offered)
            refused = node_is_full(visit.asked, self._max_associations)
            self._visits.turn_away(event.assoc, refused)

    def released(self, event: evt.Event) -> None:
        """The peer ended the association in order."""
        self._visits.close(event.assoc, "Released.", Ending.RELEASED)

    def acse_received(self, event: evt.Event) -> None:
        """Remember which abort it was that ends the association."""
        visit = self._visits.of(event.assoc)
        if visit is None:
            return
        if isinstance(event.primitive, A_ABORT):
            visit.abort, visit.ending = "Aborted by the peer.", Ending.ABORTED
        elif isinstance(event.primitive, A_P_ABORT) and not visit.abort:
            visit.abort, visit.ending = "The connection broke.", Ending.BROKEN

    def aborted(self, event: evt.Event) -> None:
        """The association ended out of order."""
        visit = self._visits.of(event.assoc)
        how = visit.abort if visit else ""
        ending = visit.ending if visit else Ending.SILENT
        self._visits.close(
            event.assoc, how or "Aborted by the node: the peer was silent too long.", ending
        )

    def closed(self, event: evt.Event) -> None:
        """The connection is gone."""
        if event.assoc.requestor.primitive is None:
            log.info("connection_without_association", address=event.assoc.requestor.address)
            pynetdicom_hooks.forget_silent(event.assoc)


def _asked(association: object) -> Asked:
    facts = pynetdicom_hooks.facts(association)
    return Asked(
        calling_ae=facts.calling_ae,
        called_ae=facts.called_ae,
        address=facts.address,
        implementation=facts.implementation,
        tls_version=facts.tls_version,
        certificate_names=facts.certificate_names,
    )
