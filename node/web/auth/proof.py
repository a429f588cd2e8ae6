"""A signature asks again who it is: a password, or a fresh log-in at the identity provider."""

from fastapi import Request

from node.archive.people.audit import By
from node.domain.errors import Rejected
from node.web.auth.security import Access, actor, address_of, me

# How long a fresh log-in at the identity provider counts as a signature's proof.
FRESH_S = 300.0


def prove_again(request: Request, password: str) -> By:
    """Who signs, proved now; `Rejected` or `TooMany` where he has not proved it."""
    user = me(request)
    access: Access = request.app.state.access
    by = By(**actor(request))
    if user.account_id is None or access.accounts is None:
        return by  # nobody is asked who he is on this node
    if user.has_password:
        if not password:
            raise Rejected(
                "A signature needs your password.", code="PROVE", remedy="Give your password."
            )
        access.accounts.prove(user.account_id, password, address=address_of(request))
        return by
    if user.how != "session" or user.proved_ago_s is None or user.proved_ago_s > FRESH_S:
        raise Rejected(
            "A signature needs a fresh log-in at the identity provider.",
            code="PROVE",
            remedy="Log in again there and sign within five minutes.",
        )
    return by
