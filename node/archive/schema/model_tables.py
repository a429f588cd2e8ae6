"""Tables of what models have made and how they and the workers fare.

``node/archive/schema/tables.py`` gives them to everybody else.
"""

import sqlalchemy as sa

from node.archive.schema.columns import id_column, json, metadata, text, time

# What was measured of each sCT, whatever the checks said: a model's own population, and its drift.
figures = sa.Table(
    "figures",
    metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    time("at", nullable=False),
    text("manufacturer"),
    text("scanner"),
    text("protocol"),
    json("measured"),
    sa.Index(None, "sha256", "at"),
)

model_checks = sa.Table(
    "model_checks",
    metadata,
    id_column(),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    text("model"),
    text("version"),
    text("provider"),
    sa.Column("ok", sa.Boolean, nullable=False),
    text("verdict"),
    text("who"),
    time("at", nullable=False),
)

worker_facts = sa.Table(
    "worker_facts",
    metadata,
    sa.Column("executor_id", sa.String(128), primary_key=True),
    time("at", nullable=False),
    json("facts"),
)
