"""Uploads whose parts the client cuts: how many there will be."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite has no schemas, and ALTER TABLE is not translated as CREATE TABLE is.
    schema = "runstone_artifact" if op.get_bind().dialect.name == "postgresql" else None
    count = sa.Column("part_count", sa.Integer, nullable=False, server_default="0")
    op.add_column("uploads", count, schema=schema)
