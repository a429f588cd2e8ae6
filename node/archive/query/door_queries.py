"""What the page and the interface tell of the door: who brought a series, and what it lacks."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.expectations import expectation_of
from node.archive.evidence.ledger import read_evidence
from node.archive.rows.series_rows import moment
from node.domain.door import Evidence, Offer, incomplete

# A sender that opens an association for each image must not fill the page.
_MOST = 50


def door_item(connection: sa.Connection, row: Mapping[Any, Any]) -> dict[str, Any]:
    """Who brought the series of ``row``, how each association ended, what was refused and why."""
    uid = row["series_instance_uid"]
    evidence = read_evidence(connection, row["id"], uid)
    expected = expectation_of(connection, uid)
    count = expected.instances if expected else None
    found = incomplete(evidence, expected=count)
    return {
        "held": evidence.held,
        "expected": count,
        "expected_by": expected.peer if expected else None,
        "complete": not found and (count is None or evidence.held >= count),
        "sentences": [f.sentence for f in found],
        "associations": _associations(evidence),
        "missing": [
            {"sop_instance_uid": m.sop_instance_uid, "code": m.code, "at": _iso(m.at)}
            for m in evidence.missing
        ],
    }


def _associations(evidence: Evidence) -> Sequence[dict[str, Any]]:
    return [_association(offer, evidence) for offer in evidence.offers[-_MOST:]]


def _association(offer: Offer, evidence: Evidence) -> dict[str, Any]:
    return {
        "calling_ae": offer.calling_ae,
        "called_ae": offer.called_ae,
        "peer": offer.peer,
        "address": offer.address,
        "opened_at": _iso(offer.opened_at),
        "last_at": _iso(offer.last_at),
        "ended_at": _iso(offer.ended_at),
        "ending": offer.ending.value if offer.ending else "open",
        "stored": offer.held,
        "duplicates": offer.duplicates,
        "conflicts": offer.asides,
        "refused": sum(m.origin == offer.origin for m in evidence.missing),
    }


def _iso(at_s: float | None) -> str | None:
    return None if at_s is None else moment(at_s).isoformat(timespec="milliseconds")
