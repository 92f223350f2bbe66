"""Points at rest: chunks, and who folds segments into them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "runstone_tracking"
KEPT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BLOBS = ("points", "level0", "level1", "level2")


def upgrade() -> None:
    op.create_table(
        "metric_chunks",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("name", KEPT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("first_timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("first_bits", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("last_timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("last_bits", sa.BigInteger, nullable=False),
        sa.Column("min_timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("max_timestamp_ms", sa.BigInteger, nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.Column("level0", sa.LargeBinary),
        sa.Column("level1", sa.LargeBinary),
        sa.Column("level2", sa.LargeBinary),
        sa.PrimaryKeyConstraint("run_id", "name", "number", name="pk_metric_chunks"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_table(
        "metric_folds",
        sa.Column("run_id", KEPT, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_metric_folds"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.run_id"], ondelete="CASCADE"),
        schema=SCHEMA,
    )
    if op.get_bind().dialect.name == "postgresql":
        # Compressed already; out of line, so that a look at one column reads no other.
        for column in BLOBS:
            op.execute(
                f"ALTER TABLE {SCHEMA}.metric_chunks ALTER COLUMN {column} SET STORAGE EXTERNAL"
            )
