"""UIDs that derive from their inputs: the same work gives the same object, today and next year."""

import hashlib
import json
import uuid
from collections.abc import Iterable

from node.domain.plan import Plan


def series_uid(plan: Plan, source_sop_instance_uids: Iterable[str]) -> str:
    """Series Instance UID of the sCT that ``plan`` makes of those instances.

    It changes with the sources, the model's hash, the software version, every setting that changes
    pixels, the revision and the attempt; with nothing else.
    """
    identity = {
        "sources": sorted(source_sop_instance_uids),
        "model": plan.model.sha256,
        "software": plan.software_version,
        "settings": dict(sorted(plan.settings.items())),
        "grid": [list(plan.grid.shape), plan.grid.affine.round(6).tolist()],
        "revision": plan.revision,
        "attempt": plan.attempt,
    }
    return derived_uid("series", json.dumps(identity, sort_keys=True))


def instance_uid(series_instance_uid: str, number: int) -> str:
    """SOP Instance UID of image ``number`` (from 1) of a derived series."""
    return derived_uid("instance", series_instance_uid, str(number))


def derived_uid(role: str, *parts: str) -> str:
    """PS3.5 B.2: 2.25 and a UUID as one decimal integer; here the UUID is a hash of the inputs."""
    digest = hashlib.sha256("\0".join(("pctnode", role, *parts)).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
