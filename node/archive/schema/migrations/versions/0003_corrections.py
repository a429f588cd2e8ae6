"""Corrections, and what lies aside with what it needs to be filed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("identity", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("described", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("calling_ae", sa.Text(), server_default="", nullable=False),
        sa.Column("peer", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("last_at", sa.Float(precision=53), nullable=False),
        sa.Column("decided_at", sa.Float(precision=53), nullable=True),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["series.id"],
            name=op.f("fk_corrections_series_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    with op.batch_alter_table("corrections", schema=None) as batch_op:
        for column in ("series_id", "series_instance_uid", "state"):
            batch_op.create_index(batch_op.f(f"ix_corrections_{column}"), [column], unique=False)
    with op.batch_alter_table("conflicts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("correction_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("replaced", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("sop_class_uid", sa.Text(), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("transfer_syntax_uid", sa.Text(), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("differences", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("header", sa.JSON(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_conflicts_correction_id"),
            "corrections",
            ["correction_id"],
            ["id"],
            ondelete="CASCADE",
        )
        batch_op.create_index(
            batch_op.f("ix_conflicts_correction_id"), ["correction_id"], unique=False
        )
    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.add_column(sa.Column("corrects", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Take the tables back to the revision before."""
    with op.batch_alter_table("series", schema=None) as batch_op:
        batch_op.drop_column("corrects")
    with op.batch_alter_table("conflicts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conflicts_correction_id"))
        batch_op.drop_constraint(batch_op.f("fk_conflicts_correction_id"), type_="foreignkey")
        for column in (
            "header", "differences", "transfer_syntax_uid", "sop_class_uid", "replaced",
            "correction_id",
        ):  # fmt: skip
            batch_op.drop_column(column)
    op.drop_table("corrections")
