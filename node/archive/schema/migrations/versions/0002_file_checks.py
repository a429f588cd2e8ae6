"""What was last seen of each archived file."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table(
        "file_checks",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("verified_at", sa.Float(precision=53), nullable=True),
        sa.Column("state", sa.Text(), server_default="", nullable=False),
        sa.Column("damaged_at", sa.Float(precision=53), nullable=True),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", name=op.f("pk_file_checks")),
    )
    op.create_index(op.f("ix_file_checks_damaged_at"), "file_checks", ["damaged_at"])


def downgrade() -> None:
    """Take it back."""
    op.drop_table("file_checks")
