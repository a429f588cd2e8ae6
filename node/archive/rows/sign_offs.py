"""Sign-offs as every release sees them: does the one an sCT was made under still stand."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t
from node.domain.errors import Rejected
from node.domain.sign_off import Scope, SignOff, is_research

REVOKED = "The sign-off this sCT was made under does not stand any more."


def standing(connection: sa.Connection, sha256: str) -> list[SignOff]:
    """The sign-offs of a model file that were not revoked, oldest first."""
    s = t.sign_offs.c
    columns = (s.id, s.manufacturer, s.scanner, s.protocol)
    query = sa.select(*columns).where(s.sha256 == sha256, s.ended_at.is_(None)).order_by(s.id)
    return [
        SignOff(
            id=row.id,
            scope=Scope(manufacturer=row.manufacturer, scanner=row.scanner, protocol=row.protocol),
        )
        for row in connection.execute(query)
    ]


def may_leave(connection: sa.Connection, plan: Mapping[str, Any] | None) -> bool:
    """Whether the sCT of a plan says RESEARCH, or the sign-off it was made under still stands."""
    if plan is None or is_research(dict(plan)):
        return True
    s = t.sign_offs.c
    query = sa.select(s.id).where(s.id == plan.get("sign_off"), s.ended_at.is_(None))
    return connection.execute(query).first() is not None


def must_be_free(connection: sa.Connection, plan: Mapping[str, Any] | None) -> None:
    """Raise `Rejected` for an sCT that would leave under a revoked sign-off."""
    if not may_leave(connection, plan):
        raise Rejected(
            REVOKED,
            code="SIGN_OFF",
            remedy="Run the series again: its sCT then says RESEARCH, or sign the model off anew.",
        )
