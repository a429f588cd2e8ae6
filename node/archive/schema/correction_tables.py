"""Corrections: images that are here and came again, saying something else."""

import sqlalchemy as sa

from node.archive.schema.columns import id_column, metadata, of, text, time
from node.archive.schema.columns import json as json_column

WAITING, ADOPTED, DISMISSED = "waiting", "adopted", "dismissed"

# One row for each claim about one series: the same other patient, study or series.
corrections = sa.Table(
    "corrections",
    metadata,
    id_column(),
    of("series"),
    # Where the images say they belong: the same series, or another one.
    sa.Column("series_instance_uid", sa.Text, nullable=False, index=True),
    json_column("identity"),
    # What the rows of a series are made of, as the first image said it.
    json_column("described"),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    text("calling_ae"),
    text("peer", nullable=True),
    time("created_at", nullable=False),
    time("last_at", nullable=False),
    time("decided_at"),
    text("who"),
    text("reason"),
)
