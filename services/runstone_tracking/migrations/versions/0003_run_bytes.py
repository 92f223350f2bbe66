"""How much text a run holds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"


def upgrade() -> None:
    # NULL for "not counted yet", so that no row is written now: a run is counted when it grows.
    schema = SCHEMA if op.get_bind().dialect.name == "postgresql" else None
    op.add_column("runs", sa.Column("bytes", sa.BigInteger), schema=schema)
