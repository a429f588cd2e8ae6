"""The table of what was last seen of each archived file.

``node/archive/schema/tables.py`` gives it to everybody else.
"""

import sqlalchemy as sa

from node.archive.schema.columns import UID, metadata, text, time

# By SOP instance, received or made; a row goes when its instance is not there any more.
file_checks = sa.Table(
    "file_checks",
    metadata,
    sa.Column("sop_instance_uid", UID, primary_key=True),
    time("verified_at"),
    # Inode, size and times of the file that was verified, as text.
    text("state"),
    sa.Column("damaged_at", sa.Float(53), index=True),
    text("path"),
)
