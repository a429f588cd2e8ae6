"""Alembic's entry point; `node.archive.schema.migrate` hands over an open connection."""

from alembic import context

from node.archive.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
