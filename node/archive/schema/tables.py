"""The node's tables, for SQLite and PostgreSQL alike (SQLAlchemy Core).

Times are seconds since 1970 UTC, by the database's clock where several processes compare them.
A change here needs a migration in ``migrations/versions``.
"""

import sqlalchemy as sa

from node.archive.schema.access_tables import (
    accounts,
    audit,
    log_in_failures,
    notices,
    sessions,
    sign_offs,
    tickets,
    tokens,
)
from node.archive.schema.columns import UID as _UID
from node.archive.schema.columns import id_column as _id
from node.archive.schema.columns import json as _json
from node.archive.schema.columns import metadata
from node.archive.schema.columns import number as _number
from node.archive.schema.columns import of as _of
from node.archive.schema.columns import text as _text
from node.archive.schema.columns import time as _time
from node.archive.schema.correction_tables import corrections
from node.archive.schema.database import db_clock, open_engine, reading, sqlite_url
from node.archive.schema.door_tables import offers, refusals
from node.archive.schema.file_tables import file_checks
from node.archive.schema.model_tables import figures, model_checks, worker_facts
from node.archive.schema.whereabouts_tables import tombstones, whereabouts

__all__ = [
    "accounts",
    "associations",
    "audit",
    "audit_positions",
    "catalogue",
    "commitments",
    "conflicts",
    "corrections",
    "db_clock",
    "deliveries",
    "delivery_instances",
    "events",
    "expectations",
    "figures",
    "file_checks",
    "instances",
    "leases",
    "log_in_failures",
    "metadata",
    "model_checks",
    "notices",
    "offers",
    "open_engine",
    "outputs",
    "peer_echoes",
    "reading",
    "refusals",
    "runs",
    "series",
    "sessions",
    "sign_offs",
    "site_changes",
    "site_entries",
    "sqlite_url",
    "steps",
    "tickets",
    "tokens",
    "tombstones",
    "transfers",
    "whereabouts",
    "worker_facts",
]

series = sa.Table(
    "series",
    metadata,
    _id(),
    sa.Column("series_instance_uid", _UID, nullable=False, unique=True),
    sa.Column("study_instance_uid", sa.Text, nullable=False, index=True),
    _text("patient_id"),
    _text("patient_name"),
    _text("accession_number"),
    _text("description"),
    _text("body_part"),
    _text("modality"),
    _text("calling_ae"),
    _text("called_ae"),
    _text("peer", nullable=True),
    _number("instances"),
    _time("created_at", nullable=False),
    _time("last_received_at", nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    _time("state_at", nullable=False),
    _text("sentence"),
    _number("revision", 1),
    _number("attempt", 1),
    _text("route", nullable=True),
    _text("model", nullable=True),
    _text("held_by", nullable=True),
    # The series (its id) whose images came again under this one.
    sa.Column("corrects", sa.Integer, nullable=True),
    sa.Column("findings", sa.JSON, nullable=False),
    # The queue reads each state newest first; all of it where 100,000 series are stored.
    sa.Index(None, "state", "state_at", "id"),
    sa.Index(None, "state_at", "id"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("sop_instance_uid", _UID, primary_key=True),
    _of("series"),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("path"),
    _number("size"),
    _text("sha256"),
    _time("received_at", nullable=False),
    _number("revision", 1),
    _json("header"),
    # Of the association or request it came with (`offers`); empty where that is not known.
    sa.Column("origin", sa.String(40), nullable=False, server_default=""),
)

conflicts = sa.Table(
    "conflicts",
    metadata,
    _id(),
    sa.Column("sop_instance_uid", _UID, nullable=False, index=True),
    sa.Column("series_instance_uid", sa.Text, nullable=False, index=True),
    _text("path"),
    _number("size"),
    _text("sha256"),
    _text("calling_ae"),
    _time("received_at", nullable=False),
    # What it needs to become an image of its series, and how it differs from the one that is.
    _of("corrections", nullable=True),
    sa.Column("replaced", sa.Boolean, nullable=False, server_default=sa.false()),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    sa.Column("differences", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("header", sa.JSON(none_as_null=True), nullable=True),
)

runs = sa.Table(
    "runs",
    metadata,
    _id(),
    _of("series"),
    _number("revision", 1),
    _number("attempt", 1),
    sa.Column("workflow_id", sa.Text, nullable=False, unique=True),
    _time("created_at", nullable=False),
    _time("enqueued_at"),
    _time("finished_at"),
    _time("released_at"),
    _text("released_by", nullable=True),
    _time("superseded_at"),
    _number("turn"),
    _time("withdrawn_at"),
    _text("model", nullable=True),
    sa.Column("plan", sa.JSON(none_as_null=True), nullable=True),
    _text("predecessor_series_uid", nullable=True),
    sa.UniqueConstraint("series_id", "revision", "attempt"),
    # What is looked for every second: few rows, however many runs have ended.
    sa.Index(
        "ix_runs_open",
        "id",
        sqlite_where=sa.text("finished_at IS NULL AND superseded_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL AND superseded_at IS NULL"),
    ),
)

outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("sop_instance_uid", _UID, primary_key=True),
    _of("runs"),
    _text("kind"),
    _number("stack"),
    sa.Column("series_instance_uid", _UID, nullable=False, index=True),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _number("number"),
    _text("path"),
    _number("size"),
    _text("sha256"),
    _json("header"),
)

# One row for each DICOM series a peer may ask for: received (series_id) or made here (run_id).
catalogue = sa.Table(
    "catalogue",
    metadata,
    sa.Column("series_instance_uid", _UID, primary_key=True),
    sa.Column("study_instance_uid", sa.Text, nullable=False, index=True),
    sa.Column("patient_id", sa.Text, nullable=False, server_default="", index=True),
    _text("folded_name"),
    sa.Column("study_date", sa.Text, nullable=False, server_default="", index=True),
    sa.Column("accession_number", sa.Text, nullable=False, server_default="", index=True),
    _text("sop_class_uid"),
    _json("header"),
    _of("series", nullable=True),
    _of("runs", nullable=True),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    _of("runs"),
    _text("destination"),
    _text("via", nullable=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    _text("proof"),
    _number("proof_tries"),
    _number("attempts"),
    _number("tries"),
    _time("next_try_at"),
    _time("enqueued_at"),
    _time("updated_at", nullable=False),
    _text("sentence"),
    sa.UniqueConstraint("run_id", "destination"),
    # What still waits for its proof is found without those that have it.
    sa.Index(None, "state", "proof"),
)

delivery_instances = sa.Table(
    "delivery_instances",
    metadata,
    sa.Column(
        "delivery_id",
        sa.Integer,
        sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("sop_instance_uid", _UID, primary_key=True),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("stored", sa.Boolean, nullable=False),
    _text("sentence"),
    _time("at", nullable=False),
)

# Storage commitments (PS3.4 J): those we asked a peer for, and those a peer asked of us.
commitments = sa.Table(
    "commitments",
    metadata,
    _id(),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("transaction_uid", _UID, nullable=False),
    _text("peer"),
    sa.Column(
        "delivery_id",
        sa.Integer,
        sa.ForeignKey("deliveries.id", ondelete="CASCADE"),
        nullable=True,
        index=True,
    ),
    _json("instances"),
    sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
    _time("created_at", nullable=False),
    _time("answered_at"),
    _number("tries"),
    _time("next_try_at"),
    _time("enqueued_at"),
    _text("sentence"),
    sa.UniqueConstraint("kind", "transaction_uid", "peer"),
)

# How many instances an archive says a series has.
expectations = sa.Table(
    "expectations",
    metadata,
    sa.Column("series_instance_uid", _UID, primary_key=True),
    _text("peer"),
    _number("instances"),
    _time("asked_at", nullable=False),
    _time("moved_at"),
    _text("sentence"),
)

steps = sa.Table(
    "steps",
    metadata,
    _of("runs"),
    _text("name"),
    _time("started_at", nullable=False),
    sa.Column("finished_at", sa.Float(53), index=True),
    _text("sentence"),
    sa.PrimaryKeyConstraint("run_id", "name"),
)

events = sa.Table(
    "events",
    metadata,
    _id(),
    _of("series"),
    _time("at", nullable=False),
    _text("kind"),
    _text("sentence"),
    _text("who"),
)

associations = sa.Table(
    "associations",
    metadata,
    _id(),
    _time("opened_at", nullable=False),
    _time("closed_at", nullable=False),
    _text("calling_ae"),
    _text("called_ae"),
    _text("address"),
    _text("peer", nullable=True),
    sa.Column("accepted", sa.Boolean, nullable=False),
    _text("sentence"),
    _text("rule"),
    _text("remedy"),
    sa.Column("contexts", sa.JSON, nullable=False),
    _text("implementation"),
    _text("tls"),
    sa.Column("services", sa.JSON, nullable=False),
    _number("received_bytes"),
    sa.Column("receiving_s", sa.Float(53), nullable=False, server_default="0"),
    _number("stored"),
    _number("duplicates"),
    _number("conflicts"),
    _number("failures"),
)

site_entries = sa.Table(
    "site_entries",
    metadata,
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("mapping", sa.JSON, nullable=False),
    _text("who"),
    _time("at", nullable=False),
)

site_changes = sa.Table(
    "site_changes",
    metadata,
    _id(),
    _time("at", nullable=False),
    _text("who"),
    _text("action"),
    _text("kind"),
    _text("name"),
    sa.Column("mapping", sa.JSON, nullable=False),
)

audit_positions = sa.Table(
    "audit_positions",
    metadata,
    sa.Column("source", sa.String(32), primary_key=True),
    _number("position"),
)

# Which studies went between the node and a peer: for audit messages alone.
transfers = sa.Table(
    "transfers",
    metadata,
    _id(),
    _time("at", nullable=False),
    sa.Column("received", sa.Boolean, nullable=False),
    _text("ae_title"),
    _text("address"),
    _text("study_instance_uid"),
    _text("patient_id"),
    sa.Column("classes", sa.JSON, nullable=False),
    sa.Column("new", sa.Boolean, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
)

removals = sa.Table(
    "removals",
    metadata,
    _id(),
    _text("path"),
    sa.Column("inode", sa.Text, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    _time("at", nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("executor_id", sa.String(128), primary_key=True),
    _text("role"),
    _text("holder"),
    _text("version"),
    _time("beat_at", nullable=False),
    sa.Column("taken_over", sa.Boolean, nullable=False, server_default=sa.false()),
)

peer_echoes = sa.Table(
    "peer_echoes",
    metadata,
    sa.Column("peer", sa.String(64), primary_key=True),
    _time("at", nullable=False),
    sa.Column("ok", sa.Boolean, nullable=False),
    _text("sentence"),
    _text("who"),
)
