"""Runs the migrations on the connection that runstone_kit.migrate hands over."""

from alembic import context

from runstone_tracking.tables import SCHEMA, metadata

connection = context.config.attributes["connection"]

context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=SCHEMA if connection.dialect.name == "postgresql" else None,
)
with context.begin_transaction():
    context.run_migrations()
