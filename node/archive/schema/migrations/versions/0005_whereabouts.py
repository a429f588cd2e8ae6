"""Where an sCT may be, and what was removed here and is still there."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What earlier versions remembered: where something was stored, or might have been when a try
# ended in between; with a failover both places.
_BEFORE = """
INSERT INTO whereabouts (run_id, place, how, peer, address, at)
SELECT run_id, place, 'delivery', place, '', MIN(at) FROM (
    SELECT run_id, destination AS place, updated_at AS at FROM deliveries
    WHERE attempts > 0 OR state IN ('sent', 'confirmed')
    UNION ALL
    SELECT run_id, via AS place, updated_at AS at FROM deliveries WHERE via IS NOT NULL
) AS known GROUP BY run_id, place
"""


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "whereabouts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("how", sa.Text(), server_default="", nullable=False),
        sa.Column("peer", sa.Text(), server_default="", nullable=False),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_whereabouts_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_whereabouts")),
        sa.UniqueConstraint("run_id", "place", name=op.f("uq_whereabouts_run_id_place")),
    )
    op.create_index(op.f("ix_whereabouts_run_id"), "whereabouts", ["run_id"])
    op.create_table(
        "tombstones",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("header", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("objects", sa.JSON(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_tombstones_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        sa.UniqueConstraint("run_id", name=op.f("uq_tombstones_run_id")),
    )
    op.create_index(op.f("ix_tombstones_run_id"), "tombstones", ["run_id"])
    op.execute(_BEFORE)


def downgrade() -> None:
    """Bring the tables back to the revision before."""
    op.drop_table("tombstones")
    op.drop_table("whereabouts")
