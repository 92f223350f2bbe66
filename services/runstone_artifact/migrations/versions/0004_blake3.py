"""BLAKE3 beside SHA-256. Unknown for older blobs until a scrub reads them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite has no schemas, and ALTER TABLE is not translated as CREATE TABLE is.
    schema = "runstone_artifact" if op.get_bind().dialect.name == "postgresql" else None
    op.add_column("blobs", sa.Column("blake3", sa.Text), schema=schema)
    op.add_column("uploads", sa.Column("found_blake3", sa.Text), schema=schema)
