"""Tables of where an sCT may be, and of what was removed here and is still there.

``node/archive/schema/tables.py`` gives them to everybody else. Rows are only ever added.
"""

import sqlalchemy as sa

from node.archive.schema.columns import UID, id_column, json, metadata, of, text, time

# Written before the first byte leaves; outlives failover, resends and retention.
whereabouts = sa.Table(
    "whereabouts",
    metadata,
    id_column(),
    of("runs"),
    text("place"),
    text("how"),
    # Who can be told there; empty: nobody.
    text("peer"),
    text("address"),
    time("at", nullable=False),
    sa.UniqueConstraint("run_id", "place"),
)

# What retention removed of a run that had left: enough to withdraw it.
tombstones = sa.Table(
    "tombstones",
    metadata,
    id_column(),
    of("runs"),
    sa.Column("study_instance_uid", UID, nullable=False),
    # Attributes of patient and study.
    json("header"),
    # Of each object: kind, stack, number, SOP class, SOP instance and series.
    json("objects"),
    sa.UniqueConstraint("run_id"),
)
