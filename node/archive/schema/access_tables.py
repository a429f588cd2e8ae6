"""Tables of who may do what, and of what was done: accounts, sessions, audit trail, sign-offs.

Secrets stand here as hashes only. ``node/archive/schema/tables.py`` gives them to everybody else.
"""

import sqlalchemy as sa

from node.archive.schema.columns import id_column, metadata, of, text, time

accounts = sa.Table(
    "accounts",
    metadata,
    id_column(),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    text("display_name"),
    sa.Column("role", sa.String(16), nullable=False),
    text("password_hash", nullable=True),
    sa.Column("subject", sa.String(512), nullable=True, unique=True),
    sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
    time("created_at", nullable=False),
    time("seen_at"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("secret_sha256", sa.String(64), primary_key=True),
    of("accounts"),
    time("created_at", nullable=False),
    time("proved_at", nullable=False),
    time("expires_at", nullable=False),
    text("address"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    id_column(),
    of("accounts"),
    text("label"),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("secret_sha256", sa.String(64), nullable=False, unique=True),
    time("created_at", nullable=False),
    time("expires_at"),
    time("used_at"),
)

tickets = sa.Table(
    "tickets",
    metadata,
    sa.Column("secret_sha256", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
    time("created_at", nullable=False),
    time("expires_at", nullable=False),
)

log_in_failures = sa.Table(
    "log_in_failures",
    metadata,
    id_column(),
    time("at", nullable=False),
    sa.Column("name", sa.String(64), nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False, index=True),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    text("who"),
    text("role"),
    text("address"),
    sa.Column("action", sa.String(64), nullable=False, index=True),
    text("target"),
    text("details"),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
)

sign_offs = sa.Table(
    "sign_offs",
    metadata,
    id_column(),
    text("model"),
    text("version"),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    text("manufacturer"),
    text("scanner"),
    text("protocol"),
    text("note"),
    text("who"),
    time("at", nullable=False),
    text("ended_by", nullable=True),
    time("ended_at"),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    time("at", nullable=False),
    sa.Column("sent", sa.Boolean, nullable=False),
    text("sentence"),
)
