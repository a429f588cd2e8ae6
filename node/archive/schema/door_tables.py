"""Tables of what happened at the door: who offered what of a series, and how it ended.

``node/archive/schema/tables.py`` gives them to everybody else.
"""

import sqlalchemy as sa

from node.archive.schema.columns import UID, id_column, metadata, number, text, time

_OPEN = sa.text("ended_at IS NULL")

# One row for each series of each association (or request) that offered instances of it.
offers = sa.Table(
    "offers",
    metadata,
    id_column(),
    sa.Column("series_instance_uid", UID, nullable=False),
    sa.Column("origin", sa.String(40), nullable=False, index=True),
    text("kind"),
    sa.Column("holder", sa.String(128), nullable=False, server_default=""),
    text("calling_ae"),
    text("called_ae"),
    text("peer", nullable=True),
    text("address"),
    time("opened_at", nullable=False),
    time("begun_at", nullable=False),
    time("last_at", nullable=False),
    time("ended_at"),
    sa.Column("ending", sa.String(16), nullable=False, server_default=""),
    text("sentence"),
    number("taken"),
    number("duplicates"),
    number("asides"),
    number("overlaps"),
    sa.UniqueConstraint("series_instance_uid", "origin"),
    # Few at any time, however many there were: asked whether their process still lives.
    sa.Index("ix_offers_open", "holder", sqlite_where=_OPEN, postgresql_where=_OPEN),
)

# Instances that were offered and not taken, each once for its series.
refusals = sa.Table(
    "refusals",
    metadata,
    id_column(),
    sa.Column("series_instance_uid", UID, nullable=False),
    sa.Column("sop_instance_uid", UID, nullable=False),
    sa.Column("origin", sa.String(40), nullable=False),
    text("code"),
    text("sentence"),
    text("patient_id"),
    number("times", 1),
    time("at", nullable=False),
    sa.UniqueConstraint("series_instance_uid", "sop_instance_uid"),
)
