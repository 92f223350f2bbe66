"""What a scrub or a reader found wrong with a blob's bytes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite has no schemas, and ALTER TABLE is not translated as CREATE TABLE is.
    schema = "runstone_artifact" if op.get_bind().dialect.name == "postgresql" else None
    op.add_column("blobs", sa.Column("damage", sa.Text), schema=schema)
