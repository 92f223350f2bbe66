"""Alembic's entry: runs the revisions on the connection that runstone_kit.migrate opened."""

from runstone_kit.migrate import run_migrations

run_migrations()
