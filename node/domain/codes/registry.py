"""Where rows of codes come together: those of the themes, and what checks bring along.

Whoever makes findings reads this one; whoever must know every code reads `codes.table`.
"""

from collections.abc import Mapping

from node.domain.codes.acquisition import ACQUISITION
from node.domain.codes.arrival import ARRIVAL
from node.domain.codes.companions import COMPANIONS
from node.domain.codes.door import DOOR
from node.domain.codes.geometry import GEOMETRY
from node.domain.codes.kind import KIND
from node.domain.codes.pixels import PIXELS
from node.domain.codes.quality import QUALITY
from node.domain.codes.values import VALUES
from node.domain.wording import Code

CODES: dict[str, Code] = {
    **ARRIVAL, **DOOR, **KIND, **PIXELS, **GEOMETRY, **ACQUISITION, **VALUES, **QUALITY,
    **COMPANIONS,
}  # fmt: skip


def register(rows: Mapping[str, Code]) -> Mapping[str, Code]:
    """Add the rows of a check's own file; `ValueError` for a code that has one already."""
    if known := CODES.keys() & rows.keys():
        raise ValueError(f"There is a row already for {', '.join(sorted(known))}.")
    CODES.update(rows)
    return rows
